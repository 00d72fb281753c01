#include "tools/placement/policies/preble_policy.h"

#include <algorithm>

#include "tools/placement/policies/best_target.h"

namespace kvroute {
namespace {

constexpr Nanos kCostWindow = std::chrono::minutes(3);
constexpr double kOutputTokens = 45;
constexpr double kTokenMs = 150;  // that Preble begins with
constexpr double kRebalanceFactor = 1.5;
constexpr uint64_t kRebalanceRequests = 50;  // a target

uint64_t LongestMatch(absl::Span<const Candidate> targets) {
  uint64_t longest = 0;
  for (const Candidate& c : targets) longest = std::max(longest, c.matched_tokens);
  return longest;
}

}  // namespace

PrebleCostPolicy::PrebleCostPolicy(const PolicySetting& setting)
    : profile_(setting.profile), window_(kCostWindow) {}

double PrebleCostPolicy::CostOf(const Candidate& candidate) const {
  return window_.Value(candidate.target) + candidate.requests_in_flight * kOutputTokens * kTokenMs;
}

void PrebleCostPolicy::Dispatched(const PlacementQuery& query, const Candidate& target) {
  window_.Add(query.now, target.target,
              profile_.PrefillMs(static_cast<double>(target.uncached_tokens),
                                 static_cast<double>(target.matched_tokens)));
}

size_t PreblePolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  Forget(query.now);
  const auto cost = [&](const Candidate& c) { return CostOf(c); };
  const size_t cheapest = BestTarget(targets, query.tie_break, cost);
  const uint64_t longest = LongestMatch(targets);
  if (2 * longest <= query.prompt_tokens) return cheapest;
  const size_t holder = BestTargetOf(
      targets, query.tie_break, [&](const Candidate& c) { return c.matched_tokens == longest; },
      cost);
  double dearest = 0;
  for (const Candidate& c : targets) dearest = std::max(dearest, cost(c));
  const bool rebalance = window().total() >= kRebalanceRequests * targets.size() &&
                         dearest >= kRebalanceFactor * cost(targets[cheapest]) &&
                         cost(targets[holder]) == dearest;
  return rebalance ? cheapest : holder;
}

size_t AibrixPreblePolicy::Choose(const PlacementQuery& query,
                                  absl::Span<const Candidate> targets) {
  Forget(query.now);
  const uint64_t longest = LongestMatch(targets);
  if (2 * longest <= query.prompt_tokens) {
    return BestTarget(targets, query.tie_break, [&](const Candidate& c) { return CostOf(c); });
  }
  return BestTargetOf(
      targets, query.tie_break, [&](const Candidate& c) { return c.matched_tokens == longest; },
      [&](const Candidate& c) { return window().Count(c.target); });
}

}  // namespace kvroute
