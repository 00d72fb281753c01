#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_PIN_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_PIN_POLICY_H_

#include "absl/container/flat_hash_map.h"
#include "tools/placement/placement_policy.h"

namespace kvroute {

// A conversation stays where its first turn went: to the fewest requests in flight.
class PinPolicy : public PlacementPolicy {
 public:
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
  bool WantsMatches() const override { return false; }

 private:
  absl::flat_hash_map<uint32_t, size_t> target_of_;  // by conversation
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_PIN_POLICY_H_
