#include "router/fleet/fleet_snapshot.h"

#include <algorithm>
#include <bit>

namespace kvroute {

const ModelTargets* FleetSnapshot::FindModel(std::string_view model) const {
  if (model.empty()) return models.size() == 1 ? &models[0] : nullptr;
  const auto it =
      std::lower_bound(models.begin(), models.end(), model,
                       [](const ModelTargets& m, std::string_view name) { return m.model < name; });
  return it != models.end() && it->model == model ? &*it : nullptr;
}

std::optional<uint32_t> FleetSnapshot::FindTarget(std::string_view worker_id, uint32_t rank) const {
  const auto it = workers_.find(worker_id);
  if (it == workers_.end() || rank >= it->second.ranks) return std::nullopt;
  return it->second.begin + rank;
}

void FleetSnapshot::BuildLookups(
    absl::flat_hash_map<std::string, std::shared_ptr<ModelState>>* states) {
  facts.reserve(targets.size());
  streams_.assign(std::bit_ceil(2 * targets.size() + 2), StreamSlot{});
  absl::flat_hash_map<std::string, std::shared_ptr<ModelState>> used;
  for (uint32_t i = 0; i < targets.size(); ++i) {
    const FleetTarget& target = targets[i];
    const WorkerSpec& spec = target.worker->spec;
    facts.push_back({target.stream.get(), target.load.get(), spec.block_size_tokens,
                     spec.max_requests_in_flight, spec.bigram, target.worker->draining,
                     target.worker->source == WorkerSource::kDiscovered});
    if (models.empty() || models.back().model != spec.model) {
      std::shared_ptr<ModelState>& state = (*states)[spec.model];
      if (state == nullptr) state = std::make_shared<ModelState>();
      used.emplace(spec.model, state);
      models.push_back({spec.model, i, i, state});
    }
    models.back().end = i + 1;
    WorkerRange& range = workers_.try_emplace(spec.worker_id, WorkerRange{i, 0}).first->second;
    ++range.ranks;
    size_t slot = target.stream->id.value() & (streams_.size() - 1);
    while (streams_[slot].target != kNoTarget) slot = (slot + 1) & (streams_.size() - 1);
    streams_[slot] = {target.stream->id.value(), i};
  }
  *states = std::move(used);
}

}  // namespace kvroute
