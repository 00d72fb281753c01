#include "tools/placement/policies/score_policies.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tools/placement/policies/best_target.h"

namespace kvroute {
namespace {

constexpr uint32_t kAibrixSpread = 8;
constexpr double kAibrixDeviations = 1.0;
constexpr double kLoadawareWeight = 1.0;

double MeanInFlight(absl::Span<const Candidate> targets) {
  double sum = 0;
  for (const Candidate& c : targets) sum += c.requests_in_flight;
  return sum / static_cast<double>(targets.size());
}

}  // namespace

size_t LmetricOwnPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  return BestTarget(targets, query.tie_break, [](const Candidate& c) {
    return c.uncached_tokens * (uint64_t{c.requests_in_flight} + 1);
  });
}

size_t LpwlPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  return BestTarget(targets, query.tie_break, [](const Candidate& c) {
    return std::pair(c.uncached_tokens_outstanding + c.uncached_tokens, c.requests_in_flight);
  });
}

size_t AffinityPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  return BestTarget(targets, query.tie_break, [](const Candidate& c) { return c.uncached_tokens; });
}

size_t AibrixPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  const auto in_flight = [](const Candidate& c) { return c.requests_in_flight; };
  const auto [least, most] = std::minmax_element(
      targets.begin(), targets.end(),
      [&](const Candidate& a, const Candidate& b) { return in_flight(a) < in_flight(b); });
  const uint32_t fewest = least->requests_in_flight;
  if (most->requests_in_flight - fewest > kAibrixSpread) {
    return BestTargetOf(
        targets, query.tie_break, [&](const Candidate& c) { return in_flight(c) == fewest; },
        [](const Candidate& c) { return c.uncached_tokens; });
  }
  const double mean = MeanInFlight(targets);
  double squares = 0;
  for (const Candidate& c : targets) squares += std::pow(c.requests_in_flight - mean, 2);
  const double deviation =
      targets.size() < 2 ? 0 : std::sqrt(squares / static_cast<double>(targets.size() - 1));
  const auto calm = [&](const Candidate& c) {
    return c.matched_tokens > 0 && c.requests_in_flight <= mean + kAibrixDeviations * deviation;
  };
  const size_t best = BestTargetOf(targets, query.tie_break, calm, [&](const Candidate& c) {
    const auto percent = static_cast<int>(100 * c.matched_tokens / query.prompt_tokens);
    return std::pair(-percent, c.requests_in_flight);
  });
  return best < targets.size() ? best : BestTarget(targets, query.tie_break, in_flight);
}

size_t LoadawarePolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  const auto load = [](const Candidate& c) {
    return static_cast<double>(c.uncached_tokens_outstanding + c.output_tokens_expected);
  };
  double mean = 0;
  for (const Candidate& c : targets) mean += load(c) / static_cast<double>(targets.size());
  return BestTarget(targets, query.tie_break, [&](const Candidate& c) {
    const double matched =
        std::min<double>(static_cast<double>(c.matched_tokens), query.prompt_tokens);
    const double score =
        matched / query.prompt_tokens - kLoadawareWeight * (load(c) - mean) / std::max(1.0, mean);
    return std::pair(-score, c.target);
  });
}

size_t Pow2Policy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  SeededRandom random(query.tie_break);
  const uint64_t one = random.Below(targets.size());
  if (targets.size() == 1) return one;
  const uint64_t other = (one + 1 + random.Below(targets.size() - 1)) % targets.size();
  return targets[other].requests_in_flight < targets[one].requests_in_flight ? other : one;
}

}  // namespace kvroute
