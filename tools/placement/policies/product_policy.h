#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_PRODUCT_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_PRODUCT_POLICY_H_

#include <vector>

#include "tools/placement/placement_policy.h"

namespace kvroute {

// A policy of router/policy, on the pools themselves.
class ProductPolicy : public PlacementPolicy {
 public:
  explicit ProductPolicy(PolicyKind kind) : kind_(kind) {}
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
  bool WantsMatches() const override;

 private:
  const PolicyKind kind_;
  uint64_t turn_ = 0;
  std::vector<Candidate> candidates_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_PRODUCT_POLICY_H_
