#include "router/fleet/fleet_log.h"

#include "indexer/base/log_fields.h"

namespace kvroute {
namespace {

// What a person who looks for a change wants to know of it.
std::string ChangeOf(const FleetWorker& before, const FleetWorker& after) {
  if (before.draining != after.draining) return after.draining ? "drains" : "drains no longer";
  if (before.not_ready != after.not_ready) {
    return after.not_ready ? "is not ready, says its owner" : "is ready again";
  }
  if (before.spec.address != after.spec.address) return "is at " + after.spec.address + " now";
  return "is registered anew, with other settings";
}

}  // namespace

void FleetLog::Follow(const FleetSnapshot& fleet) {
  lines_ = 0;
  Workers now;
  for (const FleetTarget& target : fleet.targets) {
    now.emplace(target.worker->spec.worker_id, target.worker);
  }
  for (const auto& [id, worker] : workers_) {
    if (!now.contains(id)) Say(*worker, "is gone");
  }
  for (const auto& [id, worker] : now) {
    const auto before = workers_.find(id);
    if (before == workers_.end()) {
      Say(*worker, "is new");
    } else if (before->second != worker) {
      Say(*worker, ChangeOf(*before->second, *worker));
    }
  }
  workers_ = std::move(now);
  if (lines_ > kMostLines) {
    LogInfo("fleet: {} more changes at once are not shown", lines_ - kMostLines);
  }
}

void FleetLog::Say(const FleetWorker& worker, std::string_view what) {
  if (++lines_ > kMostLines) return;
  const WorkerSpec& spec = worker.spec;
  LogWith(LogLevel::kInfo,
          {{"worker", spec.worker_id},
           {"model", spec.model},
           {"source", WorkerSourceName(worker.source)},
           {"ranks", uint64_t{spec.data_parallel_size}},
           {"change", what}},
          "fleet: worker {} ({}, model {}, {} ranks) {}", spec.worker_id,
          WorkerSourceName(worker.source), spec.model, spec.data_parallel_size, what);
}

}  // namespace kvroute
