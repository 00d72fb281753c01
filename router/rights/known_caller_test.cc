// What a call costs whose caller is known, and that nobody is taken for another.
#include "router/rights/known_caller.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "test/support/counted_allocations.h"

namespace kvroute {
namespace {

constexpr std::string_view kGateway = "Bearer 0123456789abcdef-gateway";
constexpr std::string_view kDeploy = "Bearer 0123456789abcdef-deploy0";

class KnownCallerTest : public testing::Test {
 protected:
  KnownCallerTest() {
    rights_.SetOptions({.certificates = {{"gateway.test", "route"}}});
    EXPECT_TRUE(rights_
                    .SetTokens(std::string("g route 0123456789abcdef-gateway\n"
                                           "d register 0123456789abcdef-deploy0\n"))
                    .ok());
  }
  bool May(Action action, std::string_view authorization) {
    return caller_
        .Check(
            &rights_, action, "10.0.0.7:1",
            [this] {
              ++looked_up_;
              return names_;
            },
            [authorization] { return authorization; })
        .ok();
  }
  // Bytes that were allocated at a time in a thousand such calls, and nanoseconds of each.
  void Measure(const char* what, std::string_view authorization) {
    EXPECT_TRUE(May(Action::kRoute, authorization));  // looked up
    const int64_t before = most_live_bytes = live_bytes.load();
    const auto began = std::chrono::steady_clock::now();
    constexpr int kCalls = 100'000;
    for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(May(Action::kRoute, authorization));
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    EXPECT_EQ(most_live_bytes - before, 0);
    std::printf("%s: %.1f ns a call\n", what, took.count() / kCalls);
  }

  Rights rights_;
  std::vector<std::string_view> names_;
  int looked_up_ = 0;
  KnownCaller caller_;
};

TEST_F(KnownCallerTest, ACertificateIsLookedUpOnceAChange) {
  names_ = {"gateway.test"};
  Measure("certificate", "");
  EXPECT_EQ(looked_up_, 1);
  rights_.SetOptions({.certificates = {{"other.test", "route"}}});
  EXPECT_FALSE(May(Action::kRoute, ""));
}

TEST_F(KnownCallerTest, TheSameTokenIsLookedUpOnceAChange) {
  Measure("token", kGateway);
  EXPECT_LE(looked_up_, 2);
  ASSERT_TRUE(rights_.SetTokens(std::string()).ok());
  EXPECT_FALSE(May(Action::kRoute, kGateway));
}

TEST_F(KnownCallerTest, EachCallHasTheRightsOfItsOwnToken) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(May(Action::kRoute, kGateway));
    EXPECT_FALSE(May(Action::kRoute, kDeploy));
    EXPECT_FALSE(May(Action::kRoute, ""));
    EXPECT_TRUE(May(Action::kRegister, kDeploy));
    EXPECT_FALSE(May(Action::kRegister, kGateway));
  }
}

}  // namespace
}  // namespace kvroute
