#include "router/fleet/snapshot_builder.h"

#include <atomic>

namespace kvroute {
namespace {

// Across all fleets of the process, so that a reader's view of one is never taken for another's.
uint64_t NextVersion() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

void SnapshotBuilder::Set(const std::string& worker_id, std::shared_ptr<const FleetEntry> entry) {
  if (const auto known = model_of_.find(worker_id); known != model_of_.end()) {
    entries_.erase({known->second, worker_id});
    model_of_.erase(known);
  }
  if (entry == nullptr) return;
  const std::string& model = entry->worker->spec.model;
  model_of_.emplace(worker_id, model);
  entries_.emplace(std::pair(model, worker_id), std::move(entry));
}

std::shared_ptr<const FleetSnapshot> SnapshotBuilder::Build(uint64_t change_number) {
  auto snapshot = std::make_shared<FleetSnapshot>();
  snapshot->version = NextVersion();
  snapshot->change_number = change_number;
  snapshot->targets.reserve(entries_.size());
  for (const auto& [place, entry] : entries_) {
    snapshot->targets.insert(snapshot->targets.end(), entry->targets.begin(), entry->targets.end());
  }
  snapshot->BuildLookups(&models_);
  return snapshot;
}

}  // namespace kvroute
