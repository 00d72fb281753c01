#include "tools/placement/cache_ladder.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

// Prompts of two blocks of 512 tokens and one token.
PlacementWorkload TwoBlockPrompts(std::vector<std::pair<uint64_t, uint64_t>> prompts) {
  std::vector<TraceRequest> trace;
  for (const auto& [first, second] : prompts) {
    trace.push_back({.timestamp_ms = static_cast<int64_t>(trace.size()),
                     .input_length = 1'025,
                     .output_length = 1,
                     .hash_ids = {TraceBlockId(first), TraceBlockId(second), TraceBlockId(99)}});
  }
  return *PlacementWorkload::Make(trace, 512, {});
}

TEST(CacheLadderTest, OnePoolForgetsWhatAnInfiniteOneHas) {
  const PlacementWorkload workload = TwoBlockPrompts({{1, 2}, {3, 4}, {1, 2}, {1, 5}});
  const CacheLadder large = MeasureLadder(workload, 100);
  EXPECT_DOUBLE_EQ(large.infinite, 3 * 512 / 4'100.0);
  EXPECT_DOUBLE_EQ(large.one_pool, large.infinite);
  const CacheLadder small = MeasureLadder(workload, 3);  // 3, 4 take the place of 2
  EXPECT_DOUBLE_EQ(small.one_pool, 2 * 512 / 4'100.0);
  EXPECT_DOUBLE_EQ(MeasureLadder(workload, 1).one_pool, 0);
}

}  // namespace
}  // namespace kvroute
