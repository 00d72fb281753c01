#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_LMETRIC_DETECTOR_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_LMETRIC_DETECTOR_POLICY_H_

#include <optional>

#include "absl/container/flat_hash_map.h"
#include "tools/placement/placement_policy.h"
#include "tools/placement/policies/recent_sums.h"

namespace kvroute {

// LMetric with its hotspot detector. A class are the requests equal in their first 512 tokens; its
// holders are the targets that hold those. While its share of the last minute's arrivals is more
// than its holders' share of the targets, as many requests in a row as twice its holders whose best
// holder scores no worse than the best other target leave the holders out, until the share is no
// more than that.
class LmetricDetectorPolicy : public PlacementPolicy {
 public:
  explicit LmetricDetectorPolicy(const PolicySetting& setting);
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;

 private:
  struct State {
    uint64_t in_a_row = 0;
    bool holders_left_out = false;
  };
  std::optional<BlockKey> ClassOf(const PlacementQuery& query) const;

  const size_t class_blocks_;
  const uint64_t class_tokens_;
  RecentSums<BlockKey> arrivals_;
  absl::flat_hash_map<BlockKey, State> states_;  // of classes with an alarm
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_LMETRIC_DETECTOR_POLICY_H_
