#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_PREBLE_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_PREBLE_POLICY_H_

#include "tools/placement/placement_policy.h"
#include "tools/placement/policies/recent_sums.h"

namespace kvroute {

// What Preble's E2 and AIBrix's prefix-cache-preble have in common. A target's cost is what it was
// given to compute in the last 3 minutes and what its active requests are expected to decode.
class PrebleCostPolicy : public PlacementPolicy {
 public:
  explicit PrebleCostPolicy(const PolicySetting& setting);
  void Dispatched(const PlacementQuery& query, const Candidate& target) override;

 protected:
  double CostOf(const Candidate& candidate) const;
  const RecentSums<size_t>& window() const { return window_; }
  void Forget(Nanos now) { window_.Forget(now); }

 private:
  const HardwareProfile profile_;
  RecentSums<size_t> window_;  // prefill times by target
};

// Preble E2: where less than half of the prompt is left to compute, the cheapest of the targets of
// the longest match; else the cheapest of all. Where the dearest costs 1.5 times as much as the
// cheapest, its requests go there. The tree of prefixes is the pools' own.
class PreblePolicy : public PrebleCostPolicy {
 public:
  using PrebleCostPolicy::PrebleCostPolicy;
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

// AIBrix prefix-cache-preble: where more than half is matched, of the targets of the longest match
// the one with the fewest requests in the last 3 minutes; else the cheapest of all.
class AibrixPreblePolicy : public PrebleCostPolicy {
 public:
  using PrebleCostPolicy::PrebleCostPolicy;
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_PREBLE_POLICY_H_
