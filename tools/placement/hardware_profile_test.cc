#include "tools/placement/hardware_profile.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

TEST(HardwareProfileTest, BalanceIsTheContextWhereAttentionCostsAsMuchAsTheRest) {
  EXPECT_NEAR(FindProfile("qwen3-0.6b-a30")->BalanceTokens(), 4'925, 5);
  EXPECT_NEAR(FindProfile("llama3-70b-2xh100")->BalanceTokens(), 107'300, 100);
  EXPECT_NEAR(FindProfile("qwen3-coder-30b-h20")->BalanceTokens(), 5'269, 5);
  EXPECT_GT(FindProfile("mistral-7b-a100")->BalanceTokens(), 1e300);
}

TEST(HardwareProfileTest, TheH20sMissesAreThoseItWasMadeFrom) {
  const HardwareProfile& profile = *FindProfile("qwen3-coder-30b-h20");
  const double rest = profile.step_ms + profile.first_token_ms;
  EXPECT_NEAR(profile.PrefillMs(1'024, 0) + rest, 78, 1);
  EXPECT_NEAR(profile.PrefillMs(65'536, 0) + rest, 15'200, 20);
}

TEST(HardwareProfileTest, AHitSparesItsTokensButNotWhatFollowingOnesLookAt) {
  const HardwareProfile profile{.name = "", .token_ms = 1, .pair_ms = 0.5};
  EXPECT_DOUBLE_EQ(profile.PrefillMs(10, 0), 10 + 0.5 * 50);
  EXPECT_DOUBLE_EQ(profile.PrefillMs(4, 6), 4 + 0.5 * (4 * 6 + 8));
}

TEST(HardwareProfileTest, ItsNamesAreFoundAndOthersAreNot) {
  for (const HardwareProfile& profile : HardwareProfiles()) {
    EXPECT_EQ(FindProfile(profile.name), &profile);
    EXPECT_NE(ProfileNames().find(profile.name), std::string::npos);
    EXPECT_GT(profile.token_ms, 0);
  }
  EXPECT_EQ(FindProfile("gone"), nullptr);
}

}  // namespace
}  // namespace kvroute
