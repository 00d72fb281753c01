#include "tools/placement/placement_simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/placement/example_trace.h"
#include "tools/workload/generator.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;

PlacementSimulationOptions Options(size_t workers) {
  PlacementSimulationOptions options;
  options.workers = workers;
  options.engine.capacity_blocks = 4'096;
  options.profile = *FindProfile("qwen3-0.6b-a30");
  return options;
}

PlacementOutcome RunPolicy(const PlacementSimulationOptions& options,
                           const PlacementWorkload& workload, const std::string& name) {
  const auto policy =
      FindPlacementPolicy(name)->make({.targets = options.workers,
                                       .block_size_tokens = workload.block_size_tokens(),
                                       .max_step_tokens = options.engine.max_step_tokens,
                                       .profile = options.profile,
                                       .seed = options.tie_seed});
  return PlacementSimulation(options, &workload, policy.get()).Run();
}

std::vector<uint32_t> TargetsOf(const PlacementOutcome& outcome) {
  std::vector<uint32_t> targets;
  for (const PlacedRequest& request : outcome.requests) targets.push_back(request.target);
  return targets;
}

PlacementWorkload Generated(uint32_t requests) {
  GeneratorOptions generator;
  generator.requests = requests;
  generator.max_input_tokens = 16'000;
  return *PlacementWorkload::Make(GenerateTrace(generator), 64, {});
}

TEST(PlacementSimulationTest, StepsTakeWhatTheProfileSays) {
  // Chunks of 2,048 and 952 tokens, then two steps that decode one token each.
  const auto workload = PlacementWorkload::Make({Traced(0, 3'000, 3, {1, 2, 3, 4, 5, 6})}, 16, {});
  const PlacementOutcome outcome = RunPolicy(Options(1), *workload, "random");
  const HardwareProfile& profile = *FindProfile("qwen3-0.6b-a30");
  const double prefill = 2 * profile.step_ms + profile.PrefillMs(3'000, 0);
  EXPECT_NEAR(Ms(outcome.requests[0].first_token), prefill, 1e-4);
  const double decode =
      2 * (profile.step_ms + profile.decode_ms) + profile.context_ms * (3'000 + 3'001);
  EXPECT_NEAR(Ms(outcome.end), prefill + decode, 1e-4);
}

TEST(PlacementSimulationTest, AHitIsNotComputedAgain) {
  const auto workload = PlacementWorkload::Make(
      {Traced(0, 1'024, 1, {1, 2}), Traced(60'000, 1'024, 1, {1, 2})}, 16, {});
  const PlacementOutcome outcome = RunPolicy(Options(2), *workload, "affinity");
  EXPECT_EQ(outcome.requests[0].cached_tokens, 0u);
  EXPECT_EQ(outcome.requests[1].cached_tokens, 1'008u) << "the last block is computed again";
  EXPECT_EQ(outcome.requests[1].target, outcome.requests[0].target);
}

TEST(PlacementSimulationTest, ThinkingBeginsWhenTheTurnBeforeHasEnded) {
  // The second turn came 10 s behind the first, whose answer took 3 s of them.
  const std::vector<TraceRequest> trace = {Traced(0, 1'100, 100, {1, 2, 3}),
                                           Traced(10'000, 2'100, 100, {1, 2, 4, 5, 6})};
  const auto workload = PlacementWorkload::Make(trace, 16, {});
  PlacementSimulationOptions options = Options(1);
  options.time_scale = 0.5;
  EXPECT_EQ(RunPolicy(options, *workload, "lpwl").requests[1].arrival, milliseconds(5'000));
  options.driving = Driving::kThink;
  const PlacementOutcome outcome = RunPolicy(options, *workload, "lpwl");
  EXPECT_EQ(outcome.requests[1].arrival, outcome.requests[0].end + milliseconds(3'500));
}

TEST(PlacementSimulationTest, OfOneMomentAllArePlacedBeforeAnEngineBegins) {
  const std::vector<TraceRequest> trace(8, Traced(0, 1'000, 5, {1, 2}));
  const auto workload = PlacementWorkload::Make(trace, 16, {});
  std::vector<uint32_t> targets = TargetsOf(RunPolicy(Options(4), *workload, "lmetric"));
  std::sort(targets.begin(), targets.end());
  EXPECT_THAT(targets, testing::ElementsAre(0, 0, 1, 1, 2, 2, 3, 3));
}

TEST(PlacementSimulationTest, TheSameInputHasTheSameOutcome) {
  const PlacementWorkload workload = Generated(200);
  PlacementSimulationOptions options = Options(4);
  options.time_scale = 0.3;
  for (const PolicyEntry& entry : PlacementPolicies()) {
    const PlacementOutcome one = RunPolicy(options, workload, entry.name);
    const PlacementOutcome other = RunPolicy(options, workload, entry.name);
    EXPECT_EQ(TargetsOf(one), TargetsOf(other)) << entry.name;
    EXPECT_EQ(one.end, other.end) << entry.name;
    for (const PlacedRequest& request : one.requests) {
      EXPECT_GT(request.first_token, request.arrival) << entry.name;
      EXPECT_GE(request.end, request.first_token) << entry.name;
    }
  }
}

// What is served decides as its policy does on the pools themselves: its index is exact.
TEST(PlacementSimulationTest, TheRouterDecidesAsItsPolicyOnThePools) {
  const PlacementWorkload workload = Generated(300);
  PlacementSimulationOptions options = Options(4);
  options.time_scale = 0.3;
  options.engine.capacity_blocks = 512;
  for (const std::string policy : {"lmetric", "prefix", "least_loaded"}) {
    const PlacementOutcome served = RunPolicy(options, workload, "kvroute:" + policy);
    const PlacementOutcome local = RunPolicy(options, workload, policy);
    EXPECT_EQ(served.end, local.end) << policy;
    uint64_t differ = 0;
    for (size_t i = 0; i < served.requests.size(); ++i) {
      differ += served.requests[i].target != local.requests[i].target ? 1 : 0;
    }
    EXPECT_EQ(differ, 0u) << policy;
  }
}

TEST(PlacementSimulationTest, WhatIsAnnouncedLateIsNotMatched) {
  const std::vector<TraceRequest> trace = {Traced(0, 4'096, 1, {1, 2, 3, 4, 5, 6, 7, 8}),
                                           Traced(20'000, 4'096, 1, {1, 2, 3, 4, 5, 6, 7, 8}),
                                           Traced(90'000, 4'096, 1, {1, 2, 3, 4, 5, 6, 7, 8})};
  const auto workload = PlacementWorkload::Make(trace, 16, {});
  class Matches : public PlacementPolicy {
   public:
    size_t Choose(const PlacementQuery&, absl::Span<const Candidate> targets) override {
      matched.push_back(targets[0].matched_tokens);
      return 0;
    }
    std::vector<uint64_t> matched;
  } policy;
  PlacementSimulationOptions options = Options(1);
  options.announcement_lag = std::chrono::seconds(60);
  PlacementSimulation(options, &*workload, &policy).Run();
  EXPECT_THAT(policy.matched, testing::ElementsAre(0, 0, 4'096));
}

}  // namespace
}  // namespace kvroute
