#include "tools/placement/policies/pin_policy.h"

#include "tools/placement/policies/best_target.h"

namespace kvroute {

size_t PinPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  const auto [pinned, first_turn] = target_of_.try_emplace(query.conversation, 0);
  if (first_turn) {
    pinned->second = BestTarget(targets, query.tie_break,
                                [](const Candidate& c) { return c.requests_in_flight; });
  }
  return pinned->second;
}

}  // namespace kvroute
