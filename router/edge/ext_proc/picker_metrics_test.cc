#include "router/edge/ext_proc/picker_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::Not;

class PickerMetricsTest : public testing::Test {
 protected:
  PickerMetricsTest() {
    stats_.open_streams = 3;
    stats_.requests[static_cast<size_t>(BodyMode::kFullDuplex)] = 5;
    stats_.Count(PickOutcome::kEmptySubset);
    stats_.bodies[static_cast<size_t>(Api::kChat)][static_cast<size_t>(Unscored::kNotJson)] = 2;
    stats_.renders[static_cast<size_t>(RenderFailure::kDeadline)] = 4;
    stats_.responses[2] = 7;
    stats_.Count(ObjectiveClass::kNegative);
    AddPickerMetrics(stats_, &page_);
  }

  PickerStats stats_;
  Exposition page_;
};

TEST_F(PickerMetricsTest, HasEveryMetricOfThePickers) {
  std::set<std::string> names;
  for (const auto& family : page_.Families()) names.insert(family.name);
  size_t count = 0;
  for (const MetricDef& def : kMetrics) {
    if (!def.name.starts_with("kvroute_picker_")) continue;
    EXPECT_EQ(names.count(std::string(def.name)), 1u) << def.name;
    ++count;
  }
  EXPECT_GT(count, 10u);
}

TEST_F(PickerMetricsTest, CountsAreWhereTheirNamesAre) {
  const std::string text = page_.Text();
  EXPECT_THAT(text, HasSubstr("kvroute_picker_streams_open 3\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_picker_requests_total{mode=\"full_duplex\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_picker_outcomes_total{outcome=\"empty_subset\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_picker_bodies_total{api=\"chat\",reason=\"not_json\"} 2\n"));
  EXPECT_THAT(text, Not(HasSubstr("api=\"embeddings\"")));
  EXPECT_THAT(text, HasSubstr("kvroute_picker_renders_total{failure=\"deadline\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_picker_objectives_total{priority=\"negative\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_picker_responses_total{class=\"2xx\"} 7\n"));
}

}  // namespace
}  // namespace kvroute
