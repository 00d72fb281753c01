#include "router/route/query_handler.h"

#include <algorithm>
#include <random>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "router/route/query_scratch.h"

namespace kvroute {
namespace {

uint64_t RandomSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

template <typename Request>
PromptNamespace NamespaceOf(const Request& request) {
  return {request.lora_name(), request.cache_salt()};
}

absl::Status CheckRequestId(const std::string& request_id) {
  if (request_id.size() <= limits::kMaxRequestIdBytes) return absl::OkStatus();
  return InvalidArgument("request_id: {} bytes; the limit is {}", request_id.size(),
                         limits::kMaxRequestIdBytes);
}

}  // namespace

QueryHandler::QueryHandler(const QueryOptions& options, const PrefixIndex* index,
                           const Fleet* fleet, LoadTracker* loads, RoutingStats* stats,
                           const Clock* clock)
    : index_(index),
      fleet_(fleet),
      loads_(loads),
      stats_(stats),
      clock_(clock),
      default_policy_(options.default_policy),
      tie_break_seed_(options.tie_break_seed != 0 ? options.tie_break_seed : RandomSeed()) {}

QueryHandler::Scratch& QueryHandler::ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

// The walk of a routed request.
absl::Status QueryHandler::DoRoute(const v1::RouteRequest& request, v1::RouteResponse* response) {
  Scratch& s = ThreadScratch();
  Terms terms;
  KVROUTE_RETURN_IF_ERROR(ParseTerms(request, &terms));
  KVROUTE_RETURN_IF_ERROR(MatchPrompt(request, &s));
  s.GatherCandidates();
  terms.tie_break =
      TieBreak(tie_break_seed_, s.model->state->decisions.fetch_add(1, std::memory_order_relaxed));
  const uint64_t turn = terms.policy == PolicyKind::kRoundRobin
                            ? s.model->state->turn.fetch_add(1, std::memory_order_relaxed)
                            : 0;
  const std::optional<Choice> choice =
      Choose(terms.policy, absl::MakeSpan(s.candidates), terms.tie_break, turn);
  if (!choice) return s.WhyNone();
  KVROUTE_RETURN_IF_ERROR(Lease(request, s, *choice, response->mutable_request_id()));
  s.FillRoute(*choice, terms, response);
  CountDecision(terms, s, *choice);
  return absl::OkStatus();
}

// Snapshot of the fleet, limits and hashes of the prompt, then the index.
template <typename Request>
absl::Status QueryHandler::MatchPrompt(const Request& request, Scratch* s) {
  loads_->SweepIfDue();
  fleet_->Refresh(&s->fleet);
  KVROUTE_RETURN_IF_ERROR(s->FindModel(request.model()));
  KVROUTE_RETURN_IF_ERROR(s->TakeNamed(request.candidates()));
  s->matches.ReadStreams(*s->fleet, *s->model);
  KVROUTE_RETURN_IF_ERROR(
      ParsePrompt(request.prompt(), NamespaceOf(request), s->matches.profiles(), &s->prompt));
  const Nanos begin = clock_->Monotonic();
  s->matches.Match(*s->fleet, *index_, &s->prompt);
  stats_->match_latency.Observe(clock_->Monotonic() - begin);
  return absl::OkStatus();
}

absl::Status QueryHandler::ParseTerms(const v1::RouteRequest& request, Terms* terms) {
  terms->policy = default_policy_.load(std::memory_order_relaxed);
  if (!request.policy().empty()) {
    const std::optional<PolicyKind> policy = ParsePolicy(request.policy());
    if (!policy) {
      return InvalidArgument(
          "policy: \"{}\" is not one of lmetric, prefix, least_loaded, round_robin, random",
          request.policy().substr(0, 64));
    }
    terms->policy = *policy;
  }
  if (request.runner_ups() > limits::kMaxRunnerUps) {
    return InvalidArgument("runner_ups: {}; the limit is {}", request.runner_ups(),
                           limits::kMaxRunnerUps);
  }
  terms->runner_ups = request.runner_ups();
  return CheckRequestId(request.request_id());
}

absl::Status QueryHandler::Lease(const v1::RouteRequest& request, const Scratch& s,
                                 const Choice& choice, std::string* request_id) {
  if (request.request_id().empty()) {
    loads_->MakeRequestId(request_id);
  } else {
    *request_id = request.request_id();
  }
  const LeaseCost cost{s.candidates[choice.index].uncached_tokens,
                       request.expected_output_tokens()};
  return loads_->Begin(*request_id, s.target(choice.index).load, cost);
}

void QueryHandler::CountDecision(const Terms& terms, const Scratch& s, const Choice& choice) {
  const auto policy = static_cast<size_t>(terms.policy);
  const auto add = [](RoutingStats::Counter& counter, uint64_t by) {
    counter.fetch_add(by, std::memory_order_relaxed);
  };
  add(stats_->decisions[policy][static_cast<size_t>(choice.reason)], 1);
  const uint64_t matched =
      std::min(s.candidates[choice.index].matched_tokens, s.prompt.prompt_tokens);
  add(stats_->prompt_tokens, s.prompt.prompt_tokens);
  add(stats_->matched_tokens, matched);
  const uint64_t tenths = (10 * matched + s.prompt.prompt_tokens - 1) / s.prompt.prompt_tokens;
  add(stats_->matched_tenths[tenths], 1);
  for (size_t i = 0; i < s.left_out.size(); ++i) {
    if (s.left_out[i] != 0) add(stats_->left_out[i], s.left_out[i]);
  }
}

absl::Status QueryHandler::DoScore(const v1::ScoreRequest& request, v1::ScoreResponse* response) {
  Scratch& s = ThreadScratch();
  KVROUTE_RETURN_IF_ERROR(MatchPrompt(request, &s));
  s.GatherCandidates();
  s.order.clear();
  for (uint32_t i = 0; i < s.candidates.size(); ++i) {
    const TargetMatch& match = s.matches[i];
    const bool quiet = match.blocks == 0 && match.trust == Trust::kExact;
    if (s.IsNamed(i) && match.comparable && !(request.only_matching() && quiet))
      s.order.push_back(i);
  }
  std::stable_sort(s.order.begin(), s.order.end(), [&](uint32_t a, uint32_t b) {
    return s.candidates[a].matched_tokens > s.candidates[b].matched_tokens;
  });
  for (const uint32_t i : s.order) s.FillMatch(i, response->add_matches());
  const HashProfile profile = s.order.empty() ? HashProfile{} : s.matches[s.order[0]].profile;
  response->set_total_blocks(s.prompt.TotalBlocks(profile));
  response->set_total_tokens(s.prompt.prompt_tokens);
  return absl::OkStatus();
}

absl::Status QueryHandler::DoExplain(const v1::RouteRequest& request,
                                     v1::ExplainResponse* response) {
  Scratch& s = ThreadScratch();
  Terms terms;
  KVROUTE_RETURN_IF_ERROR(ParseTerms(request, &terms));
  KVROUTE_RETURN_IF_ERROR(MatchPrompt(request, &s));
  s.GatherCandidates();
  const ModelState& model = *s.model->state;
  terms.tie_break = TieBreak(tie_break_seed_, model.decisions.load(std::memory_order_relaxed));
  const uint64_t turn = model.turn.load(std::memory_order_relaxed);
  const std::optional<Choice> choice =
      Choose(terms.policy, absl::MakeSpan(s.candidates), terms.tie_break, turn);
  if (choice) {
    s.FillRoute(*choice, terms, response->mutable_decision());
    response->mutable_decision()->set_request_id(request.request_id());
  }
  for (size_t i = 0; i < s.candidates.size(); ++i) {
    v1::ExplainResponse::Candidate* candidate = response->add_candidates();
    s.FillMatch(i, candidate->mutable_match());
    candidate->set_score(s.candidates[i].score);
    const std::string_view left_out = LeftOutName(s.candidates[i].left_out);
    candidate->set_left_out(left_out.data(), left_out.size());
  }
  // As the chosen target's engine hashes; without one, as the first comparable profile does.
  for (size_t p = 0; p < s.prompt.profile_count; ++p) {
    ParsedPrompt::Hashes& hashes = s.prompt.hashes[p];
    if (choice ? hashes.profile != s.matches[choice->index].profile : !hashes.comparable) continue;
    std::vector<LocalHash> locals;
    LocalHashesOf(request.prompt(), NamespaceOf(request), hashes.profile,
                  limits::kMaxExplainedHashes, &locals);
    for (const LocalHash local : locals) response->add_local_hashes(local.value());
    const size_t shown = std::min(hashes.chain.size(), limits::kMaxExplainedHashes);
    const PrefixHash* prefixes = hashes.chain.First(shown);
    for (size_t i = 0; i < shown; ++i) response->add_prefix_hashes(prefixes[i].value());
    break;
  }
  return absl::OkStatus();
}

absl::Status QueryHandler::DoComplete(const v1::CompleteRequest& request,
                                      v1::CompleteResponse* response) {
  if (request.request_id().empty()) return InvalidArgument("request_id: empty");
  KVROUTE_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  switch (request.progress()) {
    case v1::CompleteRequest::PROGRESS_PREFILLED:
      response->set_known(loads_->Prefilled(request.request_id()));
      return absl::OkStatus();
    case v1::CompleteRequest::PROGRESS_ENDED:
      response->set_known(loads_->End(request.request_id()));
      return absl::OkStatus();
    default:
      return InvalidArgument("progress: {}; must be PROGRESS_PREFILLED (1) or PROGRESS_ENDED (2)",
                             static_cast<int>(request.progress()));
  }
}

absl::Status QueryHandler::Route(const v1::RouteRequest& request, v1::RouteResponse* response) {
  const Nanos begin = clock_->Monotonic();
  absl::Status status = DoRoute(request, response);
  stats_->route_latency.Observe(clock_->Monotonic() - begin);
  stats_->CountRequest(RpcMethod::kRoute, status.code());
  return status;
}

absl::Status QueryHandler::Score(const v1::ScoreRequest& request, v1::ScoreResponse* response) {
  const Nanos begin = clock_->Monotonic();
  absl::Status status = DoScore(request, response);
  stats_->score_latency.Observe(clock_->Monotonic() - begin);
  stats_->CountRequest(RpcMethod::kScore, status.code());
  return status;
}

absl::Status QueryHandler::Complete(const v1::CompleteRequest& request,
                                    v1::CompleteResponse* response) {
  absl::Status status = DoComplete(request, response);
  stats_->CountRequest(RpcMethod::kComplete, status.code());
  return status;
}

absl::Status QueryHandler::Explain(const v1::RouteRequest& request, v1::ExplainResponse* response) {
  absl::Status status = DoExplain(request, response);
  stats_->CountRequest(RpcMethod::kExplain, status.code());
  return status;
}

}  // namespace kvroute
