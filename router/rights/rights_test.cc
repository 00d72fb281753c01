#include "router/rights/rights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kTokens =
    "gateway route    0123456789abcdef-gateway\n"
    "ci      register 0123456789abcdef-deploy\n";
constexpr const char* kGateway = "Bearer 0123456789abcdef-gateway";
constexpr const char* kDeploy = "bearer  0123456789abcdef-deploy";
constexpr const char* kStranger = "Bearer 0123456789abcdef-stranger";

class RightsTest : public testing::Test {
 protected:
  absl::Status Ask(Action action, std::vector<std::string_view> names,
                   std::string_view authorization) {
    return rights_.Check(action, rights_.Grant(names, authorization), "10.0.0.7:1");
  }
  StatusCode CodeOf(Action action, std::string_view authorization) {
    return Ask(action, {}, authorization).code();
  }
  void SetTokens() { ASSERT_TRUE(rights_.SetTokens(std::string(kTokens)).ok()); }

  Rights rights_;
};

TEST_F(RightsTest, NothingConfiguredIsEverythingForEverybody) {
  rights_.SetOptions({});
  EXPECT_FALSE(rights_.configured());
  for (size_t action = 0; action < kActionCount; ++action) {
    EXPECT_TRUE(Ask(static_cast<Action>(action), {}, {}).ok());
  }
  EXPECT_THAT(rights_.Summary(), HasSubstr("whoever reaches a port may do everything"));
}

TEST_F(RightsTest, ATokenGrantsItsRolesAndNoOther) {
  SetTokens();
  EXPECT_EQ(CodeOf(Action::kRoute, kGateway), StatusCode::kOk);
  EXPECT_EQ(CodeOf(Action::kRegister, kGateway), StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(Action::kRegister, kDeploy), StatusCode::kOk);
  EXPECT_EQ(CodeOf(Action::kRoute, kStranger), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(Action::kRoute, "Basic YTpi"), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(Action::kRoute, "Bearer "), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(Action::kRoute, ""), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(Action::kProbe, ""), StatusCode::kOk);
}

TEST_F(RightsTest, ACertificateGrantsByItsNames) {
  rights_.SetOptions(
      {.certificates = {{"*.gateways.svc", "route"}, {"spiffe://prod/ops/*", "admin, metrics"}}});
  EXPECT_TRUE(Ask(Action::kRoute, {"a.gateways.svc"}, {}).ok());
  EXPECT_TRUE(Ask(Action::kExplain, {"x", "spiffe://prod/ops/eve"}, {}).ok());
  EXPECT_EQ(Ask(Action::kRoute, {"spiffe://prod/ops/eve"}, {}).code(),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(Ask(Action::kRoute, {"evil.svc"}, {}).code(), StatusCode::kUnauthenticated);
}

TEST_F(RightsTest, ACertificateAndATokenAddUp) {
  rights_.SetOptions({.certificates = {{"a.svc", "metrics"}}});
  SetTokens();
  EXPECT_TRUE(Ask(Action::kRoute, {"a.svc"}, kGateway).ok());
  EXPECT_TRUE(Ask(Action::kMetricsPage, {"a.svc"}, kGateway).ok());
  EXPECT_TRUE(
      Ask(Action::kMetricsPage, {"a.svc"}, kStranger).ok());  // another's token does no harm
}

TEST_F(RightsTest, EverybodyHasWhatEverybodyIsGranted) {
  rights_.SetOptions({.everybody = "metrics"});
  EXPECT_EQ(CodeOf(Action::kMetricsPage, ""), StatusCode::kOk);
  EXPECT_EQ(CodeOf(Action::kRoute, ""), StatusCode::kUnauthenticated);
}

TEST_F(RightsTest, ErrorsNameTheRolesAndNeverTheToken) {
  SetTokens();
  const std::string missing(MessageOf(Ask(Action::kRegister, {}, kGateway)));
  EXPECT_EQ(missing, "Register: needs the role register; the caller has route");
  const std::string unknown(MessageOf(Ask(Action::kList, {}, kStranger)));
  EXPECT_THAT(unknown, AllOf(HasSubstr("List: needs one of the roles route, register, admin"),
                             HasSubstr("is not known"), Not(HasSubstr("stranger"))));
}

TEST_F(RightsTest, NewTokensAreGoodAtOnceAndBadOnesChangeNothing) {
  SetTokens();
  const uint64_t before = rights_.version();
  ASSERT_TRUE(rights_.SetTokens(std::string("gateway route 0123456789abcdef-renewed")).ok());
  EXPECT_NE(rights_.version(), before);
  EXPECT_EQ(CodeOf(Action::kRoute, kGateway), StatusCode::kUnauthenticated);
  const absl::Status bad = rights_.SetTokens(std::string("gateway route short"));
  EXPECT_THAT(MessageOf(bad), HasSubstr("rights.token_file: line 1: token: 5 bytes"));
  EXPECT_FALSE(rights_.SetTokens(absl::UnavailableError("no such file")).ok());
  EXPECT_EQ(CodeOf(Action::kRoute, "Bearer 0123456789abcdef-renewed"), StatusCode::kOk);
  EXPECT_EQ(rights_.GetReport().tokens_applied, 1u);
  EXPECT_EQ(rights_.GetReport().tokens_refused, 2u);
}

TEST_F(RightsTest, AnEmptyTokenFileClosesEverything) {
  ASSERT_TRUE(rights_.SetTokens(std::string()).ok());
  EXPECT_EQ(CodeOf(Action::kRoute, ""), StatusCode::kUnauthenticated);
}

TEST_F(RightsTest, RefusalsAreCountedByActionAndReason) {
  SetTokens();
  Ask(Action::kRegister, {}, kGateway).IgnoreError();
  Ask(Action::kRoute, {}, {}).IgnoreError();
  Ask(Action::kRoute, {}, {}).IgnoreError();
  Exposition out;
  rights_.AddMetrics(&out);
  EXPECT_THAT(
      out.Text(),
      AllOf(
          HasSubstr("kvroute_rights_refused_total{action=\"Register\",reason=\"missing_role\"} 1"),
          HasSubstr("kvroute_rights_refused_total{action=\"Route\",reason=\"no_credentials\"} 2"),
          HasSubstr("kvroute_token_changes_total{result=\"applied\"} 0")));
}

TEST(CheckRights, NamesTheField) {
  EXPECT_TRUE(CheckRights({}).ok());
  EXPECT_THAT(MessageOf(CheckRights({.everybody = "all"})), HasSubstr("everybody: \"all\" is not"));
  EXPECT_THAT(MessageOf(CheckRights({.certificates = {{"*", "route"}}})), HasSubstr("name: \"*\""));
}

}  // namespace
}  // namespace kvroute
