#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_BEST_TARGET_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_BEST_TARGET_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "router/policy/policy.h"
#include "tools/workload/random.h"

namespace kvroute {

// Of those for which `may` is true the one of the lowest `score_of`; among equals each wins with
// equal probability, as drawn by `tie_break`. targets.size() when there is none.
template <typename May, typename ScoreOf>
size_t BestTargetOf(absl::Span<const Candidate> targets, uint64_t tie_break, May may,
                    ScoreOf score_of) {
  size_t best = targets.size();
  decltype(score_of(targets[0])) best_score{};
  uint64_t best_drawn = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!may(targets[i])) continue;
    const auto score = score_of(targets[i]);
    const uint64_t drawn = MixBits(tie_break + i);
    const bool better = best == targets.size() || score < best_score ||
                        (!(best_score < score) && drawn < best_drawn);
    if (!better) continue;
    best = i;
    best_score = score;
    best_drawn = drawn;
  }
  return best;
}

template <typename ScoreOf>
size_t BestTarget(absl::Span<const Candidate> targets, uint64_t tie_break, ScoreOf score_of) {
  return BestTargetOf(
      targets, tie_break, [](const Candidate&) { return true; }, score_of);
}

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_BEST_TARGET_H_
