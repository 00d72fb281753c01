#include <utility>

#include "tools/placement/placement_policy.h"
#include "tools/placement/policies/dynamo_policy.h"
#include "tools/placement/policies/product_policy.h"
#include "tools/placement/policies/routed_policy.h"
#include "tools/placement/policies/score_policies.h"

namespace kvroute {
namespace {

template <typename Policy, typename... More>
PolicyEntry Entry(std::string name, More... more) {
  return {std::move(name), [more...](const PolicySetting&) -> std::unique_ptr<PlacementPolicy> {
            return std::make_unique<Policy>(more...);
          }};
}

template <typename Policy, typename... More>
PolicyEntry EntryWithSetting(std::string name, More... more) {
  return {std::move(name),
          [more...](const PolicySetting& setting) -> std::unique_ptr<PlacementPolicy> {
            return std::make_unique<Policy>(setting, more...);
          }};
}

// kvroute with another policy than its default.
std::vector<PolicyEntry> ServedPolicies() {
  std::vector<PolicyEntry> served;
  for (size_t i = 0; i < kPolicyKindCount; ++i) {
    const std::string policy(PolicyName(static_cast<PolicyKind>(i)));
    served.push_back(EntryWithSetting<RoutedPolicy>("kvroute:" + policy, policy));
  }
  return served;
}

}  // namespace

const std::vector<PolicyEntry>& PlacementPolicies() {
  static const auto* const policies = new std::vector<PolicyEntry>{
      EntryWithSetting<RoutedPolicy>("kvroute", ""),
      Entry<ProductPolicy>("lmetric", PolicyKind::kLmetric),
      Entry<LmetricOwnPolicy>("lmetric-own"),
      Entry<LpwlPolicy>("lpwl"),
      EntryWithSetting<DynamoPolicy>("dynamo"),
      Entry<AibrixPolicy>("aibrix"),
      Entry<LoadawarePolicy>("loadaware"),
      Entry<Pow2Policy>("pow2"),
      Entry<AffinityPolicy>("affinity"),
      Entry<ProductPolicy>("prefix", PolicyKind::kPrefix),
      Entry<ProductPolicy>("least_loaded", PolicyKind::kLeastLoaded),
      Entry<ProductPolicy>("round_robin", PolicyKind::kRoundRobin),
      Entry<ProductPolicy>("random", PolicyKind::kRandom),
  };
  return *policies;
}

const PolicyEntry* FindPlacementPolicy(const std::string& name) {
  static const auto* const served = new std::vector<PolicyEntry>(ServedPolicies());
  for (const auto* policies : {&PlacementPolicies(), served}) {
    for (const PolicyEntry& entry : *policies) {
      if (entry.name == name) return &entry;
    }
  }
  return nullptr;
}

}  // namespace kvroute
