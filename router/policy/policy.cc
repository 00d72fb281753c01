#include "router/policy/policy.h"

#include <algorithm>

namespace kvroute {
namespace {

// The finalizer of SplitMix64: every bit of the input reaches every bit of the output.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Grows with x from 0 and stays below 1: a second key behind an integer first one.
double Fraction(double x) { return x / (x + 1); }

// Of a number of tokens, which is far below 2^63: of a signed integer the conversion is one
// instruction.
double Tokens(uint64_t tokens) { return static_cast<double>(static_cast<int64_t>(tokens)); }

double LoadScore(const Candidate& c) {
  return c.requests_in_flight +
         Fraction(Tokens(c.uncached_tokens_outstanding + c.output_tokens_expected));
}

double LmetricScore(const Candidate& c) {
  return Tokens(c.uncached_tokens_outstanding + c.work_tokens()) *
         (static_cast<double>(c.requests_in_flight) + 1);
}

double LpwlScore(const Candidate& c) {
  return Tokens(c.uncached_tokens_outstanding + c.work_tokens());
}

double WorkScore(const Candidate& c) {
  return LpwlScore(c) + kTokensPerRequest * c.requests_in_flight;
}

// One order for the choice and for the runner-ups: by score, of equal scores the unheard last,
// equals in an order drawn by tie_break.
struct Better {
  absl::Span<const Candidate> candidates;
  uint64_t tie_break;
  bool operator()(size_t a, size_t b) const {
    if (candidates[a].score != candidates[b].score) {
      return candidates[a].score < candidates[b].score;
    }
    if (candidates[a].unheard != candidates[b].unheard) return candidates[b].unheard;
    const uint64_t drawn_a = Mix(tie_break + a), drawn_b = Mix(tie_break + b);
    return drawn_a != drawn_b ? drawn_a < drawn_b : a < b;
  }
};

struct Eligible {
  size_t count = 0;
  size_t heard = 0;
  uint64_t requests_in_flight = 0;
  uint64_t longest_match_tokens = 0;
};

Eligible CountEligible(absl::Span<const Candidate> candidates) {
  Eligible all;
  for (const Candidate& c : candidates) {
    if (c.left_out != LeftOut::kNo) continue;
    ++all.count;
    all.heard += c.unheard ? 0 : 1;
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

struct Picked {
  size_t best = 0;  // meaningless when none is eligible
  size_t eligible = 0;
};

// Scores the candidates that are not left out, and picks as Better orders them, in one pass.
template <typename ScoreOf>
Picked ScoreAll(absl::Span<Candidate> candidates, uint64_t tie_break, ScoreOf score_of) {
  Picked picked;
  double best_score = 0;
  bool best_unheard = false;
  bool tied = false;
  uint64_t best_drawn = 0;  // of the best one, once it was tied with another
  for (size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    if (candidate.left_out != LeftOut::kNo) continue;
    const double score = score_of(candidate, i);
    candidate.score = score;
    const bool better =
        score < best_score || (score == best_score && !candidate.unheard && best_unheard);
    if (picked.eligible++ == 0 || better) {
      picked.best = i;
      best_score = score;
      best_unheard = candidate.unheard;
      tied = false;
    } else if (score == best_score && candidate.unheard == best_unheard) {
      if (!tied) best_drawn = Mix(tie_break + picked.best);
      tied = true;
      const uint64_t drawn = Mix(tie_break + i);
      if (drawn >= best_drawn) continue;
      picked.best = i;
      best_drawn = drawn;
    }
  }
  return picked;
}

// Of those that may be chosen the newest, if one is new and no busier than others. Of one that is
// not heard nobody would know what it has computed.
std::optional<size_t> FindNew(absl::Span<const Candidate> candidates, size_t eligible) {
  uint64_t begun = 0, in_flight = 0;
  std::optional<size_t> newest;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& c = candidates[i];
    if (c.left_out != LeftOut::kNo) continue;
    begun += c.requests_begun;
    in_flight += c.requests_in_flight;
    if (c.unheard) continue;
    if (!newest || c.requests_begun < candidates[*newest].requests_begun) newest = i;
  }
  if (!newest) return std::nullopt;
  const Candidate& c = candidates[*newest];
  const uint64_t others = (begun - c.requests_begun) / (eligible - 1);
  const bool is_new =
      c.requests_begun < kWarmUpRequests && uint64_t{c.requests_begun} * kNewShare < others;
  const bool is_busy = uint64_t{c.requests_in_flight} * eligible > in_flight;
  return is_new && !is_busy && others >= kNewShare ? newest : std::nullopt;
}

// Least uncached first, load second; hot targets behind all others.
Picked ScorePrefix(absl::Span<Candidate> candidates, uint64_t tie_break, const Eligible& all) {
  uint64_t most_uncached = 0;
  for (const Candidate& c : candidates) most_uncached = std::max(most_uncached, c.uncached_tokens);
  const double behind = static_cast<double>(most_uncached) + 1;
  return ScoreAll(candidates, tie_break, [&](const Candidate& c, size_t) {
    const double score = static_cast<double>(c.uncached_tokens) + Fraction(LoadScore(c));
    return IsHot(c, all) ? score + behind : score;
  });
}

// The eligible targets that are heard as a ring, the others behind it, or all others if none is;
// the one whose turn it is scores 0, the next 1, ...
Picked ScoreTurns(absl::Span<Candidate> candidates, uint64_t tie_break, uint64_t turn) {
  const Eligible all = CountEligible(candidates);
  const uint64_t ring = all.heard != 0 ? all.heard : all.count;
  const uint64_t first = ring == 0 ? 0 : turn % ring;
  uint64_t place = 0;
  return ScoreAll(candidates, tie_break, [&](const Candidate& c, size_t) {
    if (c.unheard && all.heard != 0) return static_cast<double>(ring);
    return static_cast<double>((place++ + ring - first) % ring);
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
  switch (policy) {
    case PolicyKind::kWork:
    case PolicyKind::kLmetric:
    case PolicyKind::kLpwl:
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

uint64_t TieBreak(uint64_t seed, uint64_t decision) {
  return Mix(seed) + decision * 0x9e3779b97f4a7c15;
}

std::optional<Choice> Choose(PolicyKind policy, absl::Span<Candidate> candidates,
                             uint64_t tie_break, uint64_t turn) {
  Eligible all;  // only prefix looks at the fleet as a whole
  Picked picked;
  switch (policy) {
    case PolicyKind::kWork:
      picked =
          ScoreAll(candidates, tie_break, [](const Candidate& c, size_t) { return WorkScore(c); });
      if (picked.eligible > 1 && turn % (2 * picked.eligible) == 0) {
        if (const std::optional<size_t> fresh = FindNew(candidates, picked.eligible)) {
          candidates[*fresh].score = 0;  // less than any other's: it is the best
          return Choice{*fresh, ChoiceReason::kWarmsUp};
        }
      }
      break;
    case PolicyKind::kLmetric:
      picked = ScoreAll(candidates, tie_break,
                        [](const Candidate& c, size_t) { return LmetricScore(c); });
      break;
    case PolicyKind::kLpwl:
      picked =
          ScoreAll(candidates, tie_break, [](const Candidate& c, size_t) { return LpwlScore(c); });
      break;
    case PolicyKind::kPrefix:
      all = CountEligible(candidates);
      picked = ScorePrefix(candidates, tie_break, all);
      break;
    case PolicyKind::kLeastLoaded:
      picked =
          ScoreAll(candidates, tie_break, [](const Candidate& c, size_t) { return LoadScore(c); });
      break;
    case PolicyKind::kRoundRobin:
      picked = ScoreTurns(candidates, tie_break, turn);
      break;
    case PolicyKind::kRandom:  // all alike: the tie break draws
      picked = ScoreAll(candidates, tie_break, [](const Candidate&, size_t) { return 0.0; });
      break;
  }
  if (picked.eligible == 0) return std::nullopt;
  if (picked.eligible == 1) return Choice{picked.best, ChoiceReason::kOnlyOne};
  return Choice{picked.best, ReasonOf(policy, candidates, picked.best, all)};
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
