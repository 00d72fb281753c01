#include "tools/fleet/kvroute_client.h"

#include <grpcpp/grpcpp.h>

#include <optional>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/clock.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"

namespace kvroute {
namespace {

absl::Status FromGrpc(absl::string_view call, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(call, ": ", status.error_message()));
}

// How often AwaitSettled asks.
constexpr std::chrono::milliseconds kAskAgain{2};

}  // namespace

class KvrouteClient::Stubs {
 public:
  Stubs(const KvrouteClientOptions& options, const std::vector<RegisteredRank>& ranks)
      : timeout_(options.timeout) {
    const auto channel = grpc::CreateChannel(options.address, grpc::InsecureChannelCredentials());
    router = v1::Router::NewStub(channel);
    fleet = v1::Fleet::NewStub(channel);
    for (size_t i = 0; i < ranks.size(); ++i) target_of[{ranks[i].worker_id, ranks[i].rank}] = i;
    route.set_model(options.model);
    route.set_policy(options.policy);
  }

  // A context is good for one call.
  void Prepare(grpc::ClientContext* context) const {
    context->set_deadline(std::chrono::system_clock::now() + timeout_);
    context->set_wait_for_ready(true);
  }

  std::optional<size_t> TargetOf(const std::string& worker_id, uint32_t rank) const {
    const auto target = target_of.find({worker_id, rank});
    if (target == target_of.end()) return std::nullopt;
    return target->second;
  }

  std::unique_ptr<v1::Router::Stub> router;
  std::unique_ptr<v1::Fleet::Stub> fleet;
  absl::flat_hash_map<std::pair<std::string, uint32_t>, size_t> target_of;
  v1::RouteRequest route;  // kept: its token buffer is reused
  v1::RouteResponse route_response;

 private:
  const std::chrono::milliseconds timeout_;
};

KvrouteClient::KvrouteClient(const KvrouteClientOptions& options, std::vector<RegisteredRank> ranks)
    : options_(options),
      ranks_(std::move(ranks)),
      stubs_(std::make_unique<Stubs>(options_, ranks_)) {}

KvrouteClient::~KvrouteClient() = default;

absl::Status KvrouteClient::Register() {
  for (size_t first = 0; first < ranks_.size();) {
    size_t end = first + 1;
    while (end < ranks_.size() && ranks_[end].worker_id == ranks_[first].worker_id) ++end;
    v1::RegisterRequest request;
    v1::Worker* worker = request.mutable_worker();
    worker->set_worker_id(ranks_[first].worker_id);
    worker->set_address(absl::StrCat("sim://", ranks_[first].worker_id));
    worker->set_model(options_.model);
    worker->set_engine(std::string(EngineKindName(EngineKindOf(ranks_[first].style))));
    worker->set_block_size_tokens(options_.block_size_tokens);
    worker->set_event_endpoint(ranks_[first].event_endpoint);
    worker->set_replay_endpoint(ranks_[first].replay_endpoint);
    worker->set_data_parallel_size(static_cast<uint32_t>(end - first));
    for (size_t i = first + 1; i < end; ++i) {  // ports the system chose do not follow port + rank
      v1::RankOverride* rank = worker->add_rank_overrides();
      rank->set_rank(ranks_[i].rank);
      rank->set_event_endpoint(ranks_[i].event_endpoint);
      rank->set_replay_endpoint(ranks_[i].replay_endpoint);
    }
    grpc::ClientContext context;
    stubs_->Prepare(&context);
    v1::RegisterResponse response;
    const absl::Status status =
        FromGrpc("Fleet.Register", stubs_->fleet->Register(&context, request, &response));
    if (!status.ok()) return status;
    first = end;
  }
  return absl::OkStatus();
}

absl::Status KvrouteClient::Deregister() {
  absl::Status first_error;
  for (const RegisteredRank& rank : ranks_) {
    if (rank.rank != 0) continue;
    v1::DeregisterRequest request;
    request.set_worker_id(rank.worker_id);
    grpc::ClientContext context;
    stubs_->Prepare(&context);
    v1::DeregisterResponse response;
    first_error.Update(
        FromGrpc("Fleet.Deregister", stubs_->fleet->Deregister(&context, request, &response)));
  }
  return first_error;
}

absl::Status KvrouteClient::AwaitSettled(const std::function<uint64_t(size_t target)>& published,
                                         const std::function<void()>& serve) {
  const Nanos deadline = Clock::Real().Monotonic() + options_.timeout;
  while (true) {
    serve();
    grpc::ClientContext context;
    stubs_->Prepare(&context);
    v1::ListResponse response;
    const absl::Status status =
        FromGrpc("Fleet.List", stubs_->fleet->List(&context, v1::ListRequest(), &response));
    if (!status.ok()) return status;
    size_t settled = 0;
    std::string not_yet = "no stream of this run is listed";
    for (const v1::WorkerStatus& worker : response.workers()) {
      for (const v1::StreamState& stream : worker.streams()) {
        const auto target = stubs_->TargetOf(worker.worker().worker_id(), stream.rank());
        if (!target.has_value()) continue;
        if (stream.trust() == v1::TRUST_EXACT && stream.next_seq() == published(*target)) {
          ++settled;
        } else {
          not_yet = absl::StrCat(worker.worker().worker_id(), " rank ", stream.rank(), " is ",
                                 v1::Trust_Name(stream.trust()), " (", stream.trust_reason(),
                                 ") at batch ", stream.next_seq(), " of ", published(*target));
        }
      }
    }
    if (settled == ranks_.size()) return absl::OkStatus();
    if (Clock::Real().Monotonic() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat("streams are not settled: ", not_yet));
    }
    std::this_thread::sleep_for(kAskAgain);
  }
}

absl::StatusOr<RequestPlacement> KvrouteClient::Place(const PlacementRequest& request) {
  auto* tokens = stubs_->route.mutable_prompt()->mutable_token_ids();
  tokens->Clear();
  tokens->Add(request.prompt.begin(), request.prompt.end());
  stubs_->route.set_request_id(RequestId(request.number));
  stubs_->route.set_expected_output_tokens(request.output_tokens);

  grpc::ClientContext context;
  stubs_->Prepare(&context);
  const Nanos start = Clock::Real().Monotonic();
  const absl::Status status = FromGrpc(
      "Router.Route", stubs_->router->Route(&context, stubs_->route, &stubs_->route_response));
  route_latency_.Observe(Clock::Real().Monotonic() - start);
  if (!status.ok()) return status;

  const v1::Match& chosen = stubs_->route_response.chosen();
  const auto target = stubs_->TargetOf(chosen.target().worker_id(), chosen.target().rank());
  if (!target.has_value()) {
    return absl::InternalError(absl::StrCat("Router.Route: chose ", chosen.target().worker_id(),
                                            " rank ", chosen.target().rank(),
                                            ", which is not of this run"));
  }
  return RequestPlacement{.target = *target,
                          .prediction = Prediction{.matched_blocks = chosen.matched_blocks(),
                                                   .exact = chosen.trust() == v1::TRUST_EXACT,
                                                   .next_seq = chosen.next_seq()}};
}

absl::Status KvrouteClient::Prefilled(uint64_t number) { return Complete(number, false); }
absl::Status KvrouteClient::Ended(uint64_t number) { return Complete(number, true); }

absl::Status KvrouteClient::Complete(uint64_t number, bool ended) {
  v1::CompleteRequest request;
  request.set_request_id(RequestId(number));
  request.set_progress(ended ? v1::CompleteRequest::PROGRESS_ENDED
                             : v1::CompleteRequest::PROGRESS_PREFILLED);
  grpc::ClientContext context;
  stubs_->Prepare(&context);
  v1::CompleteResponse response;
  return FromGrpc("Router.Complete", stubs_->router->Complete(&context, request, &response));
}

std::string KvrouteClient::RequestId(uint64_t number) const {
  return absl::StrCat(options_.model, "-", number);
}

}  // namespace kvroute
