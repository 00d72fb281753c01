#include "tools/placement/placement_figures.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

using std::chrono::milliseconds;

TEST(PlacementFiguresTest, TimesAreOfTheRequestsBehindTheWarmUp) {
  std::vector<TraceRequest> trace;
  PlacementOutcome outcome;
  for (int i = 0; i < 10; ++i) {
    trace.push_back({.timestamp_ms = i,
                     .input_length = 100,
                     .output_length = 11,
                     .hash_ids = {TraceBlockId(static_cast<uint64_t>(i))}});
    const milliseconds arrival(100 * i);
    const milliseconds first = arrival + milliseconds(10 * (i + 1));
    outcome.requests.push_back({.arrival = arrival,
                                .first_token = first,
                                .end = first + milliseconds(i < 9 ? 50 : 500),
                                .target = 0,
                                .cached_tokens = 25});
  }
  outcome.prefilled_tokens = {300, 100};
  outcome.end = outcome.requests.back().end;
  const auto workload = PlacementWorkload::Make(trace, 16, {});
  ASSERT_TRUE(workload.ok());
  const PlacementFigures figures = FiguresOf(outcome, *workload,
                                             {.warm_up_share = 0.5,
                                              .ttft_objective_ms = 91,
                                              .tpot_objective_ms = 10,
                                              .first_token_ms = 1});
  EXPECT_EQ(figures.requests, 5u);
  EXPECT_DOUBLE_EQ(figures.ttft_mean_ms, 81);  // 60 to 100, and 1
  EXPECT_DOUBLE_EQ(figures.ttft_ms.p50, 81);
  EXPECT_DOUBLE_EQ(figures.ttft_ms.p99, 101);
  EXPECT_DOUBLE_EQ(figures.tpot_mean_ms, (4 * 5 + 50) / 5.0);
  EXPECT_DOUBLE_EQ(figures.goodput_share, 0.8) << "the last one misses both objectives";
  EXPECT_DOUBLE_EQ(figures.goodput_rps, 4 / 1.0);  // from 500 ms to 1,500 ms
  EXPECT_DOUBLE_EQ(figures.hit_rate, 0.25) << "of all requests";
  EXPECT_DOUBLE_EQ(figures.imbalance, 1.5);
}

TEST(PlacementFiguresTest, RepetitionsHaveAMeanAndASpread) {
  std::vector<PlacementFigures> repetitions(2);
  repetitions[0].ttft_mean_ms = 90;
  repetitions[1].ttft_mean_ms = 110;
  repetitions[1].ttft_ms.p99 = 7;
  EXPECT_DOUBLE_EQ(MeanOf(repetitions).ttft_mean_ms, 100);
  EXPECT_DOUBLE_EQ(MeanOf(repetitions).ttft_ms.p99, 3.5);
  EXPECT_DOUBLE_EQ(MeanOf(repetitions).imbalance, 1);
  const auto mean = [](const PlacementFigures& figures) { return figures.ttft_mean_ms; };
  EXPECT_DOUBLE_EQ(SpreadOf(repetitions, mean), 0.2);
  EXPECT_DOUBLE_EQ(SpreadOf(absl::MakeSpan(repetitions).first(1), mean), 0);
}

}  // namespace
}  // namespace kvroute
