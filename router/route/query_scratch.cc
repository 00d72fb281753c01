#include "router/route/query_scratch.h"

#include <array>
#include <string>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

LeftOut LeftOutOf(const TargetFacts& target, const TargetMatch& match,
                  uint32_t requests_in_flight) {
  if (target.draining) return LeftOut::kDraining;
  // Connected again, but its numbers have not been seen to go on: alive. An idle engine publishes
  // only once it is given work, so leaving it out could be for ever. A listener's streams share
  // its connections: there it proves nothing.
  const bool alive = match.connected && !target.discovered;
  if (match.trust == Trust::kStale && !alive) return LeftOut::kStale;
  if (match.trust == Trust::kCold && !match.connected) return LeftOut::kNotConnected;
  const uint32_t limit = target.max_requests_in_flight;
  if (limit != 0 && requests_in_flight >= limit) return LeftOut::kOverloaded;
  return match.comparable ? LeftOut::kNo : LeftOut::kBlockSize;
}

// A stream that lost its trust while the query ran may have changed the match: the answer then says
// so.
void FillTrust(const StreamStatus& stream, const TargetMatch& before, v1::Match* match) {
  Trust trust = before.trust;
  TrustReason reason = before.reason;
  if (trust == Trust::kExact) {
    trust = stream.trust.load(std::memory_order_acquire);
    if (trust != Trust::kExact) reason = stream.reason.load(std::memory_order_relaxed);
  }
  match->set_trust(static_cast<v1::Trust>(static_cast<int>(trust) + 1));  // 0 is TRUST_UNSPECIFIED
  const std::string_view name = TrustReasonName(reason);
  match->set_trust_reason(name.data(), name.size());
}
static_assert(static_cast<int>(Trust::kStale) + 1 == v1::TRUST_STALE);

void FillTiers(const std::array<uint32_t, kTierCount>& blocks, uint64_t unit, v1::ByTier* tiers) {
  tiers->set_gpu(blocks[static_cast<size_t>(Tier::kGpu)] * unit);
  tiers->set_cpu(blocks[static_cast<size_t>(Tier::kCpu)] * unit);
  tiers->set_disk(blocks[static_cast<size_t>(Tier::kDisk)] * unit);
  tiers->set_external(blocks[static_cast<size_t>(Tier::kExternal)] * unit);
}

}  // namespace

absl::Status QueryHandler::Scratch::FindModel(const std::string& name) {
  model = fleet->FindModel(name);
  if (model != nullptr) return absl::OkStatus();
  if (fleet->models.empty()) {
    return Error(absl::StatusCode::kUnavailable, "no worker is known");
  }
  if (name.empty()) {
    return InvalidArgument("model: empty, but the workers serve {} models", fleet->models.size());
  }
  if (name.size() > limits::kMaxModelBytes) {
    return InvalidArgument("model: {} bytes; the limit is {}", name.size(), limits::kMaxModelBytes);
  }
  return Error(absl::StatusCode::kUnavailable, "model: no worker serves \"{}\"", name);
}

absl::Status QueryHandler::Scratch::TakeNamed(
    const google::protobuf::RepeatedPtrField<v1::Target>& targets) {
  named.clear();
  unknown_named = 0;
  if (targets.empty()) return absl::OkStatus();
  if (static_cast<size_t>(targets.size()) > limits::kMaxCandidates) {
    return InvalidArgument("candidates: {} are named; the limit is {}", targets.size(),
                           limits::kMaxCandidates);
  }
  named.assign(model->end - model->begin, 0);
  for (const v1::Target& target : targets) {
    const std::optional<uint32_t> found = fleet->FindTarget(target.worker_id(), target.rank());
    if (found && *found >= model->begin && *found < model->end) {
      named[*found - model->begin] = 1;
    } else {
      ++unknown_named;
    }
  }
  return absl::OkStatus();
}

void QueryHandler::Scratch::GatherCandidates() {
  left_out.fill(0);
  candidates.resize(matches.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const TargetFacts& from = facts(i);
    Candidate& to = candidates[i];
    to.target = static_cast<uint32_t>(i);
    to.matched_tokens = matches[i].tokens();
    to.uncached_tokens = matches[i].UncachedTokens(prompt.prompt_tokens);
    to.requests_in_flight = from.load->requests_in_flight.load(std::memory_order_relaxed);
    to.uncached_tokens_outstanding =
        from.load->uncached_tokens_outstanding.load(std::memory_order_relaxed);
    to.output_tokens_expected = from.load->output_tokens_expected.load(std::memory_order_relaxed);
    to.left_out =
        IsNamed(i) ? LeftOutOf(from, matches[i], to.requests_in_flight) : LeftOut::kNotACandidate;
    if (to.left_out != LeftOut::kNo) ++left_out[static_cast<size_t>(to.left_out)];
    to.score = 0;
  }
}

absl::Status QueryHandler::Scratch::WhyNone() const {
  std::string why = fmt::format("no worker can serve model \"{}\": of its {} targets", model->model,
                                candidates.size());
  for (size_t i = 0; i < left_out.size(); ++i) {
    if (left_out[i] != 0)
      why += fmt::format(" {} {},", left_out[i], LeftOutName(static_cast<LeftOut>(i)));
  }
  why.pop_back();
  if (unknown_named != 0)
    why += fmt::format("; {} of the named candidates are none of them", unknown_named);
  return absl::UnavailableError(why);
}

void QueryHandler::Scratch::FillMatch(size_t i, v1::Match* match) const {
  const FleetTarget& from = target(i);
  const TargetMatch& found = matches[i];
  match->mutable_target()->set_worker_id(from.worker->spec.worker_id);
  match->mutable_target()->set_rank(from.rank);
  match->set_address(from.worker->spec.address);
  match->set_matched_blocks(found.blocks);
  match->set_matched_tokens(found.tokens());
  FillTiers(found.blocks_by_tier, 1, match->mutable_matched_blocks_by_tier());
  FillTiers(found.blocks_by_tier, found.profile.block_size_tokens,
            match->mutable_matched_tokens_by_tier());
  match->set_uncached_tokens(found.UncachedTokens(prompt.prompt_tokens));
  FillTrust(*from.stream, found, match);
  match->set_next_seq(found.next_seq);
  v1::Load* load = match->mutable_load();
  load->set_requests_in_flight(candidates[i].requests_in_flight);
  load->set_uncached_tokens_outstanding(candidates[i].uncached_tokens_outstanding);
  load->set_output_tokens_expected(candidates[i].output_tokens_expected);
}

void QueryHandler::Scratch::FillRoute(const Choice& choice, const Terms& terms,
                                      v1::RouteResponse* response) {
  FillMatch(choice.index, response->mutable_chosen());
  response->set_total_blocks(prompt.TotalBlocks(matches[choice.index].profile));
  response->set_total_tokens(prompt.prompt_tokens);
  const std::string_view policy = PolicyName(terms.policy);
  response->set_policy(policy.data(), policy.size());
  const std::string_view reason = ChoiceReasonName(choice.reason);
  response->set_reason(reason.data(), reason.size());
  if (terms.runner_ups == 0) return;
  RankCandidates(candidates, terms.tie_break, terms.runner_ups + 1, &order);
  for (size_t place = 1; place < order.size(); ++place) {  // the chosen one is first
    FillMatch(order[place], response->add_runner_ups());
  }
}

}  // namespace kvroute
