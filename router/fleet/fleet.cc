#include "router/fleet/fleet.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "indexer/base/error.h"
#include "indexer/base/error_reason.h"
#include "indexer/base/log.h"

namespace kvroute {
namespace {

bool SameWorker(const FleetWorker& a, const FleetWorker& b) {
  return a.source == b.source && a.draining == b.draining && a.not_ready == b.not_ready &&
         a.spec == b.spec;
}

absl::Status NoSuchWorker(std::string_view worker_id) {
  worker_id = worker_id.substr(0, limits::kMaxWorkerIdBytes);
  return WithReason(
      Error(absl::StatusCode::kNotFound, "worker_id: there is no worker \"{}\"", worker_id),
      ErrorReason::kUnknownWorker, {{"worker_id", worker_id}});
}

uint64_t RandomEpoch() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

absl::Status CheckNotLate(const FleetEntry* now, uint64_t incarnation) {
  if (now == nullptr || incarnation == 0) return absl::OkStatus();
  const WorkerSpec& spec = now->worker->spec;
  if (incarnation >= spec.incarnation) return absl::OkStatus();
  return WithReason(
      Error(absl::StatusCode::kFailedPrecondition,
            "incarnation: {}, of an earlier start of worker \"{}\", which is at {}", incarnation,
            spec.worker_id, spec.incarnation),
      ErrorReason::kLaterIncarnation,
      {{"worker_id", spec.worker_id}, {"incarnation", std::to_string(spec.incarnation)}});
}

// Whether its owner names all of its workers together: then nobody else changes one.
bool IsOneOfASet(WorkerSource source) {
  return source != WorkerSource::kApi && source != WorkerSource::kDiscovered;
}

std::string_view OwnerOf(WorkerSource source) {
  return source == WorkerSource::kConfig ? "the configuration file" : WorkerSourceName(source);
}

absl::Status OfAnother(absl::Status status, const FleetWorker& worker) {
  return WithReason(
      std::move(status), ErrorReason::kOtherOwner,
      {{"worker_id", worker.spec.worker_id}, {"owner", WorkerSourceName(worker.source)}});
}

std::vector<std::optional<Endpoint>> EndpointsByRank(const WorkerSpec& spec) {
  std::vector<std::optional<Endpoint>> endpoints;
  for (uint32_t rank = 0; rank < spec.data_parallel_size; ++rank) {
    endpoints.push_back(EndpointOfAddress(spec.AddressOf(rank)));
  }
  return endpoints;
}

// Where kvroute connects to for the worker's events: nowhere, if it has connected to kvroute.
std::vector<std::string> EventEndpointsOf(const FleetWorker& worker) {
  std::vector<std::string> endpoints;
  if (worker.source == WorkerSource::kDiscovered) return endpoints;
  for (uint32_t rank = 0; rank < worker.spec.data_parallel_size; ++rank) {
    endpoints.push_back(StreamConfigOf(worker.spec, rank).event_endpoint);
  }
  return endpoints;
}

}  // namespace

Fleet::Fleet(const FleetOptions& options, EventSource* source, LoadTracker* loads)
    : options_(options), epoch_(RandomEpoch()), source_(source), loads_(loads), table_(loads) {}

Fleet::~Fleet() {
  AwaitPublished();
  for (const FleetTarget& target : Snapshot()->targets) source_->RemoveStream(target.stream->id);
}

absl::Status Fleet::Register(const WorkerSpec& spec) {
  KVROUTE_RETURN_IF_ERROR(ValidateWorker(spec, WorkerSource::kApi));
  MutexLock change(&change_mutex_);
  EntryPtr before = table_.Find(spec.worker_id);
  if (before != nullptr && IsOneOfASet(before->worker->source)) {
    return OfAnother(Error(absl::StatusCode::kAlreadyExists, "worker_id: \"{}\" is a worker of {}",
                           spec.worker_id, OwnerOf(before->worker->source)),
                     *before->worker);
  }
  KVROUTE_RETURN_IF_ERROR(CheckNotLate(before.get(), spec.incarnation));
  const bool draining = before != nullptr && before->worker->draining;
  return ChangeAll({{FleetWorker{spec, WorkerSource::kApi, draining}, std::move(before)}});
}

absl::Status Fleet::Deregister(std::string_view worker_id, uint64_t incarnation) {
  MutexLock change(&change_mutex_);
  EntryPtr before = table_.Find(worker_id);
  if (before == nullptr) return NoSuchWorker(worker_id);
  KVROUTE_RETURN_IF_ERROR(CheckNotLate(before.get(), incarnation));
  if (IsOneOfASet(before->worker->source)) {
    return OfAnother(Error(absl::StatusCode::kFailedPrecondition,
                           "worker_id: \"{}\" is a worker of {}; remove it there", worker_id,
                           OwnerOf(before->worker->source)),
                     *before->worker);
  }
  return ChangeAll({{std::nullopt, std::move(before)}});
}

absl::Status Fleet::SetDraining(std::string_view worker_id, bool draining, uint64_t incarnation) {
  MutexLock change(&change_mutex_);
  EntryPtr before = table_.Find(worker_id);
  if (before == nullptr) return NoSuchWorker(worker_id);
  KVROUTE_RETURN_IF_ERROR(CheckNotLate(before.get(), incarnation));
  FleetWorker worker = *before->worker;
  worker.draining = draining;
  return ChangeAll({{std::move(worker), std::move(before)}});
}

std::vector<RefusedWorker> Fleet::Replace(WorkerSource owner,
                                          absl::Span<const OwnedWorker> workers) {
  const auto on_refusal =
      owner == WorkerSource::kConfig ? OnRefusal::kUndoAll : OnRefusal::kLeaveOut;
  MutexLock change(&change_mutex_);
  std::vector<Step> steps;
  std::vector<RefusedWorker> refused;
  absl::flat_hash_set<std::string_view> named;
  for (const OwnedWorker& worker : workers) {
    const std::string& id = worker.spec.worker_id;
    absl::Status why;
    std::optional<Step> step = StepOf(owner, worker, &why);
    if (named.contains(id)) {
      step.reset();
      why = Error(absl::StatusCode::kAlreadyExists, "worker_id: \"{}\" is named twice", id);
    } else if (why.ok()) {
      named.insert(id);
    }
    if (step) steps.push_back(*std::move(step));
    if (!why.ok()) refused.push_back({id, std::move(why)});
  }
  if (!refused.empty() && on_refusal == OnRefusal::kUndoAll) return refused;
  for (const std::string& id : owned_[static_cast<size_t>(owner)]) {
    if (!named.contains(id)) steps.push_back({std::nullopt, table_.Find(id)});
  }
  for (RefusedWorker& worker : Change(std::move(steps), on_refusal)) {
    refused.push_back(std::move(worker));
  }
  return refused;
}

std::optional<Fleet::Step> Fleet::StepOf(WorkerSource owner, const OwnedWorker& worker,
                                         absl::Status* why) const {
  const WorkerSpec& spec = worker.spec;
  EntryPtr before = table_.Find(spec.worker_id);
  const bool is_owners = before != nullptr && before->worker->source == owner;
  const bool draining = is_owners && before->worker->draining;
  // What is in force has been checked.
  if (is_owners && before->worker->not_ready == worker.not_ready && before->worker->spec == spec) {
    return std::nullopt;
  }
  if (absl::Status status = ValidateWorker(spec, owner); !status.ok()) {
    *why = Error(status.code(), "worker \"{}\": {}", spec.worker_id, MessageOf(status));
    return std::nullopt;
  }
  if (before != nullptr && !is_owners) {
    *why = Error(absl::StatusCode::kAlreadyExists,
                 "worker_id: \"{}\" is registered already, not by {}", spec.worker_id,
                 owner == WorkerSource::kConfig ? "the configuration" : OwnerOf(owner));
    return std::nullopt;
  }
  return Step{FleetWorker{spec, owner, draining, worker.not_ready}, std::move(before)};
}

absl::Status Fleet::ApplyConfig(absl::Span<const WorkerSpec> specs) {
  std::vector<OwnedWorker> workers;
  workers.reserve(specs.size());
  for (const WorkerSpec& spec : specs) workers.push_back({spec, false});
  const std::vector<RefusedWorker> refused = Replace(WorkerSource::kConfig, workers);
  return refused.empty() ? absl::OkStatus() : refused.front().why;
}

bool Fleet::AddDiscovered(const DiscoveredStream& discovered) {
  FleetWorker worker;
  worker.source = WorkerSource::kDiscovered;
  worker.spec.address = discovered.host;
  worker.spec.model = discovered.model;
  worker.spec.engine = discovered.status->config.engine;
  worker.spec.topic = discovered.topic;
  absl::Status status;
  for (const std::string& id :
       {discovered.host, fmt::format("{}@{}", discovered.host, discovered.model)}) {
    worker.spec.worker_id = id;
    status = ValidateWorker(worker.spec, WorkerSource::kDiscovered);
    if (!status.ok()) break;
    auto entry = std::make_shared<FleetEntry>();
    worker.endpoints = EndpointsByRank(worker.spec);
    entry->worker = std::make_shared<const FleetWorker>(worker);
    entry->targets = {{entry->worker, 0, discovered.status, std::make_shared<TargetLoad>()}};
    if (table_.AddDiscovered(std::move(entry))) {
      LogInfo("fleet: discovered worker {} by its topic {}", id, discovered.topic);
      return true;
    }
    status = Error(absl::StatusCode::kAlreadyExists, "there is a worker {} already", id);
  }
  if (const uint64_t lines = refused_.Admit(Clock::Real().Monotonic())) {
    LogWarning("fleet: topic {} is not served: {} ({} alike not shown)", discovered.topic,
               MessageOf(status), lines - 1);
  }
  return false;
}

void Fleet::RemoveExpired(StreamId stream) {
  const std::shared_ptr<const FleetWorker> gone = table_.RemoveDiscovered(stream);
  if (gone == nullptr) return;  // deregistered meanwhile
  LogInfo("fleet: worker {} is gone: its connection is lost and it has been silent too long",
          gone->spec.worker_id);
}

void Fleet::Refuse(Step* step, absl::Status why, std::vector<RefusedWorker>* refused) {
  refused->push_back({step->wanted->spec.worker_id, std::move(why)});
  step->wanted.reset();
}

void Fleet::Check(std::vector<Step>* steps, std::vector<RefusedWorker>* refused) const {
  CheckEndpoints(steps, refused);
  size_t wanted = 0, going = 0;
  for (const Step& step : *steps) {
    if (step.before != nullptr) going += step.before->targets.size();
    if (step.wanted) wanted += step.wanted->spec.data_parallel_size;
  }
  const size_t now = table_.TargetCount();
  size_t targets = now - std::min(now, going);  // a discovered one may have expired meanwhile
  const size_t all = targets + wanted;
  if (all <= options_.max_streams) return;
  for (Step& step : *steps) {
    if (!step.wanted) continue;
    targets += step.wanted->spec.data_parallel_size;
    if (targets <= options_.max_streams) continue;
    targets -= step.wanted->spec.data_parallel_size;
    Refuse(&step,
           Error(absl::StatusCode::kResourceExhausted,
                 "max_streams: {} ranks in all; the limit is {}", all, options_.max_streams),
           refused);
  }
}

// Two subscriptions to one publisher would have its requests' load split and its cache counted
// twice. An endpoint may go from one worker to another in one change.
void Fleet::CheckEndpoints(std::vector<Step>* steps, std::vector<RefusedWorker>* refused) const {
  absl::flat_hash_set<std::string_view> changing;
  for (const Step& step : *steps) {
    if (step.before != nullptr) changing.insert(step.before->worker->spec.worker_id);
  }
  absl::flat_hash_map<std::string, std::string> taken;
  for (Step& step : *steps) {
    if (!step.wanted) continue;
    const std::string id = step.wanted->spec.worker_id;
    std::vector<std::string> endpoints = EventEndpointsOf(*step.wanted);
    absl::Status why;
    for (const std::string& endpoint : endpoints) {
      const auto publisher = publishers_.find(endpoint);
      const bool stays = publisher != publishers_.end() && !changing.contains(publisher->second);
      const auto other = taken.find(endpoint);
      if (other == taken.end() && !stays) continue;
      const std::string& whose = other == taken.end() ? publisher->second : other->second;
      why = WithReason(
          Error(absl::StatusCode::kAlreadyExists,
                "event_endpoint: \"{}\" of worker \"{}\" is also that of worker \"{}\"", endpoint,
                id, whose),
          ErrorReason::kEndpointInUse, {{"event_endpoint", endpoint}, {"worker_id", whose}});
      break;
    }
    if (!why.ok()) {
      Refuse(&step, std::move(why), refused);
      continue;
    }
    for (std::string& endpoint : endpoints) taken.emplace(std::move(endpoint), id);
  }
}

absl::StatusOr<Fleet::EntryPtr> Fleet::Realize(const Step& step, std::vector<StreamId>* added) {
  const FleetWorker& wanted = *step.wanted;
  const FleetEntry* before = step.before.get();
  auto entry = std::make_shared<FleetEntry>();
  FleetWorker worker = wanted;
  worker.endpoints = EndpointsByRank(worker.spec);
  entry->worker = std::make_shared<const FleetWorker>(std::move(worker));
  const auto keeps = [&](uint32_t rank) {
    return before != nullptr && rank < before->targets.size() &&
           before->worker->spec.instance == wanted.spec.instance &&
           before->worker->spec.incarnation == wanted.spec.incarnation &&
           (wanted.source == WorkerSource::kDiscovered ||
            StreamConfigOf(before->worker->spec, rank) == StreamConfigOf(wanted.spec, rank));
  };
  // Of a worker none of whose streams is kept, other engines may publish now.
  for (uint32_t rank = 0; rank < wanted.spec.data_parallel_size; ++rank) {
    if (keeps(rank)) entry->first_rank = before->first_rank;
  }
  if (entry->first_rank == nullptr) entry->first_rank = std::make_shared<FirstRank>();
  for (uint32_t rank = 0; rank < wanted.spec.data_parallel_size; ++rank) {
    if (keeps(rank)) {
      const FleetTarget& kept = before->targets[rank];
      entry->targets.push_back({entry->worker, rank, kept.stream, kept.load});
      continue;
    }
    absl::StatusOr<FleetTarget> target = NewTarget(*entry, rank, added);
    if (!target.ok()) return target.status();
    entry->targets.push_back(*std::move(target));
  }
  return entry;
}

absl::StatusOr<FleetTarget> Fleet::NewTarget(const FleetEntry& entry, uint32_t rank,
                                             std::vector<StreamId>* added) {
  StreamConfig config = StreamConfigOf(entry.worker->spec, rank);
  config.first_rank.of_worker = entry.first_rank;
  auto stream = source_->AddStream(config);
  if (!stream.ok()) {
    return Error(stream.status().code(), "worker \"{}\" rank {}: {}", config.worker_id, rank,
                 MessageOf(stream.status()));
  }
  added->push_back((*stream)->id);
  return FleetTarget{entry.worker, rank, *std::move(stream), std::make_shared<TargetLoad>()};
}

absl::Status Fleet::ChangeAll(std::vector<Step> steps) {
  const std::vector<RefusedWorker> refused = Change(std::move(steps), OnRefusal::kUndoAll);
  return refused.empty() ? absl::OkStatus() : refused.front().why;
}

std::vector<RefusedWorker> Fleet::Change(std::vector<Step> steps, OnRefusal on_refusal) {
  std::erase_if(steps, [](const Step& step) {
    return step.wanted && step.before != nullptr && SameWorker(*step.wanted, *step.before->worker);
  });
  std::vector<RefusedWorker> refused;
  if (steps.empty()) return refused;
  Check(&steps, &refused);
  const bool undoes = on_refusal == OnRefusal::kUndoAll;
  if (undoes && !refused.empty()) return refused;
  std::vector<EntryPtr> entries;
  std::vector<StreamId> added;
  for (Step& step : steps) {
    if (!step.wanted) continue;
    std::vector<StreamId> of_worker;
    absl::StatusOr<EntryPtr> entry = Realize(step, &of_worker);
    added.insert(added.end(), of_worker.begin(), of_worker.end());
    if (entry.ok()) {
      entries.push_back(*std::move(entry));
      continue;
    }
    Refuse(&step, entry.status(), &refused);
    for (const StreamId stream : undoes ? added : of_worker) source_->RemoveStream(stream);
    if (undoes) return refused;
  }
  // One that was refused leaves nothing behind: of what it was before, nothing is so any more.
  std::erase_if(steps, [](const Step& step) { return !step.wanted && step.before == nullptr; });
  std::vector<std::string> removed;
  for (const Step& step : steps) {
    if (!step.wanted) removed.push_back(step.before->worker->spec.worker_id);
  }
  const std::vector<FleetTarget> gone = table_.Apply(std::move(entries), removed);
  Note(steps);
  for (const FleetTarget& target : gone) {
    source_->RemoveStream(target.stream->id);
    loads_->Drop(target.load.get());
  }
  return refused;
}

void Fleet::Note(const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    if (step.before == nullptr) continue;
    for (const std::string& endpoint : EventEndpointsOf(*step.before->worker)) {
      publishers_.erase(endpoint);
    }
    const FleetWorker& worker = *step.before->worker;
    owned_[static_cast<size_t>(worker.source)].erase(worker.spec.worker_id);
  }
  for (const Step& step : steps) {
    if (!step.wanted) continue;
    const std::string& id = step.wanted->spec.worker_id;
    for (std::string& endpoint : EventEndpointsOf(*step.wanted)) {
      publishers_.insert_or_assign(std::move(endpoint), id);
    }
    if (IsOneOfASet(step.wanted->source))
      owned_[static_cast<size_t>(step.wanted->source)].insert(id);
  }
}

}  // namespace kvroute
