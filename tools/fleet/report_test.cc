#include "tools/fleet/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kvroute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PolicyReport Asking(uint64_t cached_tokens, const PredictionCounts& predictions) {
  PolicyReport policy;
  policy.asks_kvroute = true;
  policy.requests = predictions.total();
  policy.prompt_tokens = 10'000;
  policy.cached_tokens = cached_tokens;
  policy.predictions = predictions;
  return policy;
}

PolicyReport Oracle(uint64_t cached_tokens) {
  PolicyReport policy;
  policy.prompt_tokens = 10'000;
  policy.cached_tokens = cached_tokens;
  return policy;
}

TEST(ReportTest, PercentilesAreNearestRank) {
  std::vector<double> samples;
  for (int i = 100; i >= 1; --i) samples.push_back(i);
  const Percentiles percentiles = PercentilesOf(samples);
  EXPECT_EQ(percentiles.p50, 50);
  EXPECT_EQ(percentiles.p90, 90);
  EXPECT_EQ(percentiles.p99, 99);
  EXPECT_EQ(PercentilesOf({3}).p99, 3);
  EXPECT_EQ(PercentilesOf({}).p50, 0);
}

TEST(ReportTest, JsonHasTheAgreedKeys) {
  FleetReport report{.trace = "t.jsonl", .workers = 4, .policies = {}};
  report.policies.emplace_back(
      "lmetric",
      Asking(5'000, {.equal = 5, .over = 1, .under = 2, .not_exact = 3, .not_settled = 4}));
  report.policies.emplace_back("oracle:lmetric", Oracle(5'000));
  const auto json = nlohmann::json::parse(ToJson(report));
  EXPECT_EQ(json["trace"], "t.jsonl");
  EXPECT_EQ(json["workers"], 4);
  const auto& policy = json["policies"]["lmetric"];
  EXPECT_EQ(policy["requests"], 15);
  EXPECT_EQ(policy["hit_rate"], 0.5);
  EXPECT_EQ(policy["predictions_equal"], 5);
  EXPECT_EQ(policy["predictions_over"], 1);
  EXPECT_EQ(policy["predictions_under"], 2);
  EXPECT_EQ(policy["predictions_not_exact"], 7) << "neither exact nor settled";
  for (const char* key : {"p50", "p90", "p99"}) EXPECT_TRUE(policy["ttft_ms"].contains(key)) << key;
  EXPECT_TRUE(policy.contains("imbalance"));
  EXPECT_TRUE(json["policies"].contains("oracle:lmetric"));
}

TEST(ReportTest, KeptPromisesAreSilent) {
  FleetReport report;
  report.policies.emplace_back("lmetric", Asking(5'000, {.equal = 50, .not_settled = 50}));
  report.policies.emplace_back("oracle:lmetric", Oracle(5'099));
  EXPECT_THAT(BrokenPromises(report, {.min_checked_share = 0.5}), IsEmpty());
}

TEST(ReportTest, NamesEachBrokenPromise) {
  FleetReport report;
  report.policies.emplace_back("lmetric", Asking(5'000, {.equal = 50, .over = 1}));
  report.policies.emplace_back("prefix", Asking(5'000, {.equal = 10, .not_exact = 90}));
  report.policies.emplace_back("kvroute:random", Asking(5'000, {.equal = 10}));
  report.policies.emplace_back("oracle:random", Oracle(5'101));
  report.policies.emplace_back("round_robin", Oracle(0));
  EXPECT_THAT(
      BrokenPromises(report, {.min_checked_share = 0.5}),
      ElementsAre(HasSubstr("lmetric: 1 of 51 predictions"), HasSubstr("prefix: only 10.0 %"),
                  HasSubstr("kvroute:random: hit rate 50.00 % is 1.01 percentage points")));
}

TEST(ReportTest, ARunWithoutPredictionsKeepsNoPromise) {
  FleetReport report;
  report.policies.emplace_back("lmetric", Asking(0, {}));
  EXPECT_EQ(BrokenPromises(report, {}).size(), 1u);
}

TEST(ReportTest, TableHasALineAPolicy) {
  FleetReport report;
  report.policies.emplace_back("lmetric", Asking(5'000, {.equal = 51}));
  report.policies.emplace_back("round_robin", Oracle(2'500));
  const std::string table = ToTable(report);
  EXPECT_THAT(table, HasSubstr("lmetric                    51  50.00% |       51"));
  EXPECT_THAT(table, HasSubstr("round_robin                 0  25.00% |        -"));
}

}  // namespace
}  // namespace kvroute
