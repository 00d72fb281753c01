#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_POLICY_EXAMPLES_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_POLICY_EXAMPLES_H_

#include <cstdint>
#include <vector>

#include "tools/placement/placement_policy.h"

namespace kvroute {

// For tests: targets and requests of a worked example.
struct ExampleTarget {
  uint64_t uncached = 1;
  uint64_t queued = 0;
  uint32_t in_flight = 0;
  uint64_t matched = 0;
  uint32_t waiting = 0;
  double kv_usage = 0;
};

inline std::vector<Candidate> Targets(const std::vector<ExampleTarget>& examples) {
  std::vector<Candidate> targets;
  for (const ExampleTarget& example : examples) {
    Candidate& target = targets.emplace_back();
    target.target = static_cast<uint32_t>(targets.size() - 1);
    target.uncached_tokens = example.uncached;
    target.matched_tokens = example.matched;
    target.requests_in_flight = example.in_flight;
    target.uncached_tokens_outstanding = example.queued;
    target.waiting = example.waiting;
    target.kv_usage_millionths = static_cast<uint32_t>(example.kv_usage * 1e6);
  }
  return targets;
}

inline PlacementQuery Prompt(uint32_t tokens, absl::Span<const BlockKey> blocks = {}) {
  PlacementQuery query;
  query.prompt_tokens = tokens;
  query.prompt_blocks = blocks;
  return query;
}

inline std::vector<BlockKey> Blocks(size_t count, uint64_t first = 1) {
  std::vector<BlockKey> blocks;
  for (size_t i = 0; i < count; ++i) blocks.push_back(BlockKey(first + i));
  return blocks;
}

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_POLICY_EXAMPLES_H_
