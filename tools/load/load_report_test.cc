#include "tools/load/load_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

LoadReport GoodReport() {
  LoadReport report;
  report.streams = 2;
  report.target_blocks_per_second = 1'000;
  report.seconds = 10;
  report.published = {
      .batches = 320, .stored_blocks = 10'000, .removed_blocks = 9'000, .bytes = 1'000'000};
  report.published_batches = report.applied_batches = 400;
  report.verified_prompts = 32;
  report.visible = {.count = 320, .p50_ms = 1, .p90_ms = 2, .p99_ms = 40, .max_ms = 60};
  report.server =
      LoadReport::Server{.rss_start_bytes = 100e6, .rss_end_bytes = 104e6, .rss_max_bytes = 105e6};
  return report;
}

const LoadLimits kLimits = {.max_p99_ms = 50, .max_rss_growth = 0.05};

TEST(LoadReport, AGoodRunHasNoFailures) { EXPECT_THAT(Failures(GoodReport(), kLimits), IsEmpty()); }

TEST(LoadReport, EachWayToFailIsNamed) {
  LoadReport report = GoodReport();
  report.applied_batches = 399;
  EXPECT_THAT(Failures(report, kLimits),
              ElementsAre(HasSubstr("400 batches published, 399 applied")));

  report = GoodReport();
  report.not_exact = {"load-1: degraded (replay_hole)"};
  EXPECT_THAT(Failures(report, kLimits), ElementsAre(HasSubstr("load-1: degraded (replay_hole)")));

  report = GoodReport();
  report.wrong_prompts = 3;
  EXPECT_THAT(Failures(report, kLimits), ElementsAre(HasSubstr("3 of 32 prompts")));

  report = GoodReport();
  report.failed_scores = 1;
  EXPECT_THAT(Failures(report, kLimits), ElementsAre(HasSubstr("1 Score calls")));

  report = GoodReport();
  report.published.stored_blocks = 9'700;
  EXPECT_THAT(Failures(report, kLimits), ElementsAre(HasSubstr("970 blocks/s of 1000")));

  report = GoodReport();
  report.visible.p99_ms = 50.1;
  EXPECT_THAT(Failures(report, kLimits), ElementsAre(HasSubstr("p99 50.10 ms, limit 50.00 ms")));

  report = GoodReport();
  report.server->rss_end_bytes = 105.1e6;
  EXPECT_THAT(Failures(report, kLimits), ElementsAre(HasSubstr("resident memory")));

  report = GoodReport();
  report.server.reset();
  EXPECT_THAT(Failures(report, kLimits), ElementsAre(HasSubstr("no /metrics")));
}

TEST(LoadReport, LimitsThatAreNotSetDoNotFail) {
  LoadReport report = GoodReport();
  report.visible.p99_ms = 5'000;
  report.server.reset();
  EXPECT_THAT(Failures(report, {}), IsEmpty());
  report.published.stored_blocks = 1;
  LoadLimits any_rate;
  any_rate.min_rate = 0;
  EXPECT_THAT(Failures(report, any_rate), IsEmpty());
}

TEST(LoadReport, JsonSaysWhatTheTableSays) {
  LoadReport report = GoodReport();
  report.applied_batches = 398;
  const auto failures = Failures(report, {});
  const auto json = nlohmann::json::parse(LoadReportJson(report, failures));
  EXPECT_EQ(json.at("lost_batches"), 2);
  EXPECT_EQ(json.at("publish_to_visible_ms").at("p99"), 40);
  EXPECT_EQ(json.at("ok"), false);
  EXPECT_EQ(json.at("failures").size(), 1u);
  EXPECT_EQ(json.at("server").at("rss_end_bytes"), 104e6);
  EXPECT_THAT(LoadReportTable(report), HasSubstr("398 of 400 batches, 2 lost"));
}

}  // namespace
}  // namespace kvroute
