#include "indexer/telemetry/exposition.h"

#include <fmt/core.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <iterator>
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

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

// The shortest that reads back the same; le="1.0", as OpenMetrics wants bounds.
std::string Number(double value, bool is_bound = false) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (std::isnan(value)) return "NaN";
  std::string text = fmt::format("{}", value);
  if (!is_bound && text.ends_with(".0")) text.resize(text.size() - 2);
  if (is_bound && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// {worker="w0",le="0.5"}, or nothing.
std::string LabelsOf(const prometheus::ClientMetric& sample, std::string_view more = "") {
  std::string labels;
  for (const auto& label : sample.label) {
    labels +=
        fmt::format("{}{}=\"{}\"", labels.empty() ? "" : ",", label.name, Escaped(label.value));
  }
  if (!more.empty()) labels += (labels.empty() ? "" : ",") + std::string(more);
  return labels.empty() ? "" : "{" + labels + "}";
}

constexpr std::string_view kTotal = "_total";

// Of a counter, its name without "_total", unless that is another metric's: "what is now" and "what
// there was in all" would be one family.
std::string_view FamilyOf(const MetricDef& def) {
  if (def.kind != MetricKind::kCounter || !def.name.ends_with(kTotal)) return def.name;
  const std::string_view family = def.name.substr(0, def.name.size() - kTotal.size());
  const bool taken = std::any_of(std::begin(kMetrics), std::end(kMetrics),
                                 [family](const MetricDef& other) { return other.name == family; });
  return taken ? def.name : family;
}

void AppendHistogram(std::string_view name, const prometheus::ClientMetric& sample,
                     std::string* out) {
  for (const auto& bucket : sample.histogram.bucket) {
    const std::string le = "le=\"" + Number(bucket.upper_bound, /*is_bound=*/true) + '"';
    *out += fmt::format("{}_bucket{} {}\n", name, LabelsOf(sample, le), bucket.cumulative_count);
  }
  *out += fmt::format("{0}_count{1} {2}\n{0}_sum{1} {3}\n", name, LabelsOf(sample),
                      sample.histogram.sample_count, Number(sample.histogram.sample_sum));
}

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

std::string Exposition::OpenMetricsText() const {
  std::string out;
  for (const MetricDef& def : kMetrics) {
    const auto& samples = samples_[static_cast<size_t>(def.metric)];
    if (samples.empty()) continue;
    const std::string_view family = FamilyOf(def);
    const bool is_counter = def.kind == MetricKind::kCounter;
    const bool counts = is_counter && family != def.name;
    const std::string_view type = counts                               ? "counter"
                                  : is_counter                         ? "unknown"
                                  : def.kind == MetricKind::kHistogram ? "histogram"
                                                                       : "gauge";
    out += fmt::format("# TYPE {0} {1}\n# HELP {0} {2}\n", family, type, Escaped(def.help));
    for (const prometheus::ClientMetric& sample : samples) {
      if (def.kind == MetricKind::kHistogram) {
        AppendHistogram(family, sample, &out);
        continue;
      }
      out += fmt::format("{}{}{} {}\n", family, counts ? kTotal : "", LabelsOf(sample),
                         Number(is_counter ? sample.counter.value : sample.gauge.value));
    }
  }
  return out + "# EOF\n";
}

}  // namespace kvroute
