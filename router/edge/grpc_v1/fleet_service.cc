#include "router/edge/grpc_v1/fleet_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "router/edge/grpc_v1/query_messages.h"

namespace kvroute {
namespace {

// What List says of a target, as a message and as bytes, at most about.
constexpr size_t kListedTargetBytes = 2'048;

void WriteTime(int64_t unix_ns, google::protobuf::Timestamp* time) {
  time->set_seconds(unix_ns / 1'000'000'000);
  time->set_nanos(static_cast<int32_t>(unix_ns % 1'000'000'000));
}

template <typename Array>
uint64_t SumOf(const Array& counters) {
  uint64_t sum = 0;
  for (const auto& counter : counters) sum += counter.load(std::memory_order_relaxed);
  return sum;
}

void FillStream(const FleetTarget& target, v1::StreamState* state) {
  const StreamStatus& stream = *target.stream;
  state->set_rank(target.rank);
  state->set_trust(TrustMessage(stream.trust.load()));
  state->set_trust_reason(std::string(TrustReasonName(stream.reason.load())));
  const int64_t trust_changed_ns = stream.trust_changed_unix_ns.load();
  state->set_trust_changed_unix_ns(trust_changed_ns);
  WriteTime(trust_changed_ns, state->mutable_trust_changed());
  state->set_connected(stream.connected.load());
  state->set_unheard(!target.heard());
  state->set_next_seq(stream.next_seq.load());
  state->set_batches(stream.batches.load());
  state->set_gaps(stream.gaps.load());
  state->set_restarts(stream.restarts.load());
  state->set_replays(stream.replays.load());
  state->set_skipped_events(SumOf(stream.skipped_events));
  state->set_rejected_batches(SumOf(stream.rejected_batches));
  const int64_t last_batch_ns = stream.last_batch_unix_ns.load();
  state->set_last_batch_unix_ns(last_batch_ns);
  if (last_batch_ns != 0) WriteTime(last_batch_ns, state->mutable_last_batch());
  WriteLoad(*target.load, state->mutable_load());
  state->set_block_size_tokens(target.block_size_tokens());
  state->set_lookahead_tokens(target.lookahead_tokens());
}

absl::Status RegisterWorker(Fleet* fleet, const v1::RegisterRequest& request) {
  const absl::StatusOr<WorkerSpec> spec = WorkerFromProto(request.worker());
  return spec.ok() ? fleet->Register(*spec) : spec.status();
}

absl::Status ListWorkers(const Fleet& fleet, const v1::ListRequest& request,
                         v1::ListResponse* response) {
  const absl::StatusOr<WorkerFilter> filter = FilterFromProto(request.filter());
  if (!filter.ok()) return filter.status();
  if (request.page_size() > limits::kMaxFleetPage) {
    return InvalidArgument("page_size: {}; the limit is {}", request.page_size(),
                           limits::kMaxFleetPage);
  }
  const std::shared_ptr<const FleetSnapshot> snapshot = fleet.Snapshot();
  absl::StatusOr<WorkerPage> page =
      PageOfWorkers(*snapshot, *filter, request.page_size(), request.page_token());
  if (!page.ok()) return page.status();
  for (const uint32_t begin : page->workers) {  // ranks of a worker stand together, from 0 up
    const FleetWorker& worker = *snapshot->targets[begin].worker;
    v1::WorkerStatus* const status = response->add_workers();
    WriteWorker(worker, status);
    for (uint32_t rank = 0; rank < worker.spec.data_parallel_size; ++rank) {
      FillStream(snapshot->targets[begin + rank], status->add_streams());
    }
  }
  response->set_next_page_token(std::move(page->next_token));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WorkerFilter> FilterFromProto(const v1::WorkerFilter& message) {
  WorkerFilter filter;
  filter.model = message.model();
  for (const auto& [key, value] : message.labels()) filter.labels.emplace(key, value);
  filter.worker_id_prefix = message.worker_id_prefix();
  for (const std::string& name : message.sources()) {
    const std::optional<WorkerSource> source = kWorkerSourceNames.Parse(name);
    if (!source) {
      return InvalidArgument("filter.sources: \"{}\" is not one of {}", name.substr(0, 64),
                             kWorkerSourceNames.Joined());
    }
    if (std::find(filter.sources.begin(), filter.sources.end(), *source) == filter.sources.end()) {
      filter.sources.push_back(*source);
    }
  }
  KVROUTE_RETURN_IF_ERROR(filter.Validate());
  return filter;
}

void WriteWorker(const FleetWorker& worker, v1::WorkerStatus* status) {
  WorkerToProto(worker.spec, status->mutable_worker());
  status->set_draining(worker.draining);
  status->set_not_ready(worker.not_ready);
  status->set_source(std::string(WorkerSourceName(worker.source)));
}

absl::StatusOr<WorkerSpec> WorkerFromProto(const v1::Worker& worker) {
  WorkerSpec spec;
  spec.worker_id = worker.worker_id();
  spec.address = worker.address();
  spec.model = worker.model();
  if (!worker.engine().empty()) {
    const std::optional<EngineKind> engine = ParseEngineKind(worker.engine());
    if (!engine) {
      return InvalidArgument("engine: \"{}\" is not one of {}", worker.engine().substr(0, 64),
                             kEngineKindNames.Joined());
    }
    spec.engine = *engine;
  }
  spec.block_size_tokens = worker.block_size_tokens();
  spec.event_endpoint = worker.event_endpoint();
  spec.replay_endpoint = worker.replay_endpoint();
  spec.topic = worker.topic();
  spec.data_parallel_size = worker.data_parallel_size() == 0 ? 1 : worker.data_parallel_size();
  if (worker.has_first_rank()) spec.first_rank = worker.first_rank();
  for (const v1::RankOverride& rank : worker.rank_overrides()) {
    spec.rank_overrides.push_back(
        {rank.rank(), rank.event_endpoint(), rank.replay_endpoint(), rank.address()});
  }
  if (!worker.copies().empty()) {
    spec.copies = kCopyModeNames.Parse(worker.copies());
    if (!spec.copies) {
      return InvalidArgument("copies: \"{}\" is not one of {}", worker.copies().substr(0, 64),
                             kCopyModeNames.Joined());
    }
  }
  spec.bigram = worker.bigram();
  spec.max_requests_in_flight = worker.max_requests_in_flight();
  if (!worker.role().empty()) {
    const auto role = kWorkerRoleNames.Parse(worker.role());
    if (!role) {
      return InvalidArgument("role: \"{}\" is not one of {}", worker.role().substr(0, 64),
                             kWorkerRoleNames.Joined());
    }
    spec.role = *role;
  }
  spec.incarnation = worker.incarnation();
  for (const auto& [key, value] : worker.labels()) spec.labels.emplace(key, value);
  spec.served_names.assign(worker.served_names().begin(), worker.served_names().end());
  spec.adapters.assign(worker.adapters().begin(), worker.adapters().end());
  return spec;
}

void WorkerToProto(const WorkerSpec& spec, v1::Worker* worker) {
  worker->set_worker_id(spec.worker_id);
  worker->set_address(spec.address);
  worker->set_model(spec.model);
  worker->set_engine(std::string(EngineKindName(spec.engine)));
  worker->set_block_size_tokens(spec.block_size_tokens);
  worker->set_event_endpoint(spec.event_endpoint);
  worker->set_replay_endpoint(spec.replay_endpoint);
  worker->set_topic(spec.topic);
  worker->set_data_parallel_size(spec.data_parallel_size);
  if (spec.first_rank) worker->set_first_rank(*spec.first_rank);
  for (const RankEndpoints& rank : spec.rank_overrides) {
    v1::RankOverride* to = worker->add_rank_overrides();
    to->set_rank(rank.rank);
    to->set_event_endpoint(rank.event_endpoint);
    to->set_replay_endpoint(rank.replay_endpoint);
    to->set_address(rank.address);
  }
  if (spec.copies) worker->set_copies(std::string(kCopyModeNames[*spec.copies]));
  worker->set_bigram(spec.bigram);
  worker->set_max_requests_in_flight(spec.max_requests_in_flight);
  worker->set_role(std::string(kWorkerRoleNames[spec.role]));
  worker->set_incarnation(spec.incarnation);
  for (const auto& [key, value] : spec.labels) (*worker->mutable_labels())[key] = value;
  worker->mutable_served_names()->Add(spec.served_names.begin(), spec.served_names.end());
  worker->mutable_adapters()->Add(spec.adapters.begin(), spec.adapters.end());
}

FleetService::FleetService(Fleet* fleet, RoutingStats* stats)
    : stats_(stats),
      watchers_("max_fleet_watchers", limits::kMaxFleetWatchers,
                {&stats->open_fleet_watchers, &stats->refused_fleet_watchers,
                 &stats->ended_fleet_watchers}),
      watched_{fleet, stats, &watchers_} {
  SetUp<&FleetService::RequestRegister>(
      &register_, RpcMethod::kRegister,
      [fleet](const auto& request, auto*) { return RegisterWorker(fleet, request); });
  SetUp<&FleetService::RequestDeregister>(
      &deregister_, RpcMethod::kDeregister, [fleet](const auto& request, auto*) {
        return fleet->Deregister(request.worker_id(), request.incarnation());
      });
  SetUp<&FleetService::RequestSetDraining>(
      &set_draining_, RpcMethod::kSetDraining, [fleet](const auto& request, auto*) {
        return fleet->SetDraining(request.worker_id(), request.draining(), request.incarnation());
      });
  SetUp<&FleetService::RequestList>(&list_, RpcMethod::kList,
                                    [fleet](const auto& request, auto* response) {
                                      return ListWorkers(*fleet, request, response);
                                    });
  list_.answer_bytes = [fleet] { return fleet->Snapshot()->targets.size() * kListedTargetBytes; };
}

template <auto kAwait, typename Method, typename Answer>
void FleetService::SetUp(Method* method, RpcMethod counted_as, Answer answer) {
  method->await = kAwait;
  method->counted_as = counted_as;
  method->takes_long = true;
  method->answer = [this, counted_as, answer](
                       const ClientId&, const typename Method::Request& request, const LongNumbers&,
                       typename Method::Response* response) {
    absl::Status status = answer(request, response);
    stats_->CountRequest(counted_as, status.code());
    return status;
  };
}

template <typename Method>
void FleetService::ServeMethod(const Method& method, const EdgeParts& parts) {
  methods_.push_back(std::make_unique<CallPlaces>(limits::kMaxCallsUnderWay, parts.loop));
  methods_.back()->Start([this, &method, &parts](CallPlaces* places) {
    return std::make_unique<UnaryPlace<Method>>(method, this, places, parts);
  });
}

void FleetService::Serve(const EdgeParts& parts) {
  ServeMethod(register_, parts);
  ServeMethod(deregister_, parts);
  ServeMethod(set_draining_, parts);
  ServeMethod(list_, parts);
  // One more than may watch: it takes and refuses what comes beyond them.
  methods_.push_back(std::make_unique<CallPlaces>(limits::kMaxFleetWatchers + 1, parts.loop));
  methods_.back()->Start([this, &parts](CallPlaces* places) {
    return std::make_unique<FleetWatchPlace<FleetService>>(&watched_, this, places, parts);
  });
}

}  // namespace kvroute
