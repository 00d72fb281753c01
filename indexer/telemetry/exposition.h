#ifndef KVROUTE_INDEXER_TELEMETRY_EXPOSITION_H_
#define KVROUTE_INDEXER_TELEMETRY_EXPOSITION_H_

#include <prometheus/metric_family.h>

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/latency_histogram.h"
#include "indexer/telemetry/metric_names.h"

namespace kvroute {

// One scrape: collects samples of the metrics of metric_names.h, then gives them as Prometheus
// families or text. Metrics that no sample was added to are left out. Nothing is kept between
// scrapes: the sources are the program's own atomics.
//
// Thread safety: one thread.
class Exposition {
 public:
  using Labels = std::initializer_list<std::string_view>;

  // As many label values as the metric's definition has labels.
  void Add(Metric metric, Labels label_values, double value);
  void Add(Metric metric, double value) { Add(metric, {}, value); }
  // In seconds, with a bound at every power of two nanoseconds from 128 ns to 17 s: what it loses
  // against the source's finer buckets, it saves in series.
  void AddHistogram(Metric metric, Labels label_values, const LatencyHistogram::Snapshot& snapshot);
  // `counts` are not cumulative; one more than `upper_bounds`: the last counts what is above all
  // bounds.
  void AddHistogram(Metric metric, Labels label_values, absl::Span<const double> upper_bounds,
                    absl::Span<const uint64_t> counts, double sum);

  std::vector<prometheus::MetricFamily> Families() const;
  // Prometheus text format 0.0.4.
  std::string Text() const;
  // OpenMetrics 1.0.0, to its "# EOF".
  std::string OpenMetricsText() const;
  static constexpr char kTextType[] = "text/plain; version=0.0.4; charset=utf-8";
  static constexpr char kOpenMetricsType[] =
      "application/openmetrics-text; version=1.0.0; charset=utf-8";

 private:
  prometheus::ClientMetric* NewSample(Metric metric, Labels label_values);

  std::array<std::vector<prometheus::ClientMetric>, kMetricCount> samples_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_EXPOSITION_H_
