#include "tools/fleet/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kvroute {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

PolicyReport Asking(uint64_t cached_tokens, const PredictionVerdicts& predictions) {
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
  FleetReport report{.judged = Judged::kByBounds};
  report.policies.emplace_back("lmetric", Asking(5'000, {.equal = 50, .not_settled = 50}));
  report.policies.emplace_back("oracle:lmetric", Oracle(5'099));
  EXPECT_THAT(BrokenPromises(report, {.min_checked_share = 0.5}), IsEmpty());
}

TEST(ReportTest, NamesEachBrokenPromise) {
  FleetReport report{.judged = Judged::kByBounds};
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

TEST(ReportTest, InLockStepEveryDecisionMustBeTheOracles) {
  const DecisionRecord first{.target = 2, .matched_blocks = 7, .uncached_tokens = 20};
  const DecisionRecord second{.target = 5, .matched_blocks = 1, .requests_in_flight = 3};
  FleetReport report{.ranks = 2, .seed = 9};
  report.policies.emplace_back("lmetric", Asking(5'000, {.equal = 2}));
  report.policies.emplace_back("oracle:lmetric", Oracle(5'000));
  std::vector<DecisionRecord>& asked = report.policies[0].second.decisions;
  asked = report.policies[1].second.decisions = {first, second};
  EXPECT_THAT(BrokenPromises(report, {}), IsEmpty());
  EXPECT_EQ(nlohmann::json::parse(ToJson(report))["policies"]["lmetric"]["decisions_as_oracle"], 2);

  asked[1].requests_in_flight = 2;
  EXPECT_THAT(
      BrokenPromises(report, {}),
      ElementsAre(
          AllOf(HasSubstr("lmetric: request 1 is the first"),
                HasSubstr("kvroute chose w2.1 with 1 blocks matched, 0 tokens uncached, 2 req"),
                HasSubstr("the oracle chose w2.1 with 1 blocks matched, 0 tokens uncached, 3 req"),
                Not(HasSubstr("tie")))));
  asked = {first};
  EXPECT_THAT(BrokenPromises(report, {}),
              ElementsAre(HasSubstr("lmetric: 1 decisions, the oracle made 2")));
  asked = {first, second};
  asked[0].target = 3;
  EXPECT_THAT(BrokenPromises(report, {}),
              ElementsAre(HasSubstr("(a tie: does kvroute serve with --set "
                                    "routing.tie_break_seed=9?)")));
}

TEST(ReportTest, InLockStepNoPredictionMayBeUncheckable) {
  FleetReport report;
  report.policies.emplace_back("lmetric", Asking(5'000, {.equal = 99, .not_settled = 1}));
  EXPECT_THAT(BrokenPromises(report, {}), ElementsAre(HasSubstr("only 99.0 %")));
}

TEST(ReportTest, LagIsShownAndNotJudged) {
  FleetReport report{.judged = Judged::kNothingElse};
  report.policies.emplace_back("lmetric", Asking(4'000, {.equal = 1, .not_settled = 99}));
  report.policies.emplace_back("oracle:lmetric", Oracle(5'050));
  report.policies[0].second.ttft_ms = {.p50 = 110, .p90 = 220, .p99 = 330};
  report.policies[1].second.ttft_ms = {.p50 = 100, .p90 = 200, .p99 = 350};
  EXPECT_THAT(BrokenPromises(report, {}), IsEmpty());
  EXPECT_EQ(ToLag(report),
            "lag moved lmetric: hit rate -10.50 percentage points, TTFT p50 +10 ms, p90 +20 ms, "
            "p99 -20 ms\n");
  report.policies[0].second.predictions.over = 1;
  EXPECT_THAT(BrokenPromises(report, {}), ElementsAre(HasSubstr("1 of 2 predictions")));
}

TEST(ReportTest, TimesHaveALineAPolicy) {
  PolicyReport policy = Oracle(0);
  policy.wall_seconds = 10;
  policy.phases[static_cast<size_t>(Phase::kWaiting)] = std::chrono::milliseconds(4'200);
  policy.phases[static_cast<size_t>(Phase::kSimulating)] = std::chrono::milliseconds(5'800);
  FleetReport report;
  report.policies.emplace_back("prefix", policy);
  EXPECT_THAT(ToTimes(report), HasSubstr("prefix                   10.0 |      4.2      0.0"
                                         "        0.0        5.8\n"));
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
