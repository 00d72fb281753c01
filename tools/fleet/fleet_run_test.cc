#include "tools/fleet/fleet_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/workload/generator.h"

namespace kvroute {
namespace {

using ::testing::HasSubstr;

SimulatedFleetOptions SmallFleet() {
  SimulatedFleetOptions options;
  options.workers = 4;
  options.engine.capacity_blocks = 2'048;
  return options;
}

std::vector<TraceRequest> SmallWorkload() {
  return GenerateTrace(
      {.seed = 4, .requests = 400, .first_message_tokens = 1'000, .max_input_tokens = 8'000});
}

PolicyReport RunSmall(const std::string& policy, const SimulatedFleetOptions& options) {
  const auto spec = ParsePolicySpec(policy);
  EXPECT_TRUE(spec.ok()) << spec.status();
  const std::vector<TraceRequest> workload = SmallWorkload();
  const auto report = RunPolicy(options, *spec, workload);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.value_or(PolicyReport());
}

TEST(FleetRunTest, NamesPolicies) {
  EXPECT_TRUE(ParsePolicySpec("lmetric")->asks_kvroute);
  EXPECT_TRUE(ParsePolicySpec("prefix")->asks_kvroute);
  EXPECT_FALSE(ParsePolicySpec("oracle:prefix")->asks_kvroute);
  EXPECT_FALSE(ParsePolicySpec("round_robin")->asks_kvroute);
  EXPECT_TRUE(ParsePolicySpec("kvroute:random")->asks_kvroute);
  EXPECT_EQ(ParsePolicySpec("oracle:prefix")->kind, PolicyKind::kPrefix);
  EXPECT_EQ(ParsePolicySpec("oracle:prefix")->name, "oracle:prefix");
  EXPECT_THAT(std::string(ParsePolicySpec("oracle:best").status().message()),
              HasSubstr("\"oracle:best\""));
}

TEST(FleetRunTest, EqualSeedsGiveEqualRuns) {
  SimulatedFleetOptions options = SmallFleet();
  const PolicyReport first = RunSmall("random", options);
  const PolicyReport again = RunSmall("random", options);
  EXPECT_EQ(first.cached_tokens, again.cached_tokens);
  EXPECT_EQ(first.ttft_ms.p99, again.ttft_ms.p99);
  EXPECT_EQ(first.virtual_seconds, again.virtual_seconds);
  options.seed = 2;
  EXPECT_NE(RunSmall("random", options).ttft_ms.p99, first.ttft_ms.p99);
}

TEST(FleetRunTest, KnowingTheCachesFindsMoreOfThem) {
  const PolicyReport oracle = RunSmall("oracle:lmetric", SmallFleet());
  const PolicyReport random = RunSmall("random", SmallFleet());
  EXPECT_EQ(oracle.requests, 400u);
  EXPECT_EQ(oracle.prompt_tokens, random.prompt_tokens);
  EXPECT_GT(oracle.hit_rate(), random.hit_rate() + 0.1);
  EXPECT_LT(oracle.ttft_ms.p90, random.ttft_ms.p90);
  EXPECT_GE(oracle.imbalance, 1.0);
  EXPECT_FALSE(oracle.asks_kvroute);
}

TEST(FleetRunTest, MisbehavingEnginesStillFinishEveryRequest) {
  SimulatedFleetOptions options = SmallFleet();
  const PolicyReport healthy = RunSmall("round_robin", options);
  for (const char* text :
       {"restart:w0@20s:5", "renumber:w1@30s", "clear:w2@40s", "pause:w3@50s:8", "drop:w0@1s:3",
        "corrupt:w1@1s", "lose:w2@1s", "duplicate:w3@1s", "cut:w0@60s:2"}) {
    options.misbehaviours.push_back(*ParseMisbehaviour(text));
  }
  const PolicyReport report = RunSmall("round_robin", options);
  EXPECT_EQ(report.requests, 400u);
  EXPECT_LT(report.hit_rate(), healthy.hit_rate()) << "three caches were lost";
  EXPECT_GT(report.ttft_ms.p99, healthy.ttft_ms.p99) << "two engines stood still for a while";
}

TEST(FleetRunTest, SaysWhatCannotRun) {
  SimulatedFleetOptions options = SmallFleet();
  const std::vector<TraceRequest> workload = SmallWorkload();
  EXPECT_TRUE(CheckWorkload(options, workload).ok());
  options.misbehaviours.push_back(*ParseMisbehaviour("drop:w4@1s"));
  EXPECT_THAT(std::string(CheckWorkload(options, workload).message()),
              HasSubstr("no worker 4 rank 0 among 4 workers"));
  options.engine.capacity_blocks = 10;
  EXPECT_THAT(std::string(CheckWorkload(options, workload).message()),
              HasSubstr("10 blocks of 16 tokens cannot hold"));
}

TEST(FleetRunTest, AKvrouteThatIsNotThereIsAnError) {
  SimulatedFleetOptions options = SmallFleet();
  options.kvroute = "127.0.0.1:1";
  options.kvroute_timeout = std::chrono::milliseconds(50);
  const std::vector<TraceRequest> workload = SmallWorkload();
  const auto report = RunPolicy(options, *ParsePolicySpec("lmetric"), workload);
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("Fleet.Register"));
}

}  // namespace
}  // namespace kvroute
