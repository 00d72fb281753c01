#include "tools/placement/policies/time_policies.h"

#include "tools/placement/policies/best_target.h"

namespace kvroute {
namespace {

constexpr double kExpectedHitShare = 0.5;
constexpr double kSmetricBaseMs = 1'000;
constexpr double kSmetricMsPerToken = 0.0625;

}  // namespace

void PrefillTimePolicy::Dispatched(const PlacementQuery& query, const Candidate& target) {
  queue_.Add(query.number, target.target, PrefillMs(target));
}

void PrefillTimePolicy::Prefilled(uint64_t number, size_t /*target*/, Nanos /*now*/) {
  queue_.Prefilled(number);
}

double PrefillTimePolicy::PrefillMs(const Candidate& candidate) const {
  return profile_.PrefillMs(static_cast<double>(candidate.uncached_tokens),
                            static_cast<double>(candidate.matched_tokens));
}

double PrefillTimePolicy::FirstTokenMs(const Candidate& candidate) const {
  return queue_.ms(candidate.target) + PrefillMs(candidate);
}

size_t SmetricPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  const size_t longest =
      BestTarget(targets, query.tie_break, [](const Candidate& c) { return c.uncached_tokens; });
  const Candidate& holder = targets[longest];
  const bool expected =
      static_cast<double>(holder.matched_tokens) > kExpectedHitShare * query.previous_prompt_tokens;
  if (expected &&
      FirstTokenMs(holder) <= kSmetricBaseMs + kSmetricMsPerToken * query.prompt_tokens) {
    return longest;
  }
  return BestTarget(targets, query.tie_break, [&](const Candidate& c) {
    return PrefillMs(c) * (c.requests_in_flight + 1.0);
  });
}

size_t MooncakePolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  return BestTarget(targets, query.tie_break, [&](const Candidate& c) { return FirstTokenMs(c); });
}

}  // namespace kvroute
