#include "router/rights/http_rights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvroute {
namespace {

using testing::HasSubstr;

TEST(HttpRights, WithoutRightsEverybodyMay) {
  EXPECT_EQ(RefusalOf(nullptr, Action::kStatusPage), nullptr);
  Rights rights;
  EXPECT_FALSE(RefusalOf(&rights, Action::kStatusPage)({}).has_value());
}

TEST(HttpRights, TheAnswerSaysWhatToShow) {
  Rights rights;
  ASSERT_TRUE(rights.SetTokens(std::string("p metrics 0123456789abcdef\n")).ok());
  const auto refuse = RefusalOf(&rights, Action::kMetricsPage);
  const auto nothing = refuse({.peer = "[::1]:7"});
  ASSERT_TRUE(nothing.has_value());
  EXPECT_EQ(nothing->status, 401);
  EXPECT_EQ(nothing->authenticate, "Bearer realm=\"kvroute\", scope=\"metrics\"");
  const auto unknown = refuse({.authorization = "Bearer 0123456789abcdeF"});
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->status, 401);
  EXPECT_THAT(unknown->authenticate, HasSubstr("error=\"invalid_token\""));
  EXPECT_FALSE(refuse({.authorization = "Bearer 0123456789abcdef"}).has_value());
  const auto other =
      RefusalOf(&rights, Action::kRegister)({.authorization = "Bearer 0123456789abcdef"});
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(other->status, 403);
  EXPECT_THAT(other->authenticate, HasSubstr("error=\"insufficient_scope\""));
  EXPECT_EQ(other->body, "Register: needs the role register; the caller has metrics\n");
}

}  // namespace
}  // namespace kvroute
