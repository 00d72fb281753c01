#include "tools/placement/policies/score_policies.h"

#include <gtest/gtest.h>

#include "tools/placement/policies/dynamo_policy.h"
#include "tools/placement/policies/policy_examples.h"

namespace kvroute {
namespace {

TEST(ScorePoliciesTest, LmetricsTwoReadingsDifferByTheQueue) {
  // 1: longer queue of tokens, fewer requests.
  const auto targets = Targets({{.uncached = 1'000, .queued = 0, .in_flight = 4},
                                {.uncached = 1'000, .queued = 8'000, .in_flight = 1}});
  EXPECT_EQ(LmetricOwnPolicy().Choose(Prompt(1'000), targets), 1u);  // 5,000 and 2,000
  EXPECT_EQ(FindPlacementPolicy("lmetric")->make({})->Choose(Prompt(1'000), targets),
            0u);  // 5,000 and 18,000
}

TEST(ScorePoliciesTest, LpwlCountsTokensAndThenRequests) {
  LpwlPolicy lpwl;
  EXPECT_EQ(lpwl.Choose(Prompt(900), Targets({{.uncached = 900, .queued = 0, .in_flight = 0},
                                              {.uncached = 100, .queued = 700, .in_flight = 9}})),
            1u);
  EXPECT_EQ(lpwl.Choose(Prompt(900), Targets({{.uncached = 900, .queued = 0, .in_flight = 3},
                                              {.uncached = 100, .queued = 800, .in_flight = 2}})),
            1u);
}

TEST(ScorePoliciesTest, AffinityLooksAtNothingButTheMatch) {
  EXPECT_EQ(AffinityPolicy().Choose(
                Prompt(900), Targets({{.uncached = 900}, {.uncached = 899, .in_flight = 99}})),
            1u);
}

TEST(ScorePoliciesTest, AibrixSpreadsWhenTheSpreadIsMoreThanEight) {
  AibrixPolicy aibrix;
  const auto example = [](uint32_t busy) {
    return Targets({{.uncached = 100, .in_flight = busy, .matched = 900},
                    {.uncached = 1'000, .in_flight = 0},
                    {.uncached = 1'000, .in_flight = busy}});
  };
  EXPECT_EQ(aibrix.Choose(Prompt(1'000), example(8)), 0u);
  EXPECT_EQ(aibrix.Choose(Prompt(1'000), example(9)), 1u);
  // A match of the same percentage: fewer requests. Too many, beyond mean + deviation: the next.
  EXPECT_EQ(aibrix.Choose(Prompt(1'000), Targets({{.in_flight = 3, .matched = 499},
                                                  {.in_flight = 2, .matched = 495}})),
            1u);
  EXPECT_EQ(aibrix.Choose(Prompt(1'000), Targets({{.in_flight = 6, .matched = 900},
                                                  {.in_flight = 1, .matched = 400},
                                                  {.in_flight = 0},
                                                  {.in_flight = 0}})),
            1u);  // mean 1.75, deviation 2.87
}

TEST(ScorePoliciesTest, LoadawareWeighsTheMatchWithTheLoad) {
  // Shares of 0.9 and 0; loads of 1.5 and 0.5 times the mean, then of 1.2 and 0.8.
  LoadawarePolicy loadaware;
  EXPECT_EQ(loadaware.Choose(Prompt(1'000), Targets({{.queued = 300, .matched = 900},
                                                     {.uncached = 1'000, .queued = 100}})),
            1u);  // 0.9 - 0.5 and 0.5
  EXPECT_EQ(loadaware.Choose(Prompt(1'000), Targets({{.queued = 240, .matched = 900},
                                                     {.uncached = 1'000, .queued = 160}})),
            0u);  // 0.7 and 0.2
}

TEST(ScorePoliciesTest, Pow2TakesTheShorterQueueOfTwo) {
  const auto targets = Targets({{.in_flight = 1}, {.in_flight = 0}});
  PlacementQuery query = Prompt(10);
  for (query.tie_break = 0; query.tie_break < 20; ++query.tie_break) {
    EXPECT_EQ(Pow2Policy().Choose(query, targets), 1u);
  }
  EXPECT_EQ(Pow2Policy().Choose(query, Targets({{.in_flight = 1}})), 0u);
}

TEST(DynamoPolicyTest, CostsPrefillAndActiveBlocks) {
  DynamoPolicy dynamo({.targets = 2, .block_size_tokens = 16});
  const std::vector<BlockKey> blocks = Blocks(10);
  // Both idle. 0: 160 / 16 - 0 + 11; 1: 10 - 5 + 11.
  EXPECT_EQ(dynamo.Choose(Prompt(161, blocks),
                          Targets({{.uncached = 161}, {.uncached = 81, .matched = 80}})),
            1u);
  // A request of the same prompt runs at 1: its blocks are shared there. Were they not, 1 would
  // cost 11 more and lose.
  const auto busy = Targets({{.uncached = 161}, {.uncached = 81, .queued = 80, .matched = 80}});
  dynamo.Dispatched(Prompt(161, blocks), busy[1]);
  EXPECT_EQ(dynamo.Choose(Prompt(161, blocks), busy), 0u);  // 21.06 and 10.06 + 12
  const auto prefilled = Targets({{.uncached = 161}, {.uncached = 81, .matched = 80}});
  EXPECT_EQ(dynamo.Choose(Prompt(161, blocks), prefilled), 1u);           // 5.06 + 12
  EXPECT_EQ(dynamo.Choose(Prompt(161, Blocks(10, 500)), prefilled), 0u);  // 5.06 + 22
  dynamo.Ended(0, 1, Nanos(0));
  EXPECT_EQ(dynamo.Choose(Prompt(161, Blocks(10, 500)), prefilled), 1u);
}

}  // namespace
}  // namespace kvroute
