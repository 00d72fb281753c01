#include "router/edge/health/readiness.h"

#include <fmt/core.h>

#include <utility>

namespace kvroute {

Readiness::Report Readiness::Evaluate(const FleetSnapshot& fleet, Nanos grace,
                                      std::vector<std::string> waiting) {
  Report report;
  report.waiting = std::move(waiting);
  for (const FleetTarget& target : fleet.targets) {
    const Trust trust = target.stream->trust.load(std::memory_order_relaxed);
    if (target.worker->source != WorkerSource::kConfig) continue;
    if (trust != Trust::kCold && trust != Trust::kSyncing) continue;
    report.waiting.push_back(fmt::format(
        "{} rank {}: {} ({})", target.worker->spec.worker_id, target.rank, TrustName(trust),
        TrustReasonName(target.stream->reason.load(std::memory_order_relaxed))));
  }
  if (report.waiting.empty() || clock_->Monotonic() - start_ >= grace) {
    reached_.store(true, std::memory_order_relaxed);
  }
  report.ready =
      reached_.load(std::memory_order_relaxed) && !ending_.load(std::memory_order_relaxed);
  return report;
}

}  // namespace kvroute
