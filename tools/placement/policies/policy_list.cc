#include <utility>

#include "tools/placement/placement_policy.h"
#include "tools/placement/policies/dualmap_policy.h"
#include "tools/placement/policies/dynamo_policy.h"
#include "tools/placement/policies/llmd_policy.h"
#include "tools/placement/policies/lmetric_detector_policy.h"
#include "tools/placement/policies/pin_policy.h"
#include "tools/placement/policies/preble_policy.h"
#include "tools/placement/policies/product_policy.h"
#include "tools/placement/policies/routed_policy.h"
#include "tools/placement/policies/score_policies.h"
#include "tools/placement/policies/sgl_router_policy.h"
#include "tools/placement/policies/smg_policy.h"
#include "tools/placement/policies/time_policies.h"

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
      Entry<ProductPolicy>("work", PolicyKind::kWork),
      Entry<ProductPolicy>("lmetric", PolicyKind::kLmetric),
      Entry<LmetricOwnPolicy>("lmetric-own"),
      EntryWithSetting<LmetricDetectorPolicy>("lmetric-detector"),
      Entry<LpwlPolicy>("lpwl"),
      EntryWithSetting<SmetricPolicy>("smetric"),
      EntryWithSetting<DynamoPolicy>("dynamo"),
      EntryWithSetting<SmgPolicy>("smg"),
      Entry<SglRouterPolicy>("sgl-router"),
      EntryWithSetting<LlmdPolicy>("llm-d", LlmdWeights{.prefix = 3, .queue = 2, .kv_usage = 2}),
      EntryWithSetting<LlmdPolicy>("llm-d-precise",
                                   LlmdWeights{.prefix = 2, .queue = 1, .kv_usage = 1}),
      EntryWithSetting<MooncakePolicy>("mooncake"),
      EntryWithSetting<DualmapPolicy>("dualmap"),
      EntryWithSetting<PreblePolicy>("preble"),
      Entry<AibrixPolicy>("aibrix"),
      EntryWithSetting<AibrixPreblePolicy>("aibrix-preble"),
      Entry<LoadawarePolicy>("loadaware"),
      Entry<Pow2Policy>("pow2"),
      Entry<AffinityPolicy>("affinity"),
      Entry<PinPolicy>("pin"),
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
