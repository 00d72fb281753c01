#include "router/rights/certificate_grant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

TEST(NameMatches, DnsNamesAreAlikeInAnyCaseAndExactOtherwise) {
  EXPECT_TRUE(NameMatches("gateway.prod.svc", "Gateway.prod.SVC"));
  EXPECT_FALSE(NameMatches("gateway.prod.svc", "gateway.prod.svc.evil.org"));
  EXPECT_FALSE(NameMatches("gateway.prod.svc", "xgateway.prod.svc"));
}

TEST(NameMatches, AStarIsOneLabel) {
  EXPECT_TRUE(NameMatches("*.prod.svc", "gateway.prod.svc"));
  EXPECT_FALSE(NameMatches("*.prod.svc", "a.b.prod.svc"));
  EXPECT_FALSE(NameMatches("*.prod.svc", "prod.svc"));
  EXPECT_FALSE(NameMatches("*.prod.svc", ".prod.svc"));
}

TEST(NameMatches, UrisAreExactOrBelowAFolder) {
  EXPECT_TRUE(NameMatches("spiffe://prod/ns/a", "spiffe://prod/ns/a"));
  EXPECT_FALSE(NameMatches("spiffe://prod/ns/a", "spiffe://prod/ns/A"));
  EXPECT_TRUE(NameMatches("spiffe://prod/ns/*", "spiffe://prod/ns/a/sa/b"));
  EXPECT_FALSE(NameMatches("spiffe://prod/ns/*", "spiffe://prod/ns/"));
  EXPECT_FALSE(NameMatches("spiffe://prod/ns/*", "spiffe://prod/nsx/a"));
  EXPECT_FALSE(NameMatches("spiffe://prod/ns/*", "spiffe://prod/ns/../other"));
}

TEST(NameMatches, ADnsNameIsNoUri) {
  EXPECT_FALSE(NameMatches("*.svc", "spiffe://a.svc"));
  EXPECT_FALSE(NameMatches("spiffe://a/*", "spiffe:"));
}

TEST(CheckGrant, SaysWhichFieldIsWrong) {
  EXPECT_TRUE(CheckGrant({"a.svc", "route"}).ok());
  EXPECT_TRUE(CheckGrant({"*.svc", "route, register"}).ok());
  EXPECT_TRUE(CheckGrant({"spiffe://prod/*", "admin"}).ok());
  for (const char* name : {"", "*", "*svc", "a.*.svc", "a*", "**.svc", "*.*.svc", "spiffe://*",
                           "spiffe:///*", "spiffe://prod/*/a", "spiffe://prod/a*", "a b", "a\n"}) {
    EXPECT_THAT(MessageOf(CheckGrant({name, "route"})), HasSubstr("name:")) << name;
  }
  EXPECT_THAT(MessageOf(CheckGrant({"a.svc", "root"})), HasSubstr("roles: \"root\" is not one of"));
  EXPECT_THAT(MessageOf(CheckGrant({"a.svc", " "})), HasSubstr("roles: none is named"));
}

}  // namespace
}  // namespace kvroute
