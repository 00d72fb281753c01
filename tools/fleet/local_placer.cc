#include "tools/fleet/local_placer.h"

#include <algorithm>
#include <utility>

#include "indexer/base/check.h"
#include "router/prompt/prompt_pieces.h"

namespace kvroute {

LocalPlacer::LocalPlacer(PolicyKind policy, size_t targets, uint32_t block_size_tokens,
                         uint64_t seed, CountResident count_resident)
    : policy_(policy),
      block_size_tokens_(block_size_tokens),
      seed_(seed),
      count_resident_(std::move(count_resident)),
      loads_(targets),
      candidates_(targets) {}

absl::StatusOr<RequestPlacement> LocalPlacer::Place(const PlacementRequest& request) {
  const uint64_t tokens = request.prompt.size();
  for (size_t target = 0; target < loads_.size(); ++target) {
    const uint64_t matched = count_resident_(target, request.hashes) * uint64_t{block_size_tokens_};
    const LeasedLoads::Load& load = loads_[target];
    candidates_[target] = Candidate{};
    candidates_[target].target = static_cast<uint32_t>(target);
    candidates_[target].matched_tokens = matched;
    candidates_[target].uncached_tokens = std::max<uint64_t>(tokens - matched, 1);
    candidates_[target].requests_in_flight = load.requests_in_flight;
    candidates_[target].requests_begun = load.requests_begun;
    candidates_[target].uncached_tokens_outstanding = load.uncached_tokens_outstanding;
    candidates_[target].output_tokens_expected = load.output_tokens_expected;
  }
  CountInFlight(request);
  const auto choice =
      Choose(policy_, absl::MakeSpan(candidates_), TieBreak(seed_, decisions_), decisions_);
  ++decisions_;
  KVROUTE_CHECK(choice.has_value());
  const Candidate& chosen = candidates_[choice->index];
  loads_.Begin(request.number, chosen.target, chosen.work_tokens(), request.output_tokens);
  tickets_[request.number] = in_flight_.Begin(pieces_, chosen.target);
  const DecisionRecord decision{.target = chosen.target,
                                .matched_blocks = chosen.matched_tokens / block_size_tokens_,
                                .uncached_tokens = chosen.uncached_tokens,
                                .requests_in_flight = chosen.requests_in_flight,
                                .uncached_tokens_outstanding = chosen.uncached_tokens_outstanding,
                                .output_tokens_expected = chosen.output_tokens_expected};
  return RequestPlacement{.decision = decision, .prediction = std::nullopt};
}

void LocalPlacer::CountInFlight(const PlacementRequest& request) {
  const PromptBlocks blocks(request.prompt, block_size_tokens_, MakeNamespaceSeed("", ""));
  PromptChain chain(blocks, &local_hashes_);
  CutPrompt(&chain, block_size_tokens_, &pieces_);
  in_flight_.Find(pieces_, &found_);
  for (const InFlightPrompts::Found& found : found_) {
    Candidate& candidate = candidates_[found.place];
    const uint64_t held = request.prompt.size() - candidate.uncached_tokens;
    if (found.tokens <= held) continue;
    candidate.in_flight_tokens = std::min(found.tokens - held, candidate.uncached_tokens - 1);
  }
}

void LocalPlacer::ForgetPrompt(uint64_t number) {
  const auto ticket = tickets_.find(number);
  if (ticket == tickets_.end()) return;
  in_flight_.End(ticket->second);
  tickets_.erase(ticket);
}

absl::Status LocalPlacer::Prefilled(uint64_t number) {
  loads_.Prefilled(number);
  ForgetPrompt(number);
  return absl::OkStatus();
}

absl::Status LocalPlacer::Ended(uint64_t number) {
  loads_.Ended(number);
  ForgetPrompt(number);
  return absl::OkStatus();
}

}  // namespace kvroute
