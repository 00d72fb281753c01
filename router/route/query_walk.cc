#include "router/route/query_walk.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/error_reason.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

LeftOut LeftOutOf(const TargetFacts& target, uint32_t requests_in_flight) {
  if (target.draining) return LeftOut::kDraining;
  const uint32_t limit = target.max_requests_in_flight;
  if (limit != 0 && requests_in_flight >= limit) return LeftOut::kOverloaded;
  const EngineHealth health = target.load->engine.health.load(std::memory_order_relaxed);
  return health == EngineHealth::kDoesNotAnswer ? LeftOut::kNotAnswering : LeftOut::kNo;
}

void ReadReport(const EngineReport& report, Candidate* to) {
  const bool is_fresh = report.is_fresh.load(std::memory_order_relaxed);
  const auto value = [is_fresh](const std::atomic<uint32_t>& of) {
    return is_fresh ? of.load(std::memory_order_relaxed) : 0;
  };
  to->waiting = value(report.waiting);
  to->running = value(report.running);
  to->kv_usage_millionths = value(report.kv_usage_millionths);
  to->capacity_blocks = value(report.capacity_blocks);
}

// What is matched in a slower tier has to be loaded: so many thousandths of the time that its
// prefill would take, by tier. What was measured of models and hardware is far apart (loading from
// CPU memory 1 to 40 %): what matters here is that of two equal matches the faster one wins, and
// that a slow match is better than none.
constexpr std::array<uint64_t, kTierCount> kLoadingThousandths = {0, 50, 200, 300};

uint64_t LoadingTokens(const TargetMatch& match) {
  if (match.blocks == match.blocks_by_tier[0]) return 0;
  uint64_t thousandths = 0;
  for (size_t tier = 0; tier < kTierCount; ++tier) {
    thousandths += kLoadingThousandths[tier] * match.blocks_by_tier[tier];
  }
  return (thousandths * match.profile.block_size_tokens + 999) / 1000;
}

// Of a target that may serve, but about whose cache nothing can be said.
LeftOut LeftOutOf(Incomparable incomparable) {
  switch (incomparable) {
    case Incomparable::kNo:
      return LeftOut::kNo;
    case Incomparable::kBlockSize:
      return LeftOut::kBlockSize;
    case Incomparable::kLookahead:
      return LeftOut::kLookahead;
    case Incomparable::kPromptBlocks:
      return LeftOut::kPromptBlocks;
    case Incomparable::kHashProfiles:
      return LeftOut::kHashProfiles;
  }
  return LeftOut::kNo;
}

// Why a match with an exact stream may be wrong for this prompt, which has these kinds of keys.
TrustReason DoubtOf(const TargetMatch& match, uint8_t keys) {
  if (match.incomparable == Incomparable::kPromptBlocks) return TrustReason::kPromptBlocks;
  if (!match.comparable()) return TrustReason::kOtherHashes;
  return (match.unnamed_keys & keys) != 0 ? TrustReason::kKeysNotPublished : TrustReason::kNone;
}

// A stream that was exact before the match and is not any more may have changed while the query
// ran: the answer then says how it stands now.
void FillTrust(const StreamStatus& stream, const TargetMatch& before, uint8_t keys, Match* match) {
  match->trust = before.trust;
  match->trust_reason = before.reason;
  if (before.trust != Trust::kExact) return;
  match->trust = stream.trust.load(std::memory_order_acquire);
  if (match->trust != Trust::kExact) {
    match->trust_reason = stream.reason.load(std::memory_order_relaxed);
    return;
  }
  const TrustReason doubt = DoubtOf(before, keys);
  if (doubt == TrustReason::kNone) return;
  match->trust = Trust::kDegraded;
  match->trust_reason = doubt;
}

}  // namespace

absl::Status QueryWalk::FindModel(const Query& query) {
  const std::string_view name = query.model;
  const bool any = query.any_model && query.no_prompt != NoPrompt::kNo && !fleet->targets.empty();
  prompt_namespace = query.prompt_namespace;
  model = any ? &fleet->all : fleet->FindModel(name);
  if (model != nullptr) return absl::OkStatus();
  if (fleet->models.empty()) {
    return WithReason(absl::UnavailableError("no worker is known"), ErrorReason::kNoWorkers);
  }
  if (name.empty()) {
    return WithReason(
        InvalidArgument("model: empty, but the workers serve {} models", fleet->models.size()),
        ErrorReason::kModelNotNamed, {{"models", std::to_string(fleet->models.size())}});
  }
  if (name.size() > limits::kMaxModelBytes) {
    return InvalidArgument("model: {} bytes; the limit is {}", name.size(), limits::kMaxModelBytes);
  }
  model = fleet->FindAdapter(name);
  if (model != nullptr) {
    const bool is_inside_the_hashes = query.prompt.block_hashes.has_value();
    if (prompt_namespace.lora_name.empty() && !is_inside_the_hashes) {
      prompt_namespace.lora_name = name;
    }
    return absl::OkStatus();
  }
  return WithReason(Error(absl::StatusCode::kNotFound, "model: no worker serves \"{}\"", name),
                    ErrorReason::kUnknownModel, {{"model", name}});
}

absl::Status QueryWalk::TakeNamed(absl::Span<const TargetName> targets) {
  named.clear();
  unknown_named = 0;
  if (targets.empty()) return absl::OkStatus();
  if (targets.size() > limits::kMaxCandidates) {
    return InvalidArgument("candidates: {} are named; the limit is {}", targets.size(),
                           limits::kMaxCandidates);
  }
  named.assign(model->end - model->begin, 0);
  for (const TargetName& target : targets) {
    const std::optional<uint32_t> found = fleet->FindTarget(target.worker_id, target.rank);
    if (found && *found >= model->begin && *found < model->end) {
      named[*found - model->begin] = 1;
    } else {
      ++unknown_named;
    }
  }
  return absl::OkStatus();
}

void QueryWalk::TakeEndpoints(const Query& query) {
  for_prefill = query.for_prefill;
  by_endpoint = query.by_endpoint;
  endpoints.assign(query.endpoints.begin(), query.endpoints.end());
  std::sort(endpoints.begin(), endpoints.end());
}

LeftOut QueryWalk::NotAllowed(size_t i) const {
  if (facts(i).role == (for_prefill ? WorkerRole::kDecode : WorkerRole::kPrefill)) {
    return LeftOut::kRole;
  }
  if (!IsNamed(i)) return LeftOut::kNotACandidate;
  if (!by_endpoint) return LeftOut::kNo;
  const std::optional<Endpoint>& endpoint = target(i).worker->EndpointOf(target(i).rank);
  if (!endpoint) return LeftOut::kNoEndpoint;
  if (endpoints.empty() || std::binary_search(endpoints.begin(), endpoints.end(), *endpoint) ||
      std::binary_search(endpoints.begin(), endpoints.end(), Endpoint{endpoint->ip, 0})) {
    return LeftOut::kNo;
  }
  return LeftOut::kNotACandidate;
}

void QueryWalk::GatherCandidates() {
  left_out.fill(0);
  size_t known = 0;  // of those that may be chosen: compared, and heard
  size_t not_compared = 0;
  candidates.resize(matches.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const TargetFacts& from = facts(i);
    Candidate& to = candidates[i];
    to.target = static_cast<uint32_t>(i);
    to.unheard = !matches[i].heard;
    to.matched_tokens = matches[i].tokens();
    to.uncached_tokens = matches[i].UncachedTokens(prompt.prompt_tokens);
    to.requests_in_flight = from.load->RequestsInFlight();
    ReadReport(from.load->engine, &to);
    to.uncached_tokens_outstanding =
        from.load->uncached_tokens_outstanding.load(std::memory_order_relaxed);
    to.output_tokens_expected = from.load->output_tokens_expected.load(std::memory_order_relaxed);
    to.left_out = NotAllowed(i);
    if (to.left_out == LeftOut::kNo) to.left_out = LeftOutOf(from, to.requests_in_flight);
    if (to.left_out == LeftOut::kNo) {
      to.left_out = LeftOutOf(matches[i].incomparable);
      if (to.left_out != LeftOut::kNo) ++not_compared;
      if (to.left_out == LeftOut::kNo && matches[i].heard) ++known;
    }
    if (to.left_out != LeftOut::kNo) ++left_out[static_cast<size_t>(to.left_out)];
    to.requests_begun = from.load->begun.load(std::memory_order_relaxed);
    to.in_flight_tokens = 0;
    to.loading_tokens = LoadingTokens(matches[i]);
    to.score = 0;
  }
  if (left_out[static_cast<size_t>(LeftOut::kNotAnswering)] != 0) TakeBackUnanswering();
  if (known == 0 && not_compared > 0) TakeBackIncomparable();
}

void QueryWalk::CountInFlight() {
  for (const InFlightPrompts::Found& found : in_flight) {
    const std::optional<uint32_t> of = fleet->TargetOf(StreamId(found.place));
    if (!of || *of < model->begin || *of >= model->end) continue;
    Candidate& candidate = candidates[*of - model->begin];
    const uint64_t held = prompt.prompt_tokens - candidate.uncached_tokens;
    if (found.tokens <= held) continue;
    candidate.in_flight_tokens = std::min(found.tokens - held, candidate.uncached_tokens - 1);
  }
}

void QueryWalk::TakeBackUnanswering() {
  for (const Candidate& candidate : candidates) {
    const LeftOut why = candidate.left_out;
    if (why != LeftOut::kRole && why != LeftOut::kNotACandidate && why != LeftOut::kNoEndpoint &&
        why != LeftOut::kDraining && why != LeftOut::kNotAnswering) {
      return;
    }
  }
  left_out[static_cast<size_t>(LeftOut::kNotAnswering)] = 0;
  for (Candidate& candidate : candidates) {
    if (candidate.left_out == LeftOut::kNotAnswering) candidate.left_out = LeftOut::kNo;
  }
}

bool QueryWalk::GuessByText() {
  constexpr uint64_t kTokensPerPiece = TextChain::kPieceBytes / 4;
  bool any = false;
  for (const TextMemory::Found& found : went_to) {
    const std::optional<uint32_t> of = fleet->TargetOf(StreamId(found.place));
    if (!of || *of < model->begin || *of >= model->end) continue;
    Candidate& candidate = candidates[*of - model->begin];
    if (candidate.left_out != LeftOut::kNo) continue;
    candidate.matched_tokens = std::min(found.pieces * kTokensPerPiece, prompt.prompt_tokens);
    candidate.uncached_tokens =
        std::max<uint64_t>(prompt.prompt_tokens - candidate.matched_tokens, 1);
    any = true;
  }
  return any;
}

void QueryWalk::TakeBackIncomparable() {
  for (size_t i = 0; i < candidates.size(); ++i) {
    LeftOut& why = candidates[i].left_out;
    if (matches[i].comparable() || why != LeftOutOf(matches[i].incomparable)) continue;
    --left_out[static_cast<size_t>(why)];
    why = LeftOut::kNo;
  }
}

bool QueryWalk::TakeBackOverloaded() {
  const size_t overloaded = std::exchange(left_out[static_cast<size_t>(LeftOut::kOverloaded)], 0);
  for (Candidate& candidate : candidates) {
    if (candidate.left_out == LeftOut::kOverloaded) candidate.left_out = LeftOut::kNo;
  }
  return overloaded != 0;
}

absl::Status QueryWalk::WhyNone() const {
  std::string why = model == &fleet->all
                        ? fmt::format("no worker can serve: of {} targets", candidates.size())
                        : fmt::format("no worker can serve model \"{}\": of its {} targets",
                                      model->model, candidates.size());
  ErrorFacts facts = {{"model", model->model}, {"targets", std::to_string(candidates.size())}};
  for (size_t i = 0; i < left_out.size(); ++i) {
    if (left_out[i] == 0) continue;
    const std::string_view name = LeftOutName(static_cast<LeftOut>(i));
    why += fmt::format(" {} {},", left_out[i], name);
    facts.emplace_back(name, std::to_string(left_out[i]));
  }
  why.pop_back();
  if (unknown_named != 0) {
    why += fmt::format("; {} of the named candidates are none of them", unknown_named);
    facts.emplace_back("unknown_candidates", std::to_string(unknown_named));
  }
  return WithReason(absl::UnavailableError(why), ErrorReason::kNoEligibleWorker, facts);
}

std::optional<size_t> QueryWalk::FindLoad(const TargetLoad* load) const {
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (facts(i).load == load) return i;
  }
  return std::nullopt;
}

bool QueryWalk::IsExact(size_t i) const {
  return matches[i].trust == Trust::kExact &&
         DoubtOf(matches[i], prompt_keys) == TrustReason::kNone;
}

Match QueryWalk::MatchOf(size_t i) const {
  const FleetTarget& from = target(i);
  const TargetMatch& found = matches[i];
  const Candidate& candidate = candidates[i];
  Match match;
  match.worker_id = from.worker->spec.worker_id;
  match.address = from.worker->spec.AddressOf(from.rank);
  match.endpoint = from.worker->EndpointOf(from.rank);
  match.rank = from.rank;
  match.ranks = from.worker->spec.data_parallel_size;
  match.block_size_tokens = found.profile.block_size_tokens;
  match.blocks = found.blocks;
  match.blocks_by_tier = found.blocks_by_tier;
  match.uncached_tokens = candidate.uncached_tokens;
  match.in_flight_tokens = candidate.in_flight_tokens;
  FillTrust(*from.stream, found, prompt_keys, &match);
  match.unheard = !found.heard;
  match.next_seq = found.next_seq;
  match.requests_in_flight = candidate.requests_in_flight;
  match.uncached_tokens_outstanding = candidate.uncached_tokens_outstanding;
  match.output_tokens_expected = candidate.output_tokens_expected;
  const EngineReport& report = from.load->engine;
  match.engine.health = report.health.load(std::memory_order_relaxed);
  match.engine.at = Nanos(report.at_ns.load(std::memory_order_relaxed));
  match.engine.waiting = report.waiting.load(std::memory_order_relaxed);
  match.engine.running = report.running.load(std::memory_order_relaxed);
  match.engine.kv_usage = report.kv_usage_millionths.load(std::memory_order_relaxed) / 1e6;
  match.engine.capacity_blocks = report.capacity_blocks.load(std::memory_order_relaxed);
  return match;
}

void QueryWalk::FillDecision(const Choice& choice, const Terms& terms, Decision* decision) {
  decision->chosen = MatchOf(choice.index);
  decision->total_blocks = prompt.TotalBlocks(matches[choice.index].profile);
  decision->total_tokens = prompt.prompt_tokens;
  decision->policy = terms.policy;
  decision->reason = choice.reason;
  decision->left_out = left_out;
  decision->is_repeat = false;
  decision->runner_ups.clear();
  if (terms.runner_ups == 0) return;
  RankCandidates(candidates, terms.tie_break, terms.runner_ups + 1, &order);
  for (const uint32_t next : order) {  // the chosen one is first, but of a request asked again
    if (next == choice.index || decision->runner_ups.size() == terms.runner_ups) continue;
    decision->runner_ups.push_back(MatchOf(next));
  }
}

}  // namespace kvroute
