#include "tools/fleet/kvroute_placer.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/clock.h"
#include "tools/client/api_client.h"

namespace kvroute {
namespace {

// AwaitApplied: a stream that is a few batches behind is there after a call or two; one that is
// being replayed takes longer.
constexpr int kAskAtOnce = 3;
constexpr std::chrono::microseconds kAskAgain{500};
constexpr uint64_t kNotSeen = UINT64_MAX;

v1::Worker DescribeWorker(const KvroutePlacerOptions& options,
                          absl::Span<const RegisteredRank> ranks) {
  v1::Worker worker;
  worker.set_worker_id(ranks[0].worker_id);
  worker.set_address(absl::StrCat("simulated://", ranks[0].worker_id));
  worker.set_model(options.model);
  worker.set_engine(std::string(EngineKindName(EngineKindOf(ranks[0].style))));
  worker.set_block_size_tokens(options.block_size_tokens);
  worker.set_event_endpoint(ranks[0].event_endpoint);
  worker.set_replay_endpoint(ranks[0].replay_endpoint);
  worker.set_data_parallel_size(static_cast<uint32_t>(ranks.size()));
  for (const RegisteredRank& rank :
       ranks.subspan(1)) {  // ports the system chose do not follow port + rank
    v1::RankOverride* own = worker.add_rank_overrides();
    own->set_rank(rank.rank);
    own->set_event_endpoint(rank.event_endpoint);
    own->set_replay_endpoint(rank.replay_endpoint);
  }
  return worker;
}

}  // namespace

class KvroutePlacer::Api {
 public:
  Api(const KvroutePlacerOptions& options, const std::vector<RegisteredRank>& ranks)
      : client(options.address, options.timeout) {
    for (size_t i = 0; i < ranks.size(); ++i) target_of_[{ranks[i].worker_id, ranks[i].rank}] = i;
    probe.set_model(options.model);
    probe.mutable_prompt()->add_token_ids(0);
  }

  std::optional<size_t> TargetOf(const std::string& worker_id, uint32_t rank) const {
    const auto target = target_of_.find({worker_id, rank});
    if (target == target_of_.end()) return std::nullopt;
    return target->second;
  }

  const ApiClient client;
  std::vector<v1::RouteRequest> routes;  // kept: their token buffers are reused
  v1::ScoreRequest probe;                // asked for the streams' state, not for a match
  std::vector<v1::CompleteRequest> untold;

 private:
  absl::flat_hash_map<std::pair<std::string, uint32_t>, size_t> target_of_;
};

KvroutePlacer::KvroutePlacer(const KvroutePlacerOptions& options, std::vector<RegisteredRank> ranks)
    : options_(options),
      ranks_(std::move(ranks)),
      api_(std::make_unique<Api>(options_, ranks_)),
      applied_(ranks_.size(), kNotSeen) {}

KvroutePlacer::~KvroutePlacer() = default;

absl::Status KvroutePlacer::Register() {
  for (size_t first = 0; first < ranks_.size();) {
    size_t end = first + 1;
    while (end < ranks_.size() && ranks_[end].worker_id == ranks_[first].worker_id) ++end;
    const v1::Worker worker =
        DescribeWorker(options_, absl::MakeConstSpan(ranks_).subspan(first, end - first));
    if (absl::Status status = api_->client.Register(worker); !status.ok()) return status;
    first = end;
  }
  return absl::OkStatus();
}

absl::Status KvroutePlacer::Deregister() {
  absl::Status first_error;
  for (const RegisteredRank& rank : ranks_) {
    if (rank.rank != 0) continue;
    first_error.Update(api_->client.Deregister(rank.worker_id));
  }
  return first_error;
}

absl::Status KvroutePlacer::AwaitApplied(const std::function<uint64_t(size_t target)>& published,
                                         const std::function<void()>& serve) {
  bool outstanding = false;
  for (size_t i = 0; i < ranks_.size(); ++i) outstanding |= applied_[i] != published(i);
  if (!outstanding) return absl::OkStatus();
  const Nanos deadline = Clock::Real().Monotonic() + options_.timeout;
  for (int asked = 0;; ++asked) {
    serve();
    const absl::StatusOr<std::string> unapplied = FindUnapplied(published);
    if (!unapplied.ok()) return unapplied.status();
    if (unapplied->empty()) return absl::OkStatus();
    if (Clock::Real().Monotonic() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat("streams are not settled: ", *unapplied));
    }
    if (asked >= kAskAtOnce) std::this_thread::sleep_for(kAskAgain);
  }
}

absl::StatusOr<std::string> KvroutePlacer::FindUnapplied(
    const std::function<uint64_t(size_t target)>& published) {
  const absl::StatusOr<v1::ScoreResponse> answer = api_->client.Score(api_->probe);
  if (!answer.ok()) return answer.status();
  applied_.assign(ranks_.size(), kNotSeen);
  for (const v1::Match& match : answer->matches()) {
    const std::string& worker_id = match.target().worker_id();
    const auto target = api_->TargetOf(worker_id, match.target().rank());
    if (!target.has_value()) continue;
    if (match.trust() != v1::TRUST_EXACT || match.next_seq() != published(*target)) {
      return absl::StrCat(worker_id, " rank ", match.target().rank(), " is ",
                          v1::Trust_Name(match.trust()), " (", match.trust_reason(), ") at batch ",
                          match.next_seq(), " of ", published(*target));
    }
    applied_[*target] = match.next_seq();
  }
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (applied_[i] == kNotSeen) {
      return absl::StrCat(ranks_[i].worker_id, " rank ", ranks_[i].rank, " is not listed");
    }
  }
  return "";
}

absl::StatusOr<RequestPlacement> KvroutePlacer::Place(const PlacementRequest& request) {
  api_->routes.resize(std::max<size_t>(api_->routes.size(), 1));
  FillRoute(request, &api_->routes[0]);
  const Nanos start = Clock::Real().Monotonic();
  const absl::StatusOr<v1::RouteResponse> response = api_->client.Route(api_->routes[0]);
  route_latency_.Observe(Clock::Real().Monotonic() - start);
  if (!response.ok()) return response.status();
  return PlacementOf(*response);
}

absl::StatusOr<std::vector<RequestPlacement>> KvroutePlacer::PlaceAll(
    absl::Span<const PlacementRequest> requests) {
  if (!options_.together) return Placer::PlaceAll(requests);
  api_->routes.resize(std::max(api_->routes.size(), requests.size()));
  for (size_t i = 0; i < requests.size(); ++i) FillRoute(requests[i], &api_->routes[i]);
  const auto responses =
      api_->client.RouteAll(absl::MakeConstSpan(api_->routes).first(requests.size()));
  if (!responses.ok()) return responses.status();
  std::vector<RequestPlacement> placements;
  for (const v1::RouteResponse& response : *responses) {
    absl::StatusOr<RequestPlacement> placement = PlacementOf(response);
    if (!placement.ok()) return placement.status();
    placements.push_back(*std::move(placement));
  }
  return placements;
}

void KvroutePlacer::FillRoute(const PlacementRequest& request, v1::RouteRequest* route) const {
  route->set_model(options_.model);
  route->set_policy(options_.policy);
  auto* tokens = route->mutable_prompt()->mutable_token_ids();
  tokens->Clear();
  tokens->Add(request.prompt.begin(), request.prompt.end());
  route->set_request_id(RequestId(request.number));
  route->set_expected_output_tokens(request.output_tokens);
}

absl::StatusOr<RequestPlacement> KvroutePlacer::PlacementOf(
    const v1::RouteResponse& response) const {
  const v1::Match& chosen = response.chosen();
  const auto target = api_->TargetOf(chosen.target().worker_id(), chosen.target().rank());
  if (!target.has_value()) {
    return absl::InternalError(absl::StrCat("Router.Route: chose ", chosen.target().worker_id(),
                                            " rank ", chosen.target().rank(),
                                            ", which is not of this run"));
  }
  const DecisionRecord decision{
      .target = *target,
      .matched_blocks = chosen.matched_blocks(),
      .uncached_tokens = chosen.uncached_tokens(),
      .requests_in_flight = chosen.load().requests_in_flight(),
      .uncached_tokens_outstanding = chosen.load().uncached_tokens_outstanding(),
      .output_tokens_expected = chosen.load().output_tokens_expected()};
  return RequestPlacement{.decision = decision,
                          .prediction = PredictionBasis{.exact = chosen.trust() == v1::TRUST_EXACT,
                                                        .next_seq = chosen.next_seq()}};
}

absl::Status KvroutePlacer::Prefilled(uint64_t number) { return Complete(number, false); }
absl::Status KvroutePlacer::Ended(uint64_t number) { return Complete(number, true); }

absl::Status KvroutePlacer::Complete(uint64_t number, bool ended) {
  v1::CompleteRequest request;
  request.set_request_id(RequestId(number));
  request.set_progress(ended ? v1::CompleteRequest::PROGRESS_ENDED
                             : v1::CompleteRequest::PROGRESS_PREFILLED);
  if (!options_.together) return api_->client.Complete(request).status();
  api_->untold.push_back(std::move(request));
  return absl::OkStatus();
}

absl::Status KvroutePlacer::TellProgress() {
  if (api_->untold.empty()) return absl::OkStatus();
  const absl::Status status = api_->client.CompleteAll(api_->untold);
  api_->untold.clear();
  return status;
}

std::string KvroutePlacer::RequestId(uint64_t number) const {
  return absl::StrCat(options_.model, "-", number);
}

}  // namespace kvroute
