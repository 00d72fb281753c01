#include "tools/placement/policies/product_policy.h"

#include "indexer/base/check.h"

namespace kvroute {

size_t ProductPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  candidates_.assign(targets.begin(), targets.end());
  const auto choice = kvroute::Choose(kind_, absl::MakeSpan(candidates_), query.tie_break, turn_++);
  KVROUTE_CHECK(choice.has_value());
  return choice->index;
}

bool ProductPolicy::WantsMatches() const {
  return kind_ != PolicyKind::kLeastLoaded && kind_ != PolicyKind::kRoundRobin &&
         kind_ != PolicyKind::kRandom;
}

}  // namespace kvroute
