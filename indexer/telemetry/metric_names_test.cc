#include "indexer/telemetry/metric_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace kvroute {
namespace {

using testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST(MetricNamesTest, FollowThePrometheusConventions) {
  std::set<std::string_view> seen;
  for (const MetricDef& def : kMetrics) {
    EXPECT_TRUE(seen.insert(def.name).second) << def.name;
    EXPECT_TRUE(def.name.starts_with("kvroute_") || def.name.starts_with("process_")) << def.name;
    EXPECT_EQ(def.kind == MetricKind::kCounter, def.name.ends_with("_total")) << def.name;
    EXPECT_FALSE(def.help.empty()) << def.name;
    EXPECT_TRUE(def.help.ends_with('.')) << def.name;
  }
}

// docs/metrics.md has one table row for each metric: | `name` | kind | labels | ... and no row for
// anything else.
TEST(MetricNamesTest, DocumentationNamesEveryMetricAndNoOther) {
  const std::string page = ReadFile("docs/metrics.md");
  ASSERT_FALSE(page.empty()) << "docs/metrics.md (run from the source directory)";
  for (const MetricDef& def : kMetrics) {
    constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};
    const std::string row = "| `" + std::string(def.name) + "` | " +
                            std::string(kKinds[static_cast<size_t>(def.kind)]) + " | " +
                            std::string(def.labels.empty() ? "" : std::string(def.labels) + " ") +
                            "| " + std::string(def.help) + " |";
    EXPECT_THAT(page, HasSubstr(row));
  }
  const std::regex row(R"(^\| `([a-z_]+)` \| (counter|gauge|histogram) )", std::regex::multiline);
  const auto rows = std::distance(std::sregex_iterator(page.begin(), page.end(), row), {});
  EXPECT_EQ(static_cast<size_t>(rows), kMetricCount);
}

}  // namespace
}  // namespace kvroute
