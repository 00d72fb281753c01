#include "router/policy/policy.h"

#include <algorithm>
#include <array>
#include <limits>

namespace kvroute {
namespace {

constexpr std::array<std::string_view, kPolicyKindCount> kPolicyNames = {
    "lmetric", "prefix", "least_loaded", "round_robin", "random"};
constexpr std::array<std::string_view, kLeftOutCount> kLeftOutNames = {
    "", "not_a_candidate", "draining", "stale", "not_connected", "overloaded", "block_size"};
constexpr std::array<std::string_view, kChoiceReasonCount> kReasonNames = {
    "only_one",   "least_score",  "longest_match", "spilled_from_hot_worker",
    "least_load", "next_in_turn", "drawn"};

// The finalizer of SplitMix64: every bit of the input reaches every bit of the output.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Grows with x from 0 and stays below 1: a second key behind an integer first one.
double Fraction(double x) { return x / (x + 1); }

double LoadScore(const Candidate& c) {
  return c.requests_in_flight +
         Fraction(static_cast<double>(c.uncached_tokens_outstanding + c.output_tokens_expected));
}

double LmetricScore(const Candidate& c) {
  return static_cast<double>(c.uncached_tokens_outstanding + c.uncached_tokens) *
         (static_cast<double>(c.requests_in_flight) + 1);
}

// One order for the choice and for the runner-ups: by score, equal scores in an order drawn by
// tie_break.
struct Better {
  absl::Span<const Candidate> candidates;
  uint64_t tie_break;
  bool operator()(size_t a, size_t b) const {
    if (candidates[a].score != candidates[b].score) {
      return candidates[a].score < candidates[b].score;
    }
    const uint64_t drawn_a = Mix(tie_break + a), drawn_b = Mix(tie_break + b);
    return drawn_a != drawn_b ? drawn_a < drawn_b : a < b;
  }
};

struct Eligible {
  size_t count = 0;
  uint64_t requests_in_flight = 0;
  uint64_t longest_match_tokens = 0;
};

Eligible CountEligible(absl::Span<const Candidate> candidates) {
  Eligible all;
  for (const Candidate& c : candidates) {
    if (c.left_out != LeftOut::kNo) continue;
    ++all.count;
    all.requests_in_flight += c.requests_in_flight;
    all.longest_match_tokens = std::max(all.longest_match_tokens, c.matched_tokens);
  }
  return all;
}

bool IsHot(const Candidate& c, const Eligible& all) {
  if (all.count < 2 || c.requests_in_flight < kSpillMinRequests) return false;
  const double others = static_cast<double>(all.requests_in_flight - c.requests_in_flight);
  return c.requests_in_flight > kSpillFactor * others / static_cast<double>(all.count - 1);
}

template <typename ScoreOf>
void ScoreAll(absl::Span<Candidate> candidates, ScoreOf score_of) {
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].left_out == LeftOut::kNo) candidates[i].score = score_of(candidates[i], i);
  }
}

// Least uncached first, load second; hot targets behind all others.
void ScorePrefix(absl::Span<Candidate> candidates, const Eligible& all) {
  uint64_t most_uncached = 0;
  for (const Candidate& c : candidates) most_uncached = std::max(most_uncached, c.uncached_tokens);
  const double behind = static_cast<double>(most_uncached) + 1;
  ScoreAll(candidates, [&](const Candidate& c, size_t) {
    const double score = static_cast<double>(c.uncached_tokens) + Fraction(LoadScore(c));
    return IsHot(c, all) ? score + behind : score;
  });
}

// The eligible targets as a ring; the one whose turn it is scores 0, the next 1, ...
void ScoreTurns(absl::Span<Candidate> candidates, const Eligible& all, uint64_t turn) {
  const uint64_t first = turn % all.count;
  uint64_t place = 0;
  ScoreAll(candidates, [&](const Candidate&, size_t) {
    return static_cast<double>((place++ + all.count - first) % all.count);
  });
}

ChoiceReason PrefixReason(absl::Span<const Candidate> candidates, size_t chosen,
                          const Eligible& all) {
  for (const Candidate& c : candidates) {
    if (c.left_out == LeftOut::kNo && c.matched_tokens > candidates[chosen].matched_tokens) {
      return ChoiceReason::kSpilledFromHot;
    }
  }
  return all.longest_match_tokens == 0 ? ChoiceReason::kLeastLoad : ChoiceReason::kLongestMatch;
}

ChoiceReason ReasonOf(PolicyKind policy, absl::Span<const Candidate> candidates, size_t chosen,
                      const Eligible& all) {
  if (all.count == 1) return ChoiceReason::kOnlyOne;
  switch (policy) {
    case PolicyKind::kLmetric:
      return ChoiceReason::kLeastScore;
    case PolicyKind::kPrefix:
      return PrefixReason(candidates, chosen, all);
    case PolicyKind::kLeastLoaded:
      return ChoiceReason::kLeastLoad;
    case PolicyKind::kRoundRobin:
      return ChoiceReason::kNextInTurn;
    case PolicyKind::kRandom:
      break;
  }
  return ChoiceReason::kDrawn;
}

}  // namespace

std::string_view PolicyName(PolicyKind policy) { return kPolicyNames[static_cast<size_t>(policy)]; }

std::optional<PolicyKind> ParsePolicy(std::string_view name) {
  for (size_t i = 0; i < kPolicyNames.size(); ++i) {
    if (kPolicyNames[i] == name) return static_cast<PolicyKind>(i);
  }
  return std::nullopt;
}

std::string_view LeftOutName(LeftOut left_out) {
  return kLeftOutNames[static_cast<size_t>(left_out)];
}

std::string_view ChoiceReasonName(ChoiceReason reason) {
  return kReasonNames[static_cast<size_t>(reason)];
}

std::optional<Choice> Choose(PolicyKind policy, absl::Span<Candidate> candidates,
                             uint64_t tie_break, uint64_t turn) {
  const Eligible all = CountEligible(candidates);
  if (all.count == 0) return std::nullopt;
  switch (policy) {
    case PolicyKind::kLmetric:
      ScoreAll(candidates, [](const Candidate& c, size_t) { return LmetricScore(c); });
      break;
    case PolicyKind::kPrefix:
      ScorePrefix(candidates, all);
      break;
    case PolicyKind::kLeastLoaded:
      ScoreAll(candidates, [](const Candidate& c, size_t) { return LoadScore(c); });
      break;
    case PolicyKind::kRoundRobin:
      ScoreTurns(candidates, all, turn);
      break;
    case PolicyKind::kRandom:  // all alike: the tie break draws
      ScoreAll(candidates, [](const Candidate&, size_t) { return 0.0; });
      break;
  }
  const Better better{candidates, tie_break};
  size_t chosen = candidates.size();
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].left_out != LeftOut::kNo) continue;
    if (chosen == candidates.size() || better(i, chosen)) chosen = i;
  }
  return Choice{chosen, ReasonOf(policy, candidates, chosen, all)};
}

void RankCandidates(absl::Span<const Candidate> candidates, uint64_t tie_break, size_t count,
                    std::vector<uint32_t>* order) {
  order->clear();
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].left_out == LeftOut::kNo) order->push_back(static_cast<uint32_t>(i));
  }
  count = std::min(count, order->size());
  std::partial_sort(order->begin(), order->begin() + static_cast<ptrdiff_t>(count), order->end(),
                    Better{candidates, tie_break});
  order->resize(count);
}

}  // namespace kvroute
