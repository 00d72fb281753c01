#include "router/edge/page/audit_metrics.h"

#include <algorithm>
#include <array>

namespace kvroute {
namespace {

double CountOf(const std::atomic<uint64_t>& counter) {
  return static_cast<double>(counter.load(std::memory_order_relaxed));
}

struct AuditMetrics {
  Metric predicted, cached, errors;
};

// Trusts that no prediction was of are left out.
void AddPredictions(const AuditMetrics& metrics, Exposition::Labels labels,
                    const PredictionCounts& predictions, Exposition* out) {
  std::array<uint64_t, kPredictionErrorBounds.size() + 1> counts{};
  uint64_t all = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = predictions.errors[i].load(std::memory_order_relaxed);
    all += counts[i];
  }
  if (all == 0) return;
  const double predicted = CountOf(predictions.predicted_tokens);
  const double cached = CountOf(predictions.cached_tokens);
  out->Add(metrics.predicted, labels, predicted);
  out->Add(metrics.cached, labels, cached);
  std::array<double, kPredictionErrorBounds.size()> bounds{};
  std::copy(kPredictionErrorBounds.begin(), kPredictionErrorBounds.end(), bounds.begin());
  out->AddHistogram(metrics.errors, labels, bounds, counts, cached - predicted);
}

}  // namespace

void AddAuditMetrics(const AuditStats& stats, Exposition* out) {
  for (size_t i = 0; i < stats.answers.size(); ++i) {
    out->Add(Metric::kAuditAnswers, {kUsageEndNames[static_cast<UsageEnd>(i)]},
             CountOf(stats.answers[i]));
  }
  for (size_t i = 0; i < stats.results.size(); ++i) {
    out->Add(Metric::kAuditResults, {kAuditResultNames[static_cast<AuditResult>(i)]},
             CountOf(stats.results[i]));
  }
  out->Add(Metric::kAuditAnswerTokens, {"prompt"}, CountOf(stats.prompt_tokens));
  out->Add(Metric::kAuditAnswerTokens, {"cached"}, CountOf(stats.cached_tokens));
  out->Add(Metric::kAuditAnswerTokens, {"output"}, CountOf(stats.output_tokens));
  out->Add(Metric::kAuditOtherPrompts, CountOf(stats.other_prompts));
  for (size_t i = 0; i < kTrustCount; ++i) {
    AddPredictions({Metric::kAuditPredicted, Metric::kAuditCached, Metric::kAuditErrors},
                   {TrustName(static_cast<Trust>(i))}, stats.by_trust[i], out);
  }
}

void AddStreamAudit(const FleetTarget& target, std::string_view rank, Exposition* out) {
  const TargetPredictions* const predictions = target.load->predictions();
  if (predictions == nullptr) return;
  for (size_t i = 0; i < kTrustCount; ++i) {
    AddPredictions(
        {Metric::kStreamAuditPredicted, Metric::kStreamAuditCached, Metric::kStreamAuditErrors},
        {target.worker->spec.worker_id, rank, TrustName(static_cast<Trust>(i))},
        predictions->by_trust[i], out);
  }
}

}  // namespace kvroute
