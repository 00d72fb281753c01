#include "router/route/query_walk.h"

#include <optional>
#include <string>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

LeftOut LeftOutOf(const TargetFacts& target, const TargetMatch& match,
                  uint32_t requests_in_flight) {
  if (target.draining) return LeftOut::kDraining;
  // A stale stream whose connection is up again belongs to an engine that is alive, although
  // nothing has come from it yet. It may be chosen: an idle engine publishes only once it is given
  // work, and leaving it out would keep it idle. Discovered streams do not prove as much: they
  // share one listener, which stays up whatever becomes of a single engine.
  const bool alive = match.connected && !target.discovered;
  if (match.trust == Trust::kStale && !alive) return LeftOut::kStale;
  if (match.trust == Trust::kCold && !match.connected) return LeftOut::kNotConnected;
  const uint32_t limit = target.max_requests_in_flight;
  if (limit != 0 && requests_in_flight >= limit) return LeftOut::kOverloaded;
  return match.comparable ? LeftOut::kNo : LeftOut::kBlockSize;
}

// A stream that was exact before the match and is not any more may have changed while the query
// ran: the answer then says how it stands now.
void FillTrust(const StreamStatus& stream, const TargetMatch& before, Match* match) {
  match->trust = before.trust;
  match->trust_reason = before.reason;
  if (before.trust != Trust::kExact) return;
  match->trust = stream.trust.load(std::memory_order_acquire);
  if (match->trust != Trust::kExact) {
    match->trust_reason = stream.reason.load(std::memory_order_relaxed);
  }
}

}  // namespace

absl::Status QueryWalk::FindModel(std::string_view name) {
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

void QueryWalk::GatherCandidates() {
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

absl::Status QueryWalk::WhyNone() const {
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

Match QueryWalk::MatchOf(size_t i) const {
  const FleetTarget& from = target(i);
  const TargetMatch& found = matches[i];
  const Candidate& candidate = candidates[i];
  Match match;
  match.worker_id = from.worker->spec.worker_id;
  match.address = from.worker->spec.address;
  match.rank = from.rank;
  match.block_size_tokens = found.profile.block_size_tokens;
  match.blocks = found.blocks;
  match.blocks_by_tier = found.blocks_by_tier;
  match.uncached_tokens = candidate.uncached_tokens;
  FillTrust(*from.stream, found, &match);
  match.next_seq = found.next_seq;
  match.requests_in_flight = candidate.requests_in_flight;
  match.uncached_tokens_outstanding = candidate.uncached_tokens_outstanding;
  match.output_tokens_expected = candidate.output_tokens_expected;
  return match;
}

void QueryWalk::FillDecision(const Choice& choice, const Terms& terms, Decision* decision) {
  decision->chosen = MatchOf(choice.index);
  decision->total_blocks = prompt.TotalBlocks(matches[choice.index].profile);
  decision->total_tokens = prompt.prompt_tokens;
  decision->policy = terms.policy;
  decision->reason = choice.reason;
  decision->runner_ups.clear();
  if (terms.runner_ups == 0) return;
  RankCandidates(candidates, terms.tie_break, terms.runner_ups + 1, &order);
  for (size_t next = 1; next < order.size(); ++next) {  // the chosen one is first
    decision->runner_ups.push_back(MatchOf(order[next]));
  }
}

}  // namespace kvroute
