#include "router/fleet/fleet.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "indexer/base/error.h"
#include "indexer/base/log.h"

namespace kvroute {
namespace {

// Across all fleets of the process, so that a reader's view of one is never taken for another's.
uint64_t NextVersion() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

bool SameWorker(const FleetWorker& a, const FleetWorker& b) {
  return a.source == b.source && a.draining == b.draining && a.spec == b.spec;
}

absl::Status NoSuchWorker(std::string_view worker_id) {
  return Error(absl::StatusCode::kNotFound, "worker_id: there is no worker \"{}\"", worker_id);
}

}  // namespace

Fleet::Fleet(const FleetOptions& options, EventSource* source, LoadTracker* loads)
    : options_(options), source_(source), loads_(loads) {
  MutexLock lock(&mutex_);
  Publish();
}

Fleet::~Fleet() {
  for (const FleetTarget& target : Snapshot()->targets) source_->RemoveStream(target.stream->id);
}

absl::Status Fleet::Register(const WorkerSpec& spec) {
  if (absl::Status status = ValidateWorker(spec); !status.ok()) return status;
  MutexLock change(&change_mutex_);
  Workers workers = CopyWorkers();
  FleetWorker worker{spec, WorkerSource::kApi, false};
  if (const auto it = workers.find(spec.worker_id); it != workers.end()) {
    if (it->second.source == WorkerSource::kConfig) {
      return Error(absl::StatusCode::kAlreadyExists,
                   "worker_id: \"{}\" is a worker of the configuration file", spec.worker_id);
    }
    worker.draining = it->second.draining;
  }
  workers.insert_or_assign(spec.worker_id, std::move(worker));
  return Change(workers);
}

absl::Status Fleet::Deregister(std::string_view worker_id) {
  MutexLock change(&change_mutex_);
  Workers workers = CopyWorkers();
  const auto it = workers.find(worker_id);
  if (it == workers.end()) return NoSuchWorker(worker_id);
  if (it->second.source == WorkerSource::kConfig) {
    return Error(absl::StatusCode::kFailedPrecondition,
                 "worker_id: \"{}\" is a worker of the configuration file; remove it there",
                 worker_id);
  }
  workers.erase(it);
  return Change(workers);
}

absl::Status Fleet::SetDraining(std::string_view worker_id, bool draining) {
  MutexLock change(&change_mutex_);
  Workers workers = CopyWorkers();
  const auto it = workers.find(worker_id);
  if (it == workers.end()) return NoSuchWorker(worker_id);
  it->second.draining = draining;
  return Change(workers);
}

absl::Status Fleet::ApplyConfig(absl::Span<const WorkerSpec> specs) {
  MutexLock change(&change_mutex_);
  const Workers before = CopyWorkers();
  Workers workers;
  for (const auto& [id, worker] : before) {
    if (worker.source != WorkerSource::kConfig) workers.emplace(id, worker);
  }
  for (const WorkerSpec& spec : specs) {
    if (absl::Status status = ValidateWorker(spec); !status.ok()) {
      return Error(status.code(), "worker \"{}\": {}", spec.worker_id, MessageOf(status));
    }
    const auto old = before.find(spec.worker_id);
    const bool draining = old != before.end() && old->second.draining;
    const auto [it, added] =
        workers.try_emplace(spec.worker_id, FleetWorker{spec, WorkerSource::kConfig, draining});
    if (!added) {
      return Error(absl::StatusCode::kAlreadyExists, "worker_id: \"{}\" is {}", spec.worker_id,
                   it->second.source == WorkerSource::kConfig
                       ? "named twice"
                       : "registered already, not by the configuration");
    }
  }
  return Change(workers);
}

bool Fleet::AddDiscovered(const DiscoveredStream& discovered) {
  auto worker = std::make_shared<FleetWorker>();
  worker->source = WorkerSource::kDiscovered;
  worker->spec.worker_id = discovered.host;
  worker->spec.address = discovered.host;
  worker->spec.model = discovered.model;
  worker->spec.engine = discovered.status->config.engine;
  worker->spec.topic = discovered.topic;
  bool added = false;
  {
    MutexLock lock(&mutex_);
    if (entries_.contains(worker->spec.worker_id))
      worker->spec.worker_id = fmt::format("{}@{}", discovered.host, discovered.model);
    if (!entries_.contains(worker->spec.worker_id)) {
      Entry entry{worker, {{worker, 0, discovered.status, std::make_shared<TargetLoad>()}}};
      entries_.emplace(worker->spec.worker_id, std::move(entry));
      Publish();
      added = true;
    }
  }
  if (added) {
    LogInfo("fleet: discovered worker {} by its topic {}", worker->spec.worker_id,
            discovered.topic);
  } else {
    LogWarning("fleet: topic {} is not served: there is a worker {} already", discovered.topic,
               worker->spec.worker_id);
  }
  return added;
}

void Fleet::RemoveExpired(StreamId stream) {
  std::optional<FleetTarget> gone;
  {
    MutexLock lock(&mutex_);
    for (auto it = entries_.begin(); it != entries_.end() && !gone; ++it) {
      const FleetTarget& target = it->second.targets.front();
      if (target.worker->source != WorkerSource::kDiscovered || target.stream->id != stream) {
        continue;
      }
      gone = target;
      entries_.erase(it);
      Publish();
      break;
    }
  }
  if (!gone) return;  // deregistered meanwhile
  loads_->Drop(gone->load.get());
  LogInfo("fleet: worker {} is gone: its connection is lost and it has been silent too long",
          gone->worker->spec.worker_id);
}

void Fleet::Refresh(std::shared_ptr<const FleetSnapshot>* view) const {
  if (*view != nullptr && (*view)->version == version_.load(std::memory_order_acquire)) return;
  *view = Snapshot();
}

std::shared_ptr<const FleetSnapshot> Fleet::Snapshot() const {
  MutexLock lock(&mutex_);
  return snapshot_;
}

Fleet::Workers Fleet::CopyWorkers() const {
  MutexLock lock(&mutex_);
  Workers workers;
  for (const auto& [id, entry] : entries_) workers.emplace(id, *entry.worker);
  return workers;
}

// Two subscriptions to one publisher would have its requests' load split and its cache counted
// twice.
absl::Status Fleet::Check(const Workers& workers) const {
  absl::flat_hash_map<std::string, std::string_view> publishers;
  size_t targets = 0;
  for (const auto& [id, worker] : workers) {
    targets += worker.spec.data_parallel_size;
    // connected to us: it has no endpoint
    if (worker.source == WorkerSource::kDiscovered) continue;
    for (uint32_t rank = 0; rank < worker.spec.data_parallel_size; ++rank) {
      std::string endpoint = StreamConfigOf(worker.spec, rank).event_endpoint;
      const auto [it, added] = publishers.try_emplace(std::move(endpoint), id);
      if (added) continue;
      return Error(absl::StatusCode::kAlreadyExists,
                   "event_endpoint: \"{}\" of worker \"{}\" is also that of worker \"{}\"",
                   it->first, id, it->second);
    }
  }
  if (targets > options_.max_streams) {
    return Error(absl::StatusCode::kResourceExhausted,
                 "max_streams: {} ranks in all; the limit is {}", targets, options_.max_streams);
  }
  return absl::OkStatus();
}

absl::StatusOr<Fleet::Entry> Fleet::Realize(const FleetWorker& wanted, const Entry* before,
                                            std::vector<StreamId>* added) {
  Entry entry;
  entry.worker = std::make_shared<const FleetWorker>(wanted);
  for (uint32_t rank = 0; rank < wanted.spec.data_parallel_size; ++rank) {
    const StreamConfig config = StreamConfigOf(wanted.spec, rank);
    FleetTarget target{entry.worker, rank, nullptr, nullptr};
    if (before != nullptr && rank < before->targets.size() &&
        (wanted.source == WorkerSource::kDiscovered ||
         StreamConfigOf(before->worker->spec, rank) == config)) {
      target.stream = before->targets[rank].stream;
      target.load = before->targets[rank].load;
    } else {
      auto stream = source_->AddStream(config);
      if (!stream.ok()) {
        return Error(stream.status().code(), "worker \"{}\" rank {}: {}", config.worker_id, rank,
                     MessageOf(stream.status()));
      }
      added->push_back((*stream)->id);
      target.stream = *std::move(stream);
      target.load = std::make_shared<TargetLoad>();
    }
    entry.targets.push_back(std::move(target));
  }
  return entry;
}

absl::Status Fleet::Change(const Workers& wanted) {
  if (absl::Status status = Check(wanted); !status.ok()) return status;
  Entries before;
  {
    MutexLock lock(&mutex_);
    before = entries_;
  }
  Entries changed;
  std::vector<StreamId> added;
  for (const auto& [id, worker] : wanted) {
    const auto it = before.find(id);
    const Entry* old = it == before.end() ? nullptr : &it->second;
    if (old != nullptr && SameWorker(*old->worker, worker)) continue;
    absl::StatusOr<Entry> entry = Realize(worker, old, &added);
    if (!entry.ok()) {
      for (const StreamId stream : added) source_->RemoveStream(stream);
      return entry.status();
    }
    changed.emplace(id, *std::move(entry));
  }
  std::vector<std::string> removed;
  for (const auto& [id, entry] : before) {
    if (!wanted.contains(id)) removed.push_back(id);
  }
  if (changed.empty() && removed.empty()) return absl::OkStatus();
  EndTargets(Commit(std::move(changed), removed));
  return absl::OkStatus();
}

std::vector<FleetTarget> Fleet::Commit(Entries&& changed, absl::Span<const std::string> removed) {
  MutexLock lock(&mutex_);
  std::vector<FleetTarget> had;
  absl::flat_hash_set<StreamId> kept;
  // Looked up anew: a stream may have been discovered under one of these ids meanwhile, or have
  // expired.
  for (const std::string& id : removed) {
    const auto it = entries_.find(id);
    if (it == entries_.end()) continue;
    had.insert(had.end(), it->second.targets.begin(), it->second.targets.end());
    entries_.erase(it);
  }
  for (auto& [id, entry] : changed) {
    if (entry.worker->source == WorkerSource::kDiscovered) {
      const auto it = entries_.find(id);
      const bool there =
          it != entries_.end() && it->second.targets.front().stream == entry.targets.front().stream;
      if (!there) continue;
    }
    Entry& replaced = entries_[id];
    had.insert(had.end(), replaced.targets.begin(), replaced.targets.end());
    for (const FleetTarget& target : entry.targets) kept.insert(target.stream->id);
    replaced = std::move(entry);
  }
  Publish();
  std::erase_if(had, [&](const FleetTarget& target) { return kept.contains(target.stream->id); });
  return had;
}

void Fleet::EndTargets(const std::vector<FleetTarget>& gone) {
  for (const FleetTarget& target : gone) {
    source_->RemoveStream(target.stream->id);
    loads_->Drop(target.load.get());
  }
}

void Fleet::Publish() {
  auto snapshot = std::make_shared<FleetSnapshot>();
  snapshot->version = NextVersion();
  for (const auto& [id, entry] : entries_) {
    snapshot->targets.insert(snapshot->targets.end(), entry.targets.begin(), entry.targets.end());
  }
  std::stable_sort(snapshot->targets.begin(), snapshot->targets.end(),
                   [](const FleetTarget& a, const FleetTarget& b) {
                     return a.worker->spec.model < b.worker->spec.model;
                   });
  snapshot->BuildLookups(&models_);
  snapshot_ = std::move(snapshot);
  version_.store(snapshot_->version, std::memory_order_release);
}

}  // namespace kvroute
