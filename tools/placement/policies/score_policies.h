#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_SCORE_POLICIES_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_SCORE_POLICIES_H_

#include "tools/placement/placement_policy.h"

namespace kvroute {

// LMetric without the queue: uncached tokens of this request * (requests in flight + 1). The other
// reading of its paper is `lmetric`.
class LmetricOwnPolicy : public PlacementPolicy {
 public:
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

// Least prefill work left: uncached tokens outstanding + this request's; then fewest requests in
// flight.
class LpwlPolicy : public PlacementPolicy {
 public:
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

// Prefix affinity alone: the longest match, wherever it is; equals at random.
class AffinityPolicy : public PlacementPolicy {
 public:
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

// AIBrix prefix-cache: if the spread of requests in flight exceeds 8, only those with fewest. Then
// by match, an integer percentage, and requests in flight: the first with at most mean + 1 sample
// standard deviation of them; else the least loaded.
class AibrixPolicy : public PlacementPolicy {
 public:
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

// production-stack loadaware: the most of matched share - (load - mean) / max(1, mean); ties by
// number.
class LoadawarePolicy : public PlacementPolicy {
 public:
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

// Ray: the shorter queue of two drawn at random.
class Pow2Policy : public PlacementPolicy {
 public:
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
  bool WantsMatches() const override { return false; }
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_SCORE_POLICIES_H_
