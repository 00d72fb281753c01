#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_DUALMAP_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_DUALMAP_POLICY_H_

#include "tools/placement/placement_policy.h"
#include "tools/placement/policies/recent_sums.h"
#include "tools/placement/policies/time_policies.h"

namespace kvroute {

// DualMap, as far as it is published: a prompt's key (its beginning, longer where many begin so)
// stands for two targets; the one that holds more is taken unless its time to the first token would
// miss the objective, then the one that is done first. How long a key is is a sketch of ours: 1,024
// tokens, and 512 more as long as its share of the last minute's arrivals exceeds 2 / targets.
class DualmapPolicy : public PrefillTimePolicy {
 public:
  explicit DualmapPolicy(const PolicySetting& setting);
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;

 private:
  uint64_t KeyOf(const PlacementQuery& query, size_t targets);

  const size_t part_blocks_;  // that a key grows by
  RecentSums<uint64_t> arrivals_;
  RecentSums<uint64_t> all_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_DUALMAP_POLICY_H_
