#include "indexer/telemetry/exposition.h"

#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>
#include <utility>

#include "absl/strings/str_split.h"
#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr int kFirstBoundPower = 7;
constexpr int kLastBoundPower = 34;

prometheus::MetricType TypeOf(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return prometheus::MetricType::Counter;
    case MetricKind::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricKind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

double Seconds(Nanos duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

prometheus::ClientMetric* Exposition::NewSample(Metric metric, Labels label_values) {
  const std::vector<std::string> names =
      absl::StrSplit(std::string(DefOf(metric).labels), ',', absl::SkipEmpty());
  KVROUTE_CHECK(names.size() == label_values.size());
  prometheus::ClientMetric& sample = samples_[static_cast<size_t>(metric)].emplace_back();
  auto value = label_values.begin();
  for (const std::string& name : names) {
    sample.label.push_back({name, std::string(*value++)});
  }
  return &sample;
}

void Exposition::Add(Metric metric, Labels label_values, double value) {
  prometheus::ClientMetric* sample = NewSample(metric, label_values);
  KVROUTE_CHECK(DefOf(metric).kind != MetricKind::kHistogram);
  if (DefOf(metric).kind == MetricKind::kCounter) {
    sample->counter.value = value;
  } else {
    sample->gauge.value = value;
  }
}

void Exposition::AddHistogram(Metric metric, Labels label_values,
                              const LatencyHistogram::Snapshot& snapshot) {
  KVROUTE_CHECK(DefOf(metric).kind == MetricKind::kHistogram);
  prometheus::ClientMetric::Histogram& out = NewSample(metric, label_values)->histogram;
  uint64_t cumulative = 0;
  int bucket = 0;
  for (int power = kFirstBoundPower; power <= kLastBoundPower; ++power) {
    const Nanos bound(int64_t{1} << power);
    while (LatencyHistogram::UpperBound(bucket) <= bound) {
      cumulative += snapshot.buckets[static_cast<size_t>(bucket++)];
    }
    out.bucket.push_back({cumulative, Seconds(bound)});
  }
  out.bucket.push_back({snapshot.count, std::numeric_limits<double>::infinity()});
  out.sample_count = snapshot.count;
  out.sample_sum = Seconds(snapshot.sum);
}

void Exposition::AddHistogram(Metric metric, Labels label_values,
                              absl::Span<const double> upper_bounds,
                              absl::Span<const uint64_t> counts, double sum) {
  KVROUTE_CHECK(DefOf(metric).kind == MetricKind::kHistogram);
  KVROUTE_CHECK(counts.size() == upper_bounds.size() + 1);
  prometheus::ClientMetric::Histogram& out = NewSample(metric, label_values)->histogram;
  uint64_t cumulative = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    cumulative += counts[i];
    out.bucket.push_back({cumulative, i < upper_bounds.size()
                                          ? upper_bounds[i]
                                          : std::numeric_limits<double>::infinity()});
  }
  out.sample_count = cumulative;
  out.sample_sum = sum;
}

std::vector<prometheus::MetricFamily> Exposition::Families() const {
  std::vector<prometheus::MetricFamily> families;
  for (const MetricDef& def : kMetrics) {
    const auto& samples = samples_[static_cast<size_t>(def.metric)];
    if (samples.empty()) continue;
    families.push_back({std::string(def.name), std::string(def.help), TypeOf(def.kind), samples});
  }
  return families;
}

std::string Exposition::Text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, Families());
  return std::move(out).str();
}

}  // namespace kvroute
