#include "router/rights/bearer_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kToken = "0123456789abcdef-gateway";
// printf %s 0123456789abcdef-gateway | sha256sum
constexpr const char* kTokenHash =
    "cb07afb63af063b592d9c564f7403ab085eecf98f77d6c48739367c5beca536c";

BearerTokens MustParse(std::string_view text) {
  auto list = BearerTokens::Parse(text);
  EXPECT_TRUE(list.ok()) << list.status();
  return list.value_or(BearerTokens());
}
std::string ErrorOf(std::string_view text) {
  return std::string(MessageOf(BearerTokens::Parse(text).status()));
}

TEST(BearerTokens, ALineIsANameItsRolesAndTheToken) {
  const BearerTokens list =
      MustParse(absl::StrCat("# who may what\n\n  gateway  route, metrics  ", kToken,
                             "  # since May\r\nci register ", "fedcba9876543210#not-a-comment"));
  ASSERT_EQ(list.size(), 2u);
  const BearerTokens::Token* const gateway = list.Find(kToken);
  ASSERT_NE(gateway, nullptr);
  EXPECT_EQ(gateway->name, "gateway");
  EXPECT_EQ(gateway->roles, (Roles{Role::kRoute, Role::kMetricsReader}));
  EXPECT_NE(list.Find("fedcba9876543210#not-a-comment"), nullptr);
  EXPECT_EQ(list.Find("0123456789abcdef-gatewaY"), nullptr);
  EXPECT_EQ(list.Find(""), nullptr);
  EXPECT_EQ(list.Find(std::string(100'000, 'x')), nullptr);
}

TEST(BearerTokens, AHashIsAsGoodAsTheToken) {
  const BearerTokens list = MustParse(absl::StrCat("gateway route sha256:", kTokenHash));
  EXPECT_NE(list.Find(kToken), nullptr);
  EXPECT_EQ(list.Find(absl::StrCat("sha256:", kTokenHash)), nullptr);
}

TEST(BearerTokens, ErrorsNameTheLineAndNeverTheToken) {
  EXPECT_THAT(ErrorOf("\ngateway route"), HasSubstr("line 2: 2 words"));
  EXPECT_THAT(ErrorOf("gateway route short"), HasSubstr("line 1: token: 5 bytes"));
  EXPECT_THAT(ErrorOf(absl::StrCat("a route ", std::string(513, 'x'))),
              HasSubstr("token: 513 bytes; it must have 16 to 512"));
  EXPECT_THAT(ErrorOf("gateway route sha256:abc"), HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(ErrorOf(absl::StrCat(std::string(65, 'n'), " route ", kToken)),
              HasSubstr("name: 65 bytes; the limit is 64"));
  EXPECT_THAT(ErrorOf(absl::StrCat("a route ", kToken, "\nb admin ", kToken)),
              HasSubstr("line 2: the token of \"a\" again"));
  const std::string swapped = ErrorOf(absl::StrCat("gateway ", kToken, " route"));
  EXPECT_THAT(swapped, HasSubstr("line 1: "));
  EXPECT_THAT(swapped, Not(HasSubstr(kToken)));
}

TEST(BearerTokens, HasALimit) {
  std::string text;
  for (size_t i = 0; i < limits::kMaxTokens; ++i) {
    absl::StrAppend(&text, "n", i, " route token-number-", 100'000 + i, "\n");
  }
  EXPECT_EQ(MustParse(text).size(), limits::kMaxTokens);
  EXPECT_THAT(ErrorOf(text + "one more-tokens-than-there-may-be"), HasSubstr("line 1025: 2 words"));
  EXPECT_THAT(ErrorOf(text + "one route more-tokens-than-there-may-be"),
              HasSubstr("line 1025: more than 1024 tokens"));
}

}  // namespace
}  // namespace kvroute
