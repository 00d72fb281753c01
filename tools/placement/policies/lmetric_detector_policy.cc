#include "tools/placement/policies/lmetric_detector_policy.h"

#include <algorithm>

#include "tools/placement/policies/best_target.h"

namespace kvroute {
namespace {

constexpr uint64_t kClassTokens = 512;
constexpr Nanos kAlarmWindow = std::chrono::seconds(60);
constexpr uint64_t kLeastArrivals = 5;
constexpr uint64_t kInARowPerHolder = 2;

uint64_t LmetricWithQueue(const Candidate& c) {
  return (c.uncached_tokens_outstanding + c.uncached_tokens) * (uint64_t{c.requests_in_flight} + 1);
}

}  // namespace

LmetricDetectorPolicy::LmetricDetectorPolicy(const PolicySetting& setting)
    : class_blocks_(std::max<size_t>(kClassTokens / setting.block_size_tokens, 1)),
      class_tokens_(class_blocks_ * setting.block_size_tokens),
      arrivals_(kAlarmWindow) {}

std::optional<BlockKey> LmetricDetectorPolicy::ClassOf(const PlacementQuery& query) const {
  if (query.prompt_blocks.size() < class_blocks_) return std::nullopt;
  return query.prompt_blocks[class_blocks_ - 1];
}

size_t LmetricDetectorPolicy::Choose(const PlacementQuery& query,
                                     absl::Span<const Candidate> targets) {
  const auto all = [](const Candidate&) { return true; };
  const auto holds = [&](const Candidate& c) { return c.matched_tokens >= class_tokens_; };
  const auto holds_not = [&](const Candidate& c) { return !holds(c); };
  const auto best = [&](auto may) {
    return BestTargetOf(targets, query.tie_break, may, LmetricWithQueue);
  };
  const std::optional<BlockKey> its_class = ClassOf(query);
  if (!its_class.has_value()) return best(all);
  arrivals_.Add(query.now, *its_class);
  const auto holders = static_cast<uint64_t>(std::count_if(targets.begin(), targets.end(), holds));
  const uint64_t arrived = arrivals_.Count(*its_class);
  const bool alarm = holders > 0 && holders < targets.size() && arrived >= kLeastArrivals &&
                     arrived * targets.size() > holders * arrivals_.total();
  if (!alarm) {
    states_.erase(*its_class);
    return best(all);
  }
  State& state = states_[*its_class];
  if (!state.holders_left_out) {
    const bool inside =
        LmetricWithQueue(targets[best(holds)]) <= LmetricWithQueue(targets[best(holds_not)]);
    state.in_a_row = inside ? state.in_a_row + 1 : 0;
    state.holders_left_out = state.in_a_row >= kInARowPerHolder * holders;
  }
  return state.holders_left_out ? best(holds_not) : best(all);
}

}  // namespace kvroute
