#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_SGL_ROUTER_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_SGL_ROUTER_POLICY_H_

#include <vector>

#include "tools/placement/placement_policy.h"

namespace kvroute {

// sgl-router's cache_aware: of the targets that hold at least 1,024 tokens the best few, of these
// those within 1,024 uncached tokens of the best; then the less pressed where pressures differ by
// 1,024 tokens and half, else by uncached tokens, pressure and number. Nobody holds so much: the
// less pressed of two drawn at random. Pressure: uncached tokens outstanding, waiting, in flight.
class SglRouterPolicy : public PlacementPolicy {
 public:
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;

 private:
  std::vector<const Candidate*> holders_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_SGL_ROUTER_POLICY_H_
