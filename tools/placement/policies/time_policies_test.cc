#include "tools/placement/policies/time_policies.h"

#include <gtest/gtest.h>

#include "tools/placement/policies/policy_examples.h"

namespace kvroute {
namespace {

// A token takes 1 ms, attention as much at 1,000 tokens of context.
PolicySetting Setting(size_t targets) {
  return {.targets = targets,
          .block_size_tokens = 16,
          .max_step_tokens = 2'048,
          .profile = {.name = "", .token_ms = 1, .pair_ms = 1e-3},
          .seed = 1};
}

TEST(TimePoliciesTest, SmetricKeepsAConversationWhereItsHitIsAsExpected) {
  SmetricPolicy smetric(Setting(2));
  PlacementQuery query = Prompt(1'000);
  query.previous_prompt_tokens = 900;
  // 100 tokens behind 900: 195 ms, of 1,062.5 ms.
  const auto targets =
      Targets({{.uncached = 100, .in_flight = 30, .matched = 900}, {.uncached = 1'000}});
  EXPECT_EQ(smetric.Choose(query, targets), 0u);
  query.previous_prompt_tokens = 1'800;           // 900 are not more than half
  EXPECT_EQ(smetric.Choose(query, targets), 1u);  // 31 * 195 and 1,500
  // A second of prefills ahead of it is too much.
  query.previous_prompt_tokens = 900;
  smetric.Dispatched(Prompt(1'000), Targets({{.uncached = 732}})[0]);  // 732 + 268
  EXPECT_EQ(smetric.Choose(query, targets), 1u);
  smetric.Prefilled(0, 0, Nanos(0));
  EXPECT_EQ(smetric.Choose(query, targets), 0u);
}

TEST(TimePoliciesTest, MooncakeCountsTimeAndNotTokens) {
  MooncakePolicy mooncake(Setting(2));
  // 500 tokens behind 2,000 take 1,625 ms, 1,000 behind 0 take 1,500.
  const auto targets = Targets({{.uncached = 500, .matched = 2'000}, {.uncached = 1'000}});
  EXPECT_EQ(mooncake.Choose(Prompt(2'500), targets), 1u);
  mooncake.Dispatched(Prompt(200), Targets({{.uncached = 9}, {.uncached = 200}})[1]);  // 220 ms
  EXPECT_EQ(mooncake.Choose(Prompt(2'500), targets), 0u);
  mooncake.Prefilled(0, 1, Nanos(0));
  EXPECT_EQ(mooncake.Choose(Prompt(2'500), targets), 1u);
}

}  // namespace
}  // namespace kvroute
