#include "tools/placement/policies/dynamo_policy.h"

#include <algorithm>

#include "tools/placement/policies/best_target.h"

namespace kvroute {
namespace {

constexpr double kOverlapCredit = 1.0;
constexpr double kPrefillLoadScale = 1.0;

}  // namespace

DynamoPolicy::DynamoPolicy(const PolicySetting& setting)
    : block_size_(setting.block_size_tokens),
      active_(setting.targets),
      partial_blocks_(setting.targets) {}

size_t DynamoPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  return BestTarget(targets, query.tie_break, [&](const Candidate& c) {
    const auto work = static_cast<double>(c.uncached_tokens_outstanding + query.prompt_tokens);
    const auto matched = static_cast<double>(c.matched_tokens / block_size_);
    const double prefill = std::max(0.0, work / block_size_ - kOverlapCredit * matched);
    const Counts& active = active_[c.target];
    uint64_t shared = 0;  // active requests share what they begin with
    while (shared < query.prompt_blocks.size() && active.contains(query.prompt_blocks[shared])) {
      ++shared;
    }
    const uint64_t blocks =
        active.size() + partial_blocks_[c.target] + 1 + query.prompt_blocks.size() - shared;
    return kPrefillLoadScale * prefill + static_cast<double>(blocks);
  });
}

void DynamoPolicy::Dispatched(const PlacementQuery& query, const Candidate& target) {
  for (const BlockKey block : query.prompt_blocks) ++active_[target.target][block];
  ++partial_blocks_[target.target];
  requests_[query.number] = query.prompt_blocks;
}

void DynamoPolicy::Ended(uint64_t number, size_t target, Nanos /*now*/) {
  Counts& active = active_[target];
  for (const BlockKey block : requests_[number]) {
    const auto count = active.find(block);
    if (--count->second == 0) active.erase(count);
  }
  --partial_blocks_[target];
  requests_.erase(number);
}

}  // namespace kvroute
