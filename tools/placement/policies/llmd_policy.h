#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_LLMD_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_LLMD_POLICY_H_

#include <utility>
#include <vector>

#include "tools/placement/placement_policy.h"

namespace kvroute {

// What llm-d's scorers count for.
struct LlmdWeights {
  double prefix = 3, queue = 2, kv_usage = 2;
};

// llm-d: the most of the weighted sum of matched blocks / prompt blocks, (most waiting - waiting) /
// (most - fewest waiting), and 1 - KV usage. Engines are asked every 50 ms.
class LlmdPolicy : public PlacementPolicy {
 public:
  LlmdPolicy(const PolicySetting& setting, LlmdWeights weights)
      : block_size_(setting.block_size_tokens), weights_(weights), asked_(setting.targets) {}
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;

 private:
  struct Asked {
    double waiting = 0;
    double kv_usage = 0;
  };
  void Ask(Nanos now, absl::Span<const Candidate> targets);

  const uint32_t block_size_;
  const LlmdWeights weights_;
  std::vector<Asked> asked_;
  Nanos ask_again_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_LLMD_POLICY_H_
