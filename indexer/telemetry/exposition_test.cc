#include "indexer/telemetry/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/telemetry/process_metrics.h"

namespace kvroute {
namespace {

using std::chrono::microseconds;
using testing::HasSubstr;
using testing::Not;

TEST(ExpositionTest, WritesTypeHelpLabelsAndValueInTheOrderOfTheTable) {
  Exposition out;
  out.Add(Metric::kGaps, 3);
  out.Add(Metric::kBuildInfo, {"1.2", "abc", "cc"}, 1);
  const std::string text = out.Text();
  EXPECT_THAT(text,
              HasSubstr("# TYPE kvroute_build_info gauge\n"
                        "kvroute_build_info{version=\"1.2\",commit=\"abc\",compiler=\"cc\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE kvroute_gaps_total counter\nkvroute_gaps_total 3\n"));
  EXPECT_LT(text.find("kvroute_build_info"), text.find("kvroute_gaps_total"));
  EXPECT_THAT(text, Not(HasSubstr("kvroute_events_total")));  // no sample, no family
}

// Held to Prometheus' own reader by deploy_test, which has promtool.
TEST(ExpositionTest, OpenMetricsNamesFamiliesWithoutTotalAndEnds) {
  Exposition out;
  out.Add(Metric::kGaps, 3);
  out.Add(Metric::kStreamGaps, {"a\"b\\c\nd", "0"}, 1);
  out.AddHistogram(Metric::kMatchedFraction, {}, {0.5, 1.0}, {4, 2, 0}, 3.5);
  const std::string text = out.OpenMetricsText();
  EXPECT_THAT(text, HasSubstr("# TYPE kvroute_gaps counter\n# HELP kvroute_gaps Holes"));
  EXPECT_THAT(text, HasSubstr("\nkvroute_gaps_total 3\n"));
  EXPECT_THAT(text, HasSubstr(R"({worker="a\"b\\c\nd",rank="0"} 1)"));
  EXPECT_THAT(text, HasSubstr("kvroute_matched_fraction_ratio_bucket{le=\"1.0\"} 6\n"
                              "kvroute_matched_fraction_ratio_bucket{le=\"+Inf\"} 6\n"
                              "kvroute_matched_fraction_ratio_count 6\n"
                              "kvroute_matched_fraction_ratio_sum 3.5\n"));
  EXPECT_THAT(text, testing::EndsWith("# EOF\n"));
}

TEST(ExpositionTest, EscapesLabelValuesThatComeFromOutside) {
  Exposition out;
  out.Add(Metric::kStreamGaps, {"a\"b\\c\nd", "0"}, 1);
  EXPECT_THAT(out.Text(), HasSubstr(R"(worker="a\"b\\c\nd")"));
}

TEST(ExpositionTest, HistogramBucketsAreCumulativeAndEndInTheCount) {
  LatencyHistogram histogram;
  histogram.Observe(Nanos(100));
  histogram.ObserveMany(microseconds(3), 5);
  histogram.Observe(std::chrono::seconds(40));  // beyond the last bound
  Exposition out;
  out.AddHistogram(Metric::kApplyDuration, {}, histogram.Read());
  const prometheus::ClientMetric::Histogram sample = out.Families().at(0).metric.at(0).histogram;
  ASSERT_EQ(sample.bucket.size(), 29u);
  EXPECT_EQ(sample.bucket.front().cumulative_count, 1u);
  EXPECT_DOUBLE_EQ(sample.bucket.front().upper_bound, 128e-9);
  for (size_t i = 1; i < sample.bucket.size(); ++i) {
    EXPECT_GE(sample.bucket[i].cumulative_count, sample.bucket[i - 1].cumulative_count);
    const uint64_t expected = sample.bucket[i].upper_bound < 3e-6 ? 1u : i < 28 ? 6u : 7u;
    EXPECT_EQ(sample.bucket[i].cumulative_count, expected) << sample.bucket[i].upper_bound;
  }
  EXPECT_EQ(sample.sample_count, 7u);
  EXPECT_NEAR(sample.sample_sum, 40 + 15e-6 + 1e-7, 1e-9);
}

TEST(ExpositionTest, HistogramOfGivenBoundsKeepsThem) {
  Exposition out;
  out.AddHistogram(Metric::kMatchedFraction, {}, {0.5, 1.0}, {4, 2, 0}, 3.5);
  EXPECT_THAT(out.Text(), HasSubstr("kvroute_matched_fraction_ratio_bucket{le=\"0.5\"} 4\n"
                                    "kvroute_matched_fraction_ratio_bucket{le=\"1\"} 6\n"
                                    "kvroute_matched_fraction_ratio_bucket{le=\"+Inf\"} 6\n"));
}

TEST(ExpositionDeathTest, WrongNumberOfLabelValuesIsAProgrammersError) {
  Exposition out;
  EXPECT_DEATH(out.Add(Metric::kReplays, 1), "CHECK failed");
}

TEST(ProcessMetricsTest, AreThisProcessesOwn) {
  Exposition out;
  AddProcessMetrics(&out);
  std::map<std::string, double> values;
  for (const auto& family : out.Families()) {
    const auto& sample = family.metric.at(0);
    values[family.name] =
        family.type == prometheus::MetricType::Counter ? sample.counter.value : sample.gauge.value;
  }
  EXPECT_EQ(values.size(), 7u);
  EXPECT_GE(values["process_threads"], 1);
  EXPECT_GE(values["process_open_fds"], 3);
  EXPECT_GT(values["process_resident_memory_bytes"], 1e6);
  EXPECT_GE(values["process_virtual_memory_bytes"], values["process_resident_memory_bytes"]);
  const double now = std::chrono::duration<double>(Clock::Real().Wall()).count();
  EXPECT_NEAR(values["process_start_time_seconds"], now, 600);
}

}  // namespace
}  // namespace kvroute
