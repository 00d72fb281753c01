#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_ROUTED_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_ROUTED_POLICY_H_

#include <memory>
#include <string>
#include <vector>

#include "tools/placement/placement_policy.h"

namespace kvroute {

// kvroute itself, as it is shipped: its index hears what the pools announce, its router answers
// each request and takes a lease, in this process and on the simulation's clock. Nothing of its
// decision is written twice, so what is measured is what is served.
class RoutedPolicy : public PlacementPolicy {
 public:
  // `policy` as a request may name it; empty: the router's default.
  RoutedPolicy(const PolicySetting& setting, std::string policy);
  ~RoutedPolicy() override;

  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
  void Prefilled(uint64_t number, size_t target, Nanos now) override;
  void Ended(uint64_t number, size_t target, Nanos now) override;
  bool WantsMatches() const override { return false; }
  PoolAnnouncements* announcements() override;

 private:
  class Service;

  const std::string policy_;
  const uint32_t block_size_;
  const std::unique_ptr<Service> service_;
  std::vector<uint64_t> hashes_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_ROUTED_POLICY_H_
