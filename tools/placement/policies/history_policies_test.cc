// Policies that remember what came before.
#include <gtest/gtest.h>

#include "tools/placement/policies/dualmap_policy.h"
#include "tools/placement/policies/lmetric_detector_policy.h"
#include "tools/placement/policies/pin_policy.h"
#include "tools/placement/policies/policy_examples.h"
#include "tools/placement/policies/preble_policy.h"

namespace kvroute {
namespace {

PolicySetting TokensTakeAMs(size_t targets) {
  return {.targets = targets,
          .block_size_tokens = 16,
          .max_step_tokens = 2'048,
          .profile = {.name = "", .token_ms = 1},
          .seed = 1};
}

TEST(RecentSumsTest, ForgetsWhatIsOld) {
  RecentSums<int> sums(std::chrono::seconds(10));
  sums.Add(std::chrono::seconds(0), 1, 5);
  sums.Add(std::chrono::seconds(5), 1, 7);
  EXPECT_EQ(sums.Count(1), 2u);
  EXPECT_DOUBLE_EQ(sums.Value(1), 12);
  sums.Forget(std::chrono::seconds(10));
  EXPECT_EQ(sums.Count(1), 1u);
  EXPECT_DOUBLE_EQ(sums.Value(1), 7);
  EXPECT_EQ(sums.Count(2), 0u);
  EXPECT_EQ(sums.total(), 1u);
}

TEST(LmetricDetectorTest, AHotPrefixLeavesItsHoldersAfterTwiceTheirNumber) {
  LmetricDetectorPolicy policy(TokensTakeAMs(4));
  const std::vector<BlockKey> hot = Blocks(40);
  // Held by 0 alone, whose score is no worse: 80 * 5, and 640 elsewhere.
  const auto targets = Targets({{.uncached = 80, .in_flight = 4, .matched = 560},
                                {.uncached = 640},
                                {.uncached = 640},
                                {.uncached = 640}});
  PlacementQuery query = Prompt(640, hot);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(policy.Choose(query, targets), 0u) << i;
  EXPECT_EQ(policy.Choose(query, targets), 0u) << "the fifth arrival: the alarm, one in a row";
  EXPECT_NE(policy.Choose(query, targets), 0u) << "two in a row";
  // Held by all: the alarm is over.
  const auto everywhere = Targets({{.uncached = 80, .matched = 560},
                                   {.uncached = 90, .matched = 560},
                                   {.uncached = 90, .matched = 560},
                                   {.uncached = 90, .matched = 560}});
  EXPECT_EQ(policy.Choose(query, everywhere), 0u);
  EXPECT_EQ(policy.Choose(query, targets), 0u) << "and is counted anew";
}

TEST(LmetricDetectorTest, WhatIsNotMoreThanItsShareIsNoAlarm) {
  LmetricDetectorPolicy policy(TokensTakeAMs(2));
  const std::vector<BlockKey> one = Blocks(40), other = Blocks(40, 1'000);
  const auto targets = Targets({{.uncached = 80, .matched = 560}, {.uncached = 640}});
  for (int i = 0; i < 20; ++i) {  // half of the arrivals, half of the targets
    policy.Choose(Prompt(640, other), Targets({{.uncached = 640}, {.uncached = 640}}));
    EXPECT_EQ(policy.Choose(Prompt(640, one), targets), 0u) << i;
  }
}

TEST(DualmapPolicyTest, APromptHasTwoTargetsAndTakesTheRicherUnlessItIsLate) {
  DualmapPolicy policy(TokensTakeAMs(16));
  const std::vector<BlockKey> blocks = Blocks(128);
  std::vector<ExampleTarget> idle(16, {.uncached = 2'048});
  const size_t first = policy.Choose(Prompt(2'048, blocks), Targets(idle));
  idle[first].matched = 1'024;
  idle[first].uncached = 1'024;
  EXPECT_EQ(policy.Choose(Prompt(2'048, blocks), Targets(idle)), first);
  PlacementQuery long_one = Prompt(4'000, blocks);
  long_one.number = 7;
  policy.Dispatched(long_one, [&] {
    auto target = Targets(idle)[first];
    target.uncached_tokens = 4'000;
    return target;
  }());
  const size_t second = policy.Choose(Prompt(2'048, blocks), Targets(idle));
  EXPECT_NE(second, first) << "5,024 ms";
  policy.Prefilled(7, first, Nanos(0));
  EXPECT_EQ(policy.Choose(Prompt(2'048, blocks), Targets(idle)), first);
  // A third prompt of the same beginning has the same two.
  const std::vector<BlockKey> alike = [&] {
    std::vector<BlockKey> changed = Blocks(128);
    changed.back() = BlockKey(99'999);
    return changed;
  }();
  const size_t its = DualmapPolicy(TokensTakeAMs(16))
                         .Choose(Prompt(2'048, alike),
                                 Targets(std::vector<ExampleTarget>(16, {.uncached = 2'048})));
  EXPECT_TRUE(its == first || its == second);
}

TEST(PreblePolicyTest, ExploitsALongMatchAndElseExplores) {
  PreblePolicy policy(TokensTakeAMs(2));
  policy.Dispatched(Prompt(500), Targets({{.uncached = 500}})[0]);
  EXPECT_EQ(policy.Choose(Prompt(1'000), Targets({{.matched = 501}, {}})), 0u);
  EXPECT_EQ(policy.Choose(Prompt(1'000), Targets({{.matched = 500}, {}})), 1u) << "500 and 0";
  // A request in flight is 45 tokens of 150 ms: more than the 500 ms.
  EXPECT_EQ(policy.Choose(Prompt(1'000), Targets({{}, {.in_flight = 1}})), 0u);
  PlacementQuery later = Prompt(1'000);
  later.now = std::chrono::minutes(3);
  policy.Dispatched(later, Targets({{}, {.uncached = 10}})[1]);
  EXPECT_EQ(policy.Choose(later, Targets({{}, {}})), 0u) << "the window has passed";
}

TEST(PreblePolicyTest, TheDearestGivesToTheCheapestAfterFiftyRequestsATarget) {
  PreblePolicy policy(TokensTakeAMs(2));
  const auto targets = Targets({{.uncached = 10, .matched = 990}, {.uncached = 10}});
  for (int i = 0; i < 80; ++i) policy.Dispatched(Prompt(10), targets[0]);
  for (int i = 0; i < 19; ++i) policy.Dispatched(Prompt(10), targets[1]);
  EXPECT_EQ(policy.Choose(Prompt(1'000), targets), 0u);
  policy.Dispatched(Prompt(10), targets[1]);
  EXPECT_EQ(policy.Choose(Prompt(1'000), targets), 1u);
}

TEST(AibrixPreblePolicyTest, AmongHoldersTheOneWithTheFewestRequests) {
  AibrixPreblePolicy policy(TokensTakeAMs(3));
  const auto targets =
      Targets({{.uncached = 9, .matched = 600}, {.uncached = 9, .matched = 600}, {.uncached = 9}});
  policy.Dispatched(Prompt(9), targets[0]);
  EXPECT_EQ(policy.Choose(Prompt(1'000), targets), 1u);
  policy.Dispatched(Prompt(9), targets[1]);
  EXPECT_EQ(policy.Choose(Prompt(1'200), targets), 2u) << "half is not more than half";
}

TEST(PinPolicyTest, AConversationStaysWhereItBegan) {
  PinPolicy pin;
  PlacementQuery query = Prompt(10);
  query.conversation = 3;
  EXPECT_EQ(pin.Choose(query, Targets({{.in_flight = 1}, {}})), 1u);
  EXPECT_EQ(pin.Choose(query, Targets({{}, {.in_flight = 9}})), 1u);
  query.conversation = 4;
  EXPECT_EQ(pin.Choose(query, Targets({{}, {.in_flight = 9}})), 0u);
}

}  // namespace
}  // namespace kvroute
