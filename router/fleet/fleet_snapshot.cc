#include "router/fleet/fleet_snapshot.h"

#include <algorithm>
#include <bit>

namespace kvroute {

const ModelTargets* FleetSnapshot::FindModel(std::string_view model) const {
  if (model.empty()) return models.size() == 1 ? &models[0] : nullptr;
  const auto it =
      std::lower_bound(models.begin(), models.end(), model,
                       [](const ModelTargets& m, std::string_view name) { return m.model < name; });
  if (it != models.end() && it->model == model) return &*it;
  const auto other = served_names_.find(model);
  return other == served_names_.end() ? nullptr : &models[other->second];
}

const ModelTargets* FleetSnapshot::FindAdapter(std::string_view adapter) const {
  const auto it = adapters_.find(adapter);
  return it == adapters_.end() ? nullptr : &models[it->second];
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
                     spec.max_requests_in_flight, spec.bigram,
                     !target.worker->TakesRequests(target.rank),
                     target.worker->source == WorkerSource::kDiscovered, spec.role});
    if (models.empty() || models.back().model != spec.model) {
      std::shared_ptr<ModelState>& state = (*states)[spec.model];
      if (state == nullptr) state = std::make_shared<ModelState>();
      used.emplace(spec.model, state);
      models.push_back({.model = spec.model, .begin = i, .end = i, .state = state});
    }
    models.back().end = i + 1;
    if (spec.role != WorkerRole::kDecode) models.back().has_prefillers = true;
    for (const std::string& name : spec.served_names) {
      served_names_.try_emplace(name, static_cast<uint32_t>(models.size() - 1));
    }
    for (const std::string& adapter : spec.adapters) {
      adapters_.try_emplace(adapter, static_cast<uint32_t>(models.size() - 1));
    }
    WorkerRange& range = workers_.try_emplace(spec.worker_id, WorkerRange{i, 0}).first->second;
    ++range.ranks;
    size_t slot = target.stream->id.value() & (streams_.size() - 1);
    while (streams_[slot].target != kNoTarget) slot = (slot + 1) & (streams_.size() - 1);
    streams_[slot] = {target.stream->id.value(), i};
  }
  std::shared_ptr<ModelState>& of_all = (*states)[""];
  if (of_all == nullptr) of_all = std::make_shared<ModelState>();
  all = {.model = "", .begin = 0, .end = static_cast<uint32_t>(targets.size()), .state = of_all};
  for (const ModelTargets& model : models) all.has_prefillers |= model.has_prefillers;
  used.emplace("", of_all);
  *states = std::move(used);
}

}  // namespace kvroute
