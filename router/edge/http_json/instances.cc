#include "router/edge/http_json/instances.h"

#include <fmt/format.h>

#include "absl/strings/numbers.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

constexpr std::string_view kRankMark = ".dp";

bool ParseUint(std::string_view text, uint64_t* value) {
  const bool plain = !text.empty() && text.find_first_not_of("0123456789") == text.npos &&
                     (text.size() == 1 || text.front() != '0');
  return plain && absl::SimpleAtoi(absl::string_view(text.data(), text.size()), value);
}

bool Matches(const Removal& removal, const InstanceRank& it) {
  return it.instance == removal.instance && (!removal.model || it.model == *removal.model) &&
         (!removal.group || it.group == *removal.group) &&
         (!removal.rank || it.rank == *removal.rank);
}

}  // namespace

std::string InstanceRank::WorkerId() const {
  std::string id = instance;
  if (group != kDefaultGroup) id += "@" + group;
  if (rank != 0) id += fmt::format("{}{}", kRankMark, rank);
  return id;
}

std::string ModelOfGroup(std::string_view model, std::string_view group) {
  if (group == kDefaultGroup) return std::string(model);
  return fmt::format("{}:{}", model, group);
}

InstanceRank InstanceOf(const FleetTarget& target) {
  const WorkerSpec& spec = target.worker->spec;
  InstanceRank it{.instance = spec.worker_id, .model = spec.model, .rank = target.rank};
  if (target.worker->source != WorkerSource::kApi) return it;
  uint64_t rank = 0;
  const size_t mark = it.instance.rfind(kRankMark);
  if (target.rank == 0 && mark != it.instance.npos &&
      ParseUint(std::string_view(it.instance).substr(mark + kRankMark.size()), &rank) &&
      rank <= UINT32_MAX) {
    it.rank = static_cast<uint32_t>(rank);
    it.instance.resize(mark);
  }
  const size_t at = it.instance.rfind('@');
  if (at == it.instance.npos) return it;
  const std::string group = it.instance.substr(at + 1);
  if (group.empty() || !it.model.ends_with(":" + group)) return it;
  it.model.resize(it.model.size() - group.size() - 1);
  it.instance.resize(at);
  it.group = group;
  return it;
}

uint64_t InstanceNumber(std::string_view instance) {
  uint64_t number = 0;
  if (ParseUint(instance, &number)) return number;
  uint64_t hash = 14695981039346656037u;
  for (const char byte : instance) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211u;
  }
  return hash;
}

absl::Status Instances::CheckPlace(const Registration& registration, bool one_place) const {
  const InstanceRank& wanted = registration.at;
  const std::shared_ptr<const FleetSnapshot> snapshot = fleet_->Snapshot();
  for (const FleetTarget& target : snapshot->targets) {
    const InstanceRank known = InstanceOf(target);
    const bool same_place = known.model == wanted.model && known.group == wanted.group;
    const uint32_t block_size = target.block_size_tokens();
    if (known.instance == wanted.instance && known.rank == wanted.rank && same_place) {
      return Error(absl::StatusCode::kAlreadyExists,
                   "instance {} dp_rank {} is already registered for model={} routing_group={}",
                   known.instance, known.rank, known.model, known.group);
    }
    if (known.instance == wanted.instance && !same_place && one_place) {
      return Error(absl::StatusCode::kAlreadyExists,
                   "instance {} is already registered for model={} routing_group={}",
                   known.instance, known.model, known.group);
    }
    if (same_place && block_size != 0 && block_size != registration.block_size_tokens) {
      return Error(absl::StatusCode::kAlreadyExists,
                   "block_size {} differs from {} of model={} routing_group={}",
                   registration.block_size_tokens, block_size, known.model, known.group);
    }
  }
  return absl::OkStatus();
}

absl::Status Instances::Register(const Registration& registration, bool one_place) {
  const InstanceRank& at = registration.at;
  WorkerSpec spec;
  spec.worker_id = at.WorkerId();
  spec.address = at.instance;  // these clients know where their instances are
  spec.model = ModelOfGroup(at.model, at.group);
  spec.engine = registration.engine;
  spec.block_size_tokens = registration.block_size_tokens;
  spec.event_endpoint = registration.event_endpoint;
  spec.replay_endpoint = registration.replay_endpoint;
  KVROUTE_RETURN_IF_ERROR(ValidateWorker(spec, WorkerSource::kApi));
  MutexLock lock(&mutex_);
  KVROUTE_RETURN_IF_ERROR(CheckPlace(registration, one_place));
  return fleet_->Register(spec);
}

absl::StatusOr<std::vector<InstanceRank>> Instances::Unregister(const Removal& removal) {
  MutexLock lock(&mutex_);
  std::vector<InstanceRank> gone;
  absl::Status refused;
  const std::shared_ptr<const FleetSnapshot> snapshot = fleet_->Snapshot();
  for (const FleetTarget& target : snapshot->targets) {
    const InstanceRank it = InstanceOf(target);
    if (!Matches(removal, it)) continue;
    const absl::Status status = fleet_->Deregister(target.worker->spec.worker_id);
    if (status.ok()) {
      gone.push_back(it);
    } else if (status.code() != absl::StatusCode::kNotFound) {  // another of its worker's ranks
      refused = status;
    }
  }
  if (!gone.empty()) return gone;
  if (!refused.ok()) return refused;
  return Error(absl::StatusCode::kNotFound, "instance {} is not registered",
               removal.instance.substr(0, limits::kMaxWorkerIdBytes));
}

}  // namespace kvroute
