// Policies that look at what engines say of themselves.
#include <gtest/gtest.h>

#include "tools/placement/policies/llmd_policy.h"
#include "tools/placement/policies/policy_examples.h"
#include "tools/placement/policies/sgl_router_policy.h"
#include "tools/placement/policies/smg_policy.h"

namespace kvroute {
namespace {

PolicySetting SmallBlocks(size_t targets) {
  return {.targets = targets, .block_size_tokens = 16, .max_step_tokens = 2'048, .seed = 1};
}

TEST(SmgPolicyTest, AmongHoldersTheOneThatIsDoneFirst) {
  SmgPolicy smg(SmallBlocks(3));
  // 2: no match. 0: 1 s of tokens at the fallback rate; 1: 0.15 * 0.9 / 0.1 = 1.35 s of usage.
  const auto example = [](double usage) {
    return Targets({{.queued = 2'000, .matched = 160},
                    {.matched = 160, .kv_usage = usage},
                    {.uncached = 500}});
  };
  EXPECT_EQ(smg.Choose(Prompt(500), example(0.9)), 0u);
  EXPECT_EQ(SmgPolicy(SmallBlocks(3)).Choose(Prompt(500), example(0.8)), 1u);  // 0.6 s
  // What is sent counts at once, what engines say when they are polled next.
  smg.Dispatched(Prompt(2'000), Targets({{.uncached = 2'000}})[0]);
  EXPECT_EQ(smg.Choose(Prompt(500), example(0.99)), 1u) << "2 s and 1.35 s";
  PlacementQuery later = Prompt(500);
  later.now = std::chrono::seconds(11);
  smg.Prefilled(0, 0, later.now);  // 2,000 tokens in 11 s: 182 a second
  EXPECT_EQ(smg.Choose(later, example(0.99)), 0u) << "11 s and 14.85 s";
}

TEST(SmgPolicyTest, HoldersFarBeyondTheMeanAreLeftOut) {
  SmgPolicy smg(SmallBlocks(3));
  const auto example = [](uint32_t busy) {
    return Targets({{.in_flight = busy, .matched = 160}, {.queued = 10}, {.queued = 20}});
  };
  EXPECT_EQ(smg.Choose(Prompt(500), example(95)), 0u);  // mean 31.7; 95 is within 64 of it
  EXPECT_EQ(smg.Choose(Prompt(500), example(97)), 1u);  // mean 32.3
}

TEST(SglRouterPolicyTest, PressureDecidesOnlyWhereItDiffersMuch) {
  SglRouterPolicy router;
  const auto example = [](uint64_t queued_at_0, uint64_t uncached_at_1) {
    return Targets({{.uncached = 100, .queued = queued_at_0, .matched = 4'000},
                    {.uncached = uncached_at_1, .queued = 500, .matched = 3'000},
                    {.uncached = 4'100}});
  };
  EXPECT_EQ(router.Choose(Prompt(4'100), example(1'500, 1'100)), 0u);  // 1,000 more are few
  EXPECT_EQ(router.Choose(Prompt(4'100), example(1'600, 1'100)), 1u);
  EXPECT_EQ(router.Choose(Prompt(4'100), example(1'600, 1'125)), 0u) << "beyond the margin";
}

TEST(SglRouterPolicyTest, OfEqualMatchesTheLessPressedAreAmongTheBestFew) {
  std::vector<ExampleTarget> holders(20, {.uncached = 100, .queued = 50, .matched = 4'000});
  holders[19].queued = 40;
  EXPECT_EQ(SglRouterPolicy().Choose(Prompt(4'100), Targets(holders)), 19u);
}

TEST(SglRouterPolicyTest, ShortMatchesAreNone) {
  SglRouterPolicy router;
  const auto targets = Targets({{.queued = 5'000, .matched = 1'023}, {.queued = 10}});
  int to_0 = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    PlacementQuery query = Prompt(2'000);
    query.tie_break = i;
    to_0 += router.Choose(query, targets) == 0 ? 1 : 0;
  }
  EXPECT_GT(to_0, 10) << "both drawn are 0: a quarter";
  EXPECT_LT(to_0, 40);
}

TEST(LlmdPolicyTest, AddsUpItsScorers) {
  const std::vector<BlockKey> blocks = Blocks(10);
  // 0: 3 * 0.8 + 0 + 2 * 0.5 = 3.4; 1: 0 + 2 + 2 * 1 = 4. By 2/1/1: 2.1 and 2.
  const auto targets = Targets({{.matched = 128, .waiting = 4, .kv_usage = 0.5}, {}});
  EXPECT_EQ(LlmdPolicy(SmallBlocks(2), {3, 2, 2}).Choose(Prompt(160, blocks), targets), 1u);
  EXPECT_EQ(LlmdPolicy(SmallBlocks(2), {2, 1, 1}).Choose(Prompt(160, blocks), targets), 0u);
}

TEST(LlmdPolicyTest, EnginesAreAskedEvery50Ms) {
  LlmdPolicy policy(SmallBlocks(2), {0, 1, 0});
  PlacementQuery query = Prompt(160);
  EXPECT_EQ(policy.Choose(query, Targets({{.waiting = 1}, {}})), 1u);
  query.now = std::chrono::milliseconds(49);
  EXPECT_EQ(policy.Choose(query, Targets({{}, {.waiting = 1}})), 1u);
  query.now = std::chrono::milliseconds(50);
  EXPECT_EQ(policy.Choose(query, Targets({{}, {.waiting = 1}})), 0u);
}

}  // namespace
}  // namespace kvroute
