#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_DYNAMO_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_DYNAMO_POLICY_H_

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tools/placement/placement_policy.h"

namespace kvroute {

// Dynamo's default selector, temperature 0:
//   max(0, (active prefill tokens + prompt) / block size - matched blocks)
//     + blocks of active requests there, each once, with this request's
class DynamoPolicy : public PlacementPolicy {
 public:
  explicit DynamoPolicy(const PolicySetting& setting);
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
  void Dispatched(const PlacementQuery& query, const Candidate& target) override;
  void Ended(uint64_t number, size_t target, Nanos now) override;

 private:
  using Counts = absl::flat_hash_map<BlockKey, uint32_t>;  // of active requests, by block

  const uint32_t block_size_;
  std::vector<Counts> active_;            // by target
  std::vector<uint64_t> partial_blocks_;  // by target: last ones of prompts, which nobody shares
  absl::flat_hash_map<uint64_t, absl::Span<const BlockKey>> requests_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_DYNAMO_POLICY_H_
