#include "router/route/router.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string_view>

#include "absl/hash/hash.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "router/route/request_id.h"

namespace kvroute {
namespace {

uint64_t RandomSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// What besides its tokens tells the prompt from others. Hashes do not show theirs.
uint8_t KeysOf(const Query& query, const PromptNamespace& names) {
  return (names.cache_salt.empty() ? 0 : kSaltKeys) |
         (query.prompt.multimodal.empty() ? 0 : kImageKeys) |
         (names.lora_name.empty() ? 0 : kAdapterKeys);
}

// The first hashes as the chosen target's engine makes them; without a choice, as the first profile
// that the request's hashes can be compared with.
void ShowHashes(const Query& query, const std::optional<Choice>& choice, QueryWalk* walk,
                Explanation* explanation) {
  for (size_t p = 0; p < walk->prompt.profile_count; ++p) {
    ParsedPrompt::Hashes& hashes = walk->prompt.hashes[p];
    const bool shown = !choice || hashes.profile == walk->matches[choice->index].profile;
    if (!shown || !hashes.comparable()) continue;
    LocalHashesOf(query.prompt, walk->prompt_namespace, hashes.profile, limits::kMaxExplainedHashes,
                  &explanation->local_hashes);
    explanation->prefix_hashes.clear();
    ChainLocals(explanation->local_hashes, &explanation->prefix_hashes);
    const absl::Span<const PrefixHash> given =
        hashes.chain.prefixes().subspan(0, limits::kMaxExplainedHashes);
    explanation->prefix_hashes.insert(explanation->prefix_hashes.end(), given.begin(), given.end());
    return;
  }
}

// How long the prompt is, where that is certain; of hashes the client need not say it.
uint32_t PromptTokensOf(const PromptView& prompt) {
  if (prompt.block_hashes) return prompt.block_hashes->prompt_tokens;
  return static_cast<uint32_t>(prompt.token_ids.size());
}

// What the decision says of its target's cache.
Prediction PredictionOf(const Query& query, const Match& chosen) {
  if (query.no_prompt != NoPrompt::kNo) return {};
  return {static_cast<uint32_t>(chosen.tokens()), PromptTokensOf(query.prompt),
          chosen.block_size_tokens, chosen.trust,
          query.several_prompts ? Prediction::State::kPart : Prediction::State::kMade};
}

// Tells a request from others that have its id: by model, namespace, length of the prompt and its
// ends, which are looked at whatever the length. Never 0.
uint64_t RequestNumber(const Query& query) {
  static constexpr size_t kEnd = 256;
  const auto ends = [](auto items) {
    const size_t end = std::min(items.size(), kEnd);
    return absl::HashOf(items.size(), items.first(end), items.last(end));
  };
  const auto& hashes = query.prompt.block_hashes;
  return absl::HashOf(query.model, query.prompt_namespace.lora_name,
                      query.prompt_namespace.cache_salt, ends(query.prompt.token_ids),
                      hashes ? ends(hashes->hashes) : 0, query.prompt.multimodal.size()) |
         1;
}

// Streams are numbered from 1 on, one a registration: 32 bits are enough for any process's life.
uint32_t PlaceOf(const FleetTarget& target) {
  return static_cast<uint32_t>(target.stream->id.value());
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
      tie_break_seed_(options.tie_break_seed != 0 ? options.tie_break_seed : RandomSeed()),
      texts_(options.max_text_pieces) {}

// The walk of a routed request.
absl::Status Router::Decide(const Query& query, Decision* decision) {
  QueryWalk& walk = ThreadWalk();
  Terms terms;
  KVROUTE_RETURN_IF_ERROR(ReadTerms(query, &terms));
  KVROUTE_RETURN_IF_ERROR(MatchPrompt(query, &decision->fleet, &walk));
  walk.GatherCandidates();
  Guess(query, &walk);
  FindInFlight(query, &walk);
  ModelState& model = *walk.model->state;
  const uint64_t decision_number = model.decisions.fetch_add(1, std::memory_order_relaxed);
  terms.tie_break = TieBreak(tie_break_seed_, decision_number);
  const uint64_t turn = terms.policy == PolicyKind::kRoundRobin
                            ? model.turn.fetch_add(1, std::memory_order_relaxed)
                            : decision_number;
  const std::optional<Choice> choice = ChooseTarget(terms, turn, &walk);
  if (!choice) return Repeat(query, terms, &walk, decision) ? absl::OkStatus() : walk.WhyNone();
  walk.FillDecision(*choice, terms, decision);
  if (absl::Status leased = Lease(query, walk, *choice, decision); !leased.ok()) {
    return Repeat(query, terms, &walk, decision) ? absl::OkStatus() : leased;
  }
  if (query.text != nullptr) texts_.Record(*query.text, PlaceOf(walk.target(choice->index)));
  if (!query.for_prefill) model.routed.fetch_add(1, std::memory_order_relaxed);
  Count(query, terms, walk, *choice, decision->chosen);
  return absl::OkStatus();
}

// Snapshot of the fleet, status of its streams, limits and hashes of the prompt, then the index.
absl::Status Router::MatchPrompt(const Query& query, std::shared_ptr<const FleetSnapshot>* fleet,
                                 QueryWalk* walk) {
  loads_->SweepIfDue();
  fleet_->Refresh(fleet);
  walk->fleet = fleet->get();
  KVROUTE_RETURN_IF_ERROR(walk->FindModel(query));
  KVROUTE_RETURN_IF_ERROR(walk->TakeNamed(query.candidates));
  walk->TakeEndpoints(query);
  walk->matches.ReadStreams(*walk->fleet, *walk->model);
  if (query.no_prompt != NoPrompt::kNo) {
    walk->prompt.profile_count = 0;
    walk->prompt.prompt_tokens = query.guessed_prompt_tokens;
    walk->prompt.given_block_size_tokens = 0;
    walk->prompt_keys = 0;
    return absl::OkStatus();
  }
  walk->prompt_keys = KeysOf(query, walk->prompt_namespace);
  KVROUTE_RETURN_IF_ERROR(
      ParsePrompt(query.prompt, walk->prompt_namespace, walk->matches.profiles(), &walk->prompt));
  const Nanos begin = clock_->Monotonic();
  walk->matches.Match(*walk->fleet, *index_, &walk->prompt);
  stats_->match_latency.Observe(clock_->Monotonic() - begin);
  return absl::OkStatus();
}

void Router::Guess(const Query& query, QueryWalk* walk) {
  if (query.no_prompt == NoPrompt::kNo || query.text == nullptr) return;
  texts_.Find(*query.text, &walk->went_to);
  if (walk->GuessByText()) stats_->text_decisions.fetch_add(1, std::memory_order_relaxed);
}

void Router::FindInFlight(const Query& query, QueryWalk* walk) {
  walk->pieces.clear();
  if (query.no_prompt != NoPrompt::kNo) return;
  walk->CutInPieces();
  loads_->in_flight().Find(walk->pieces, &walk->in_flight);
  walk->CountInFlight();
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
  if (query.tie_to_stream && query.client.stream == 0) {
    return InvalidArgument("tie_to_stream: the call is no stream; ask over RouteStream");
  }
  return CheckRequestId(query.request_id);
}

// A limit of requests spares a worker as long as another serves; it is no reason to fail a request.
std::optional<Choice> Router::ChooseTarget(const Terms& terms, uint64_t turn, QueryWalk* walk) {
  const auto choose = [&](PolicyKind policy) {
    return Choose(policy, absl::MakeSpan(walk->candidates), terms.tie_break, turn);
  };
  std::optional<Choice> choice = choose(terms.policy);
  if (choice || !walk->TakeBackOverloaded()) return choice;
  choice = choose(PolicyKind::kLeastLoaded);
  if (choice) choice->reason = ChoiceReason::kAllOverloaded;
  return choice;
}

absl::Status Router::Lease(const Query& query, const QueryWalk& walk, const Choice& choice,
                           Decision* decision) {
  std::string* const request_id = &decision->request_id;
  request_id->clear();
  decision->prediction = {};
  if (query.no_lease) return absl::OkStatus();
  const Candidate& chosen = walk.candidates[choice.index];
  const LeaseCost cost{chosen.work_tokens(), query.expected_output_tokens};
  const LeasedPrompt prompt{&walk.pieces, PlaceOf(walk.target(choice.index))};
  const std::shared_ptr<TargetLoad>& load = walk.target(choice.index).load;
  const Prediction& prediction = decision->prediction = PredictionOf(query, decision->chosen);
  LeaseHolder holder{.client = query.client,
                     .stream = query.tie_to_stream ? query.client.stream : 0};
  if (!query.request_id.empty()) {
    request_id->assign(query.request_id);
    const LeasedAnswer answer{RequestNumber(query), static_cast<uint8_t>(decision->policy),
                              static_cast<uint8_t>(decision->reason)};
    return loads_->Begin(*request_id, load, cost, holder, prediction, answer, prompt);
  }
  holder.id_is_secret = true;
  // Nobody can foresee the id; should it be in use all the same, the next one is not.
  absl::Status status;
  do {
    LoadTracker::MakeRequestId(request_id);
    status = loads_->Begin(*request_id, load, cost, holder, prediction, {}, prompt);
  } while (absl::IsAlreadyExists(status));
  return status;
}

// A client that did not hear the answer asks again: the request goes where its lease is, whoever
// would be chosen now.
bool Router::Repeat(const Query& query, const Terms& terms, QueryWalk* walk, Decision* decision) {
  RepeatedLease lease;
  if (query.request_id.empty() || query.no_lease ||
      !loads_->Repeat(query.request_id, query.client, RequestNumber(query), &lease)) {
    return false;
  }
  const std::optional<size_t> target = walk->FindLoad(lease.target.get());
  if (!target) return false;  // its worker goes, and so does the lease
  Terms then = terms;
  then.policy = static_cast<PolicyKind>(lease.answer.policy);
  walk->FillDecision({*target, static_cast<ChoiceReason>(lease.answer.reason)}, then, decision);
  decision->request_id.assign(query.request_id);
  decision->is_repeat = true;
  return true;
}

void Router::Count(const Query& query, const Terms& terms, const QueryWalk& walk,
                   const Choice& choice, const Match& chosen) {
  const auto policy = static_cast<size_t>(terms.policy);
  const auto add = [](RoutingStats::Counter& counter, uint64_t by) {
    counter.fetch_add(by, std::memory_order_relaxed);
  };
  add(stats_->decisions[policy][static_cast<size_t>(choice.reason)], 1);
  if (walk.candidates[choice.index].unheard) add(stats_->unheard_decisions, 1);
  for (size_t i = 0; i < walk.left_out.size(); ++i) {
    if (walk.left_out[i] != 0) add(stats_->left_out[i], walk.left_out[i]);
  }
  if (query.no_prompt != NoPrompt::kNo) {
    add(stats_->unscored_decisions[static_cast<size_t>(query.no_prompt)], 1);
    return;
  }
  add(stats_->trusts[static_cast<size_t>(chosen.trust)][static_cast<size_t>(chosen.trust_reason)],
      1);
  const uint64_t tokens = walk.prompt.prompt_tokens;
  const uint64_t matched = std::min(walk.candidates[choice.index].matched_tokens, tokens);
  add(stats_->prompt_tokens, tokens);
  add(stats_->matched_tokens, matched);
  add(stats_->matched_tenths[(10 * matched + tokens - 1) / tokens], 1);
}

absl::Status Router::ScoreAll(const Query& query, Scores* scores) {
  QueryWalk& walk = ThreadWalk();
  KVROUTE_RETURN_IF_ERROR(MatchPrompt(query, &scores->fleet, &walk));
  walk.GatherCandidates();
  walk.order.clear();
  for (uint32_t i = 0; i < walk.candidates.size(); ++i) {
    const TargetMatch& match = walk.matches[i];
    const bool of_other_size = match.incomparable == Incomparable::kBlockSize;
    const bool quiet = match.blocks == 0 && walk.IsExact(i);
    if (walk.IsNamed(i) && !of_other_size && !(query.only_matching && quiet))
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
  FindInFlight(query, &walk);
  const ModelState& model = *walk.model->state;
  const uint64_t decision_number = model.decisions.load(std::memory_order_relaxed);
  terms.tie_break = TieBreak(tie_break_seed_, decision_number);
  const uint64_t turn = terms.policy == PolicyKind::kRoundRobin
                            ? model.turn.load(std::memory_order_relaxed)
                            : decision_number;
  const std::optional<Choice> choice = ChooseTarget(terms, turn, &walk);
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

}  // namespace kvroute
