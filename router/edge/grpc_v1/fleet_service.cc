#include "router/edge/grpc_v1/fleet_service.h"

#include <string>

#include "indexer/base/error.h"
#include "router/edge/grpc_v1/grpc_status.h"
#include "router/edge/grpc_v1/query_messages.h"

namespace kvroute {
namespace {

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
  state->set_trust_changed_unix_ns(stream.trust_changed_unix_ns.load());
  state->set_connected(stream.connected.load());
  state->set_next_seq(stream.next_seq.load());
  state->set_batches(stream.batches.load());
  state->set_gaps(stream.gaps.load());
  state->set_restarts(stream.restarts.load());
  state->set_replays(stream.replays.load());
  state->set_skipped_events(SumOf(stream.skipped_events));
  state->set_rejected_batches(SumOf(stream.rejected_batches));
  state->set_last_batch_unix_ns(stream.last_batch_unix_ns.load());
  WriteLoad(*target.load, state->mutable_load());
}

absl::Status Counted(RpcMethod method, RoutingStats* stats, absl::Status status) {
  stats->CountRequest(method, status.code());
  return status;
}

}  // namespace

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
  for (const v1::RankOverride& rank : worker.rank_overrides()) {
    spec.rank_overrides.push_back({rank.rank(), rank.event_endpoint(), rank.replay_endpoint()});
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
  for (const RankEndpoints& rank : spec.rank_overrides) {
    v1::RankOverride* to = worker->add_rank_overrides();
    to->set_rank(rank.rank);
    to->set_event_endpoint(rank.event_endpoint);
    to->set_replay_endpoint(rank.replay_endpoint);
  }
  if (spec.copies) worker->set_copies(std::string(kCopyModeNames[*spec.copies]));
  worker->set_bigram(spec.bigram);
  worker->set_max_requests_in_flight(spec.max_requests_in_flight);
}

grpc::Status FleetService::Register(grpc::ServerContext* context,
                                    const v1::RegisterRequest* request, v1::RegisterResponse*) {
  return AnswerInTime(*context, RpcMethod::kRegister, stats_, [&] {
    const absl::StatusOr<WorkerSpec> spec = WorkerFromProto(request->worker());
    return Counted(RpcMethod::kRegister, stats_,
                   spec.ok() ? fleet_->Register(*spec) : spec.status());
  });
}

grpc::Status FleetService::Deregister(grpc::ServerContext* context,
                                      const v1::DeregisterRequest* request,
                                      v1::DeregisterResponse*) {
  return AnswerInTime(*context, RpcMethod::kDeregister, stats_, [&] {
    return Counted(RpcMethod::kDeregister, stats_, fleet_->Deregister(request->worker_id()));
  });
}

grpc::Status FleetService::SetDraining(grpc::ServerContext* context,
                                       const v1::SetDrainingRequest* request,
                                       v1::SetDrainingResponse*) {
  return AnswerInTime(*context, RpcMethod::kSetDraining, stats_, [&] {
    return Counted(RpcMethod::kSetDraining, stats_,
                   fleet_->SetDraining(request->worker_id(), request->draining()));
  });
}

grpc::Status FleetService::List(grpc::ServerContext* context, const v1::ListRequest*,
                                v1::ListResponse* response) {
  return AnswerInTime(*context, RpcMethod::kList, stats_, [&] {
    const std::shared_ptr<const FleetSnapshot> snapshot = fleet_->Snapshot();
    v1::WorkerStatus* worker = nullptr;
    for (const FleetTarget& target : snapshot->targets) {
      if (target.rank == 0) {  // ranks of a worker stand together, from 0 up
        worker = response->add_workers();
        WorkerToProto(target.worker->spec, worker->mutable_worker());
        worker->set_draining(target.worker->draining);
        worker->set_source(std::string(WorkerSourceName(target.worker->source)));
      }
      FillStream(target, worker->add_streams());
    }
    return Counted(RpcMethod::kList, stats_, absl::OkStatus());
  });
}

}  // namespace kvroute
