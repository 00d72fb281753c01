#include "tools/placement/policies/llmd_policy.h"

#include <algorithm>

#include "tools/placement/policies/best_target.h"

namespace kvroute {
namespace {

constexpr Nanos kAskInterval = std::chrono::milliseconds(50);

}  // namespace

void LlmdPolicy::Ask(Nanos now, absl::Span<const Candidate> targets) {
  if (now < ask_again_) return;
  for (const Candidate& c : targets) {
    asked_[c.target] = {.waiting = static_cast<double>(c.waiting),
                        .kv_usage = c.kv_usage_millionths * 1e-6};
  }
  ask_again_ = now + kAskInterval;
}

size_t LlmdPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  Ask(query.now, targets);
  const auto [fewest, most] =
      std::minmax_element(asked_.begin(), asked_.end(),
                          [](const Asked& a, const Asked& b) { return a.waiting < b.waiting; });
  const double blocks = std::max<double>(static_cast<double>(query.prompt_blocks.size()), 1);
  return BestTarget(targets, query.tie_break, [&](const Candidate& c) {
    const Asked& asked = asked_[c.target];
    const double prefix = static_cast<double>(c.matched_tokens / block_size_) / blocks;
    const double queue = most->waiting > fewest->waiting
                             ? (most->waiting - asked.waiting) / (most->waiting - fewest->waiting)
                             : 1;
    const double score = weights_.prefix * std::min(prefix, 1.0) + weights_.queue * queue +
                         weights_.kv_usage * (1 - asked.kv_usage);
    return -score;
  });
}

}  // namespace kvroute
