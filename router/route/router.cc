#include "router/route/router.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string_view>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

uint64_t RandomSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

absl::Status CheckRequestId(std::string_view request_id) {
  if (request_id.size() <= limits::kMaxRequestIdBytes) return absl::OkStatus();
  return InvalidArgument("request_id: {} bytes; the limit is {}", request_id.size(),
                         limits::kMaxRequestIdBytes);
}

// The first hashes as the chosen target's engine makes them; without a choice, as the first profile
// that the request's hashes can be compared with.
void ShowHashes(const Query& query, const std::optional<Choice>& choice, QueryWalk* walk,
                Explanation* explanation) {
  for (size_t p = 0; p < walk->prompt.profile_count; ++p) {
    ParsedPrompt::Hashes& hashes = walk->prompt.hashes[p];
    const bool shown =
        choice ? hashes.profile == walk->matches[choice->index].profile : hashes.comparable;
    if (!shown) continue;
    LocalHashesOf(query.prompt, query.prompt_namespace, hashes.profile, limits::kMaxExplainedHashes,
                  &explanation->local_hashes);
    const size_t blocks = std::min(hashes.chain.size(), limits::kMaxExplainedHashes);
    const PrefixHash* prefixes = hashes.chain.First(blocks);
    explanation->prefix_hashes.assign(prefixes, prefixes + blocks);
    return;
  }
}

QueryWalk& ThreadWalk() {
  thread_local QueryWalk walk;
  return walk;
}

}  // namespace

Router::Router(const RouterOptions& options, const PrefixIndex* index, const Fleet* fleet,
               LoadTracker* loads, RoutingStats* stats, const Clock* clock)
    : index_(index),
      fleet_(fleet),
      loads_(loads),
      stats_(stats),
      clock_(clock),
      default_policy_(options.default_policy),
      tie_break_seed_(options.tie_break_seed != 0 ? options.tie_break_seed : RandomSeed()) {}

// The walk of a routed request.
absl::Status Router::Decide(const Query& query, Decision* decision) {
  QueryWalk& walk = ThreadWalk();
  Terms terms;
  KVROUTE_RETURN_IF_ERROR(ReadTerms(query, &terms));
  KVROUTE_RETURN_IF_ERROR(MatchPrompt(query, &decision->fleet, &walk));
  walk.GatherCandidates();
  ModelState& model = *walk.model->state;
  terms.tie_break =
      TieBreak(tie_break_seed_, model.decisions.fetch_add(1, std::memory_order_relaxed));
  const uint64_t turn = terms.policy == PolicyKind::kRoundRobin
                            ? model.turn.fetch_add(1, std::memory_order_relaxed)
                            : 0;
  const std::optional<Choice> choice =
      Choose(terms.policy, absl::MakeSpan(walk.candidates), terms.tie_break, turn);
  if (!choice) return walk.WhyNone();
  KVROUTE_RETURN_IF_ERROR(Lease(query, walk, *choice, &decision->request_id));
  walk.FillDecision(*choice, terms, decision);
  Count(terms, walk, *choice);
  return absl::OkStatus();
}

// Snapshot of the fleet, status of its streams, limits and hashes of the prompt, then the index.
absl::Status Router::MatchPrompt(const Query& query, std::shared_ptr<const FleetSnapshot>* fleet,
                                 QueryWalk* walk) {
  loads_->SweepIfDue();
  fleet_->Refresh(fleet);
  walk->fleet = fleet->get();
  KVROUTE_RETURN_IF_ERROR(walk->FindModel(query.model));
  KVROUTE_RETURN_IF_ERROR(walk->TakeNamed(query.candidates));
  walk->matches.ReadStreams(*walk->fleet, *walk->model);
  KVROUTE_RETURN_IF_ERROR(
      ParsePrompt(query.prompt, query.prompt_namespace, walk->matches.profiles(), &walk->prompt));
  const Nanos begin = clock_->Monotonic();
  walk->matches.Match(*walk->fleet, *index_, &walk->prompt);
  stats_->match_latency.Observe(clock_->Monotonic() - begin);
  return absl::OkStatus();
}

absl::Status Router::ReadTerms(const Query& query, Terms* terms) {
  terms->policy = default_policy_.load(std::memory_order_relaxed);
  if (!query.policy.empty()) {
    const std::optional<PolicyKind> policy = ParsePolicy(query.policy);
    if (!policy) {
      return InvalidArgument("policy: \"{}\" is not one of {}", query.policy.substr(0, 64),
                             kPolicyNames.Joined());
    }
    terms->policy = *policy;
  }
  if (query.runner_ups > limits::kMaxRunnerUps) {
    return InvalidArgument("runner_ups: {}; the limit is {}", query.runner_ups,
                           limits::kMaxRunnerUps);
  }
  terms->runner_ups = query.runner_ups;
  return CheckRequestId(query.request_id);
}

absl::Status Router::Lease(const Query& query, const QueryWalk& walk, const Choice& choice,
                           std::string* request_id) {
  if (query.request_id.empty()) {
    loads_->MakeRequestId(request_id);
  } else {
    request_id->assign(query.request_id);
  }
  const LeaseCost cost{walk.candidates[choice.index].uncached_tokens, query.expected_output_tokens};
  return loads_->Begin(*request_id, walk.target(choice.index).load, cost);
}

void Router::Count(const Terms& terms, const QueryWalk& walk, const Choice& choice) {
  const auto policy = static_cast<size_t>(terms.policy);
  const auto add = [](RoutingStats::Counter& counter, uint64_t by) {
    counter.fetch_add(by, std::memory_order_relaxed);
  };
  add(stats_->decisions[policy][static_cast<size_t>(choice.reason)], 1);
  const uint64_t tokens = walk.prompt.prompt_tokens;
  const uint64_t matched = std::min(walk.candidates[choice.index].matched_tokens, tokens);
  add(stats_->prompt_tokens, tokens);
  add(stats_->matched_tokens, matched);
  add(stats_->matched_tenths[(10 * matched + tokens - 1) / tokens], 1);
  for (size_t i = 0; i < walk.left_out.size(); ++i) {
    if (walk.left_out[i] != 0) add(stats_->left_out[i], walk.left_out[i]);
  }
}

absl::Status Router::ScoreAll(const Query& query, Scores* scores) {
  QueryWalk& walk = ThreadWalk();
  KVROUTE_RETURN_IF_ERROR(MatchPrompt(query, &scores->fleet, &walk));
  walk.GatherCandidates();
  walk.order.clear();
  for (uint32_t i = 0; i < walk.candidates.size(); ++i) {
    const TargetMatch& match = walk.matches[i];
    const bool quiet = match.blocks == 0 && match.trust == Trust::kExact;
    if (walk.IsNamed(i) && match.comparable && !(query.only_matching && quiet))
      walk.order.push_back(i);
  }
  std::stable_sort(walk.order.begin(), walk.order.end(), [&](uint32_t a, uint32_t b) {
    return walk.candidates[a].matched_tokens > walk.candidates[b].matched_tokens;
  });
  scores->matches.clear();
  for (const uint32_t i : walk.order) scores->matches.push_back(walk.MatchOf(i));
  const HashProfile profile =
      walk.order.empty() ? HashProfile{} : walk.matches[walk.order[0]].profile;
  scores->total_blocks = walk.prompt.TotalBlocks(profile);
  scores->total_tokens = walk.prompt.prompt_tokens;
  return absl::OkStatus();
}

absl::Status Router::Reason(const Query& query, Explanation* explanation) {
  QueryWalk& walk = ThreadWalk();
  Terms terms;
  KVROUTE_RETURN_IF_ERROR(ReadTerms(query, &terms));
  KVROUTE_RETURN_IF_ERROR(MatchPrompt(query, &explanation->fleet, &walk));
  walk.GatherCandidates();
  const ModelState& model = *walk.model->state;
  terms.tie_break = TieBreak(tie_break_seed_, model.decisions.load(std::memory_order_relaxed));
  const uint64_t turn = model.turn.load(std::memory_order_relaxed);
  const std::optional<Choice> choice =
      Choose(terms.policy, absl::MakeSpan(walk.candidates), terms.tie_break, turn);
  if (choice) {
    Decision& decision = explanation->decision.emplace();
    decision.fleet = explanation->fleet;
    decision.request_id.assign(query.request_id);
    walk.FillDecision(*choice, terms, &decision);
  }
  for (size_t i = 0; i < walk.candidates.size(); ++i) {
    explanation->candidates.push_back(
        {walk.MatchOf(i), walk.candidates[i].score, walk.candidates[i].left_out});
  }
  ShowHashes(query, choice, &walk, explanation);
  return absl::OkStatus();
}

absl::StatusOr<bool> Router::EndOrAdvance(const Outcome& outcome) {
  if (outcome.request_id.empty()) return InvalidArgument("request_id: empty");
  KVROUTE_RETURN_IF_ERROR(CheckRequestId(outcome.request_id));
  switch (outcome.progress) {
    case Progress::kPrefilled:
      return loads_->Prefilled(outcome.request_id);
    case Progress::kEnded:
      return loads_->End(outcome.request_id);
    default:
      return InvalidArgument("progress: {}; must be PROGRESS_PREFILLED (1) or PROGRESS_ENDED (2)",
                             static_cast<int>(outcome.progress));
  }
}

absl::Status Router::Route(const Query& query, Decision* decision) {
  const Nanos begin = clock_->Monotonic();
  absl::Status status = Decide(query, decision);
  stats_->route_latency.Observe(clock_->Monotonic() - begin);
  stats_->CountRequest(RpcMethod::kRoute, status.code());
  return status;
}

absl::Status Router::Score(const Query& query, Scores* scores) {
  const Nanos begin = clock_->Monotonic();
  absl::Status status = ScoreAll(query, scores);
  stats_->score_latency.Observe(clock_->Monotonic() - begin);
  stats_->CountRequest(RpcMethod::kScore, status.code());
  return status;
}

absl::Status Router::Explain(const Query& query, Explanation* explanation) {
  absl::Status status = Reason(query, explanation);
  stats_->CountRequest(RpcMethod::kExplain, status.code());
  return status;
}

absl::StatusOr<bool> Router::Complete(const Outcome& outcome) {
  absl::StatusOr<bool> known = EndOrAdvance(outcome);
  stats_->CountRequest(RpcMethod::kComplete, known.status().code());
  return known;
}

}  // namespace kvroute
