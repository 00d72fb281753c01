#include "tools/placement/policies/smg_policy.h"

#include <algorithm>

#include "tools/placement/policies/best_target.h"

namespace kvroute {
namespace {

constexpr Nanos kPollInterval = std::chrono::seconds(10);
constexpr double kFallbackTokensPerSecond = 2'000;
constexpr double kUsageSeconds = 0.15;
constexpr double kMostUsage = 0.999;
constexpr double kBalanceAbsolute = 64;
constexpr double kBalanceRelative = 1.5;

}  // namespace

void SmgPolicy::Poll(Nanos now, absl::Span<const Candidate> targets) {
  if (now < polled_at_ + kPollInterval && polled_at_ > Nanos(0)) return;
  const double seconds = std::chrono::duration<double>(now - polled_at_).count();
  for (const Candidate& c : targets) {
    Polled& polled = polled_[c.target];
    polled.queued_tokens = static_cast<double>(c.uncached_tokens_outstanding);
    polled.kv_usage = c.kv_usage_millionths * 1e-6;
    polled.tokens_per_second = seconds > 0 ? polled.prefilled_tokens / seconds : 0;
    polled.prefilled_tokens = 0;
  }
  polled_at_ = std::max(now, Nanos(1));
}

double SmgPolicy::SecondsUntilDone(const Candidate& candidate) const {
  const Polled& polled = polled_[candidate.target];
  const double usage = std::min(polled.kv_usage, kMostUsage);
  const double rate =
      polled.tokens_per_second > 0 ? polled.tokens_per_second : kFallbackTokensPerSecond;
  return polled.queued_tokens / rate + kUsageSeconds * usage / (1 - usage);
}

size_t SmgPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  Poll(query.now, targets);
  uint64_t longest = 0;
  double mean = 0;
  for (const Candidate& c : targets) {
    longest = std::max(longest, c.matched_tokens);
    mean += c.requests_in_flight / static_cast<double>(targets.size());
  }
  const auto calm = [&](const Candidate& c) {
    return c.requests_in_flight <= kBalanceRelative * mean ||
           c.requests_in_flight <= mean + kBalanceAbsolute;
  };
  const auto best = [&](auto may) {
    return BestTargetOf(targets, query.tie_break, may,
                        [&](const Candidate& c) { return SecondsUntilDone(c); });
  };
  const size_t holder =
      best([&](const Candidate& c) { return c.matched_tokens == longest && calm(c); });
  return holder < targets.size() ? holder : best(calm);
}

void SmgPolicy::Dispatched(const PlacementQuery& query, const Candidate& target) {
  polled_[target.target].queued_tokens += static_cast<double>(target.uncached_tokens);
  uncached_tokens_[query.number] = target.uncached_tokens;
}

void SmgPolicy::Prefilled(uint64_t number, size_t target, Nanos /*now*/) {
  const auto tokens = uncached_tokens_.find(number);
  polled_[target].prefilled_tokens += static_cast<double>(tokens->second);
  uncached_tokens_.erase(tokens);
}

}  // namespace kvroute
