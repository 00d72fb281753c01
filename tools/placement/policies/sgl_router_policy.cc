#include "tools/placement/policies/sgl_router_policy.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "tools/workload/random.h"

namespace kvroute {
namespace {

constexpr uint64_t kMinMatchedTokens = 1'024;
constexpr uint64_t kSwitchMarginTokens = 1'024;
constexpr uint64_t kPressureTokens = 1'024;
constexpr double kPressureFactor = 1.5;
constexpr double kBestShare = 0.05;
constexpr size_t kFewestBest = 8, kMostBest = 32;

auto Pressure(const Candidate& c) {
  return std::tuple(c.uncached_tokens_outstanding, c.waiting, c.requests_in_flight);
}

bool IsFarLessPressed(const Candidate& a, const Candidate& b) {
  const auto less = static_cast<double>(a.uncached_tokens_outstanding);
  const auto more = static_cast<double>(b.uncached_tokens_outstanding);
  return more > less + kPressureTokens && more > kPressureFactor * less;
}

bool IsBetter(const Candidate& a, const Candidate& b) {
  if (IsFarLessPressed(a, b)) return true;
  if (IsFarLessPressed(b, a)) return false;
  return std::tuple(a.uncached_tokens, Pressure(a), a.target) <
         std::tuple(b.uncached_tokens, Pressure(b), b.target);
}

}  // namespace

size_t SglRouterPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  holders_.clear();
  for (const Candidate& c : targets) {
    if (c.matched_tokens >= kMinMatchedTokens) holders_.push_back(&c);
  }
  if (holders_.empty()) {
    SeededRandom random(query.tie_break);
    const Candidate& one = targets[random.Below(targets.size())];
    const Candidate& other = targets[random.Below(targets.size())];
    return Pressure(other) < Pressure(one) ? other.target : one.target;
  }
  std::sort(holders_.begin(), holders_.end(), [](const Candidate* a, const Candidate* b) {
    return std::tuple(a->uncached_tokens, Pressure(*a), a->target) <
           std::tuple(b->uncached_tokens, Pressure(*b), b->target);
  });
  const auto share =
      static_cast<size_t>(std::ceil(kBestShare * static_cast<double>(targets.size())));
  if (const size_t most = std::clamp(share, kFewestBest, kMostBest); holders_.size() > most) {
    holders_.resize(most);
  }
  const Candidate* best = holders_.front();
  const uint64_t floor = best->uncached_tokens;
  for (const Candidate* holder : holders_) {
    if (holder->uncached_tokens <= floor + kSwitchMarginTokens && IsBetter(*holder, *best)) {
      best = holder;
    }
  }
  return best->target;
}

}  // namespace kvroute
