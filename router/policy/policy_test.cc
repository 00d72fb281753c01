#include "router/policy/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace kvroute {
namespace {

constexpr uint64_t kPromptTokens = 1'000;

Candidate Make(uint64_t matched, uint32_t in_flight = 0, uint64_t outstanding = 0,
               LeftOut left_out = LeftOut::kNo) {
  Candidate c;
  c.matched_tokens = matched;
  c.uncached_tokens = std::max<uint64_t>(1, kPromptTokens - matched);
  c.requests_in_flight = in_flight;
  c.uncached_tokens_outstanding = outstanding;
  c.left_out = left_out;
  return c;
}

struct Case {
  const char* name;
  PolicyKind policy;
  std::vector<Candidate> candidates;
  uint64_t turn;
  size_t chosen;
  ChoiceReason reason;
};

class PolicyTableTest : public testing::TestWithParam<Case> {};

TEST_P(PolicyTableTest, Chooses) {
  Case c = GetParam();
  for (uint64_t tie_break = 0; tie_break < 20; ++tie_break) {  // no ties in these
    const auto choice = Choose(c.policy, absl::MakeSpan(c.candidates), tie_break, c.turn);
    ASSERT_TRUE(choice.has_value());
    EXPECT_EQ(choice->index, c.chosen);
    EXPECT_EQ(ChoiceReasonName(choice->reason), ChoiceReasonName(c.reason));
  }
}

using P = PolicyKind;
using R = ChoiceReason;
INSTANTIATE_TEST_SUITE_P(
    All, PolicyTableTest,
    testing::Values(
        // 0 + 200 + 256 x 3 = 968 against 0 + 1000
        Case{"work_follows_the_cache", P::kWork, {Make(0), Make(800, 3)}, 1, 1, R::kLeastScore},
        // 0 + 200 + 256 x 4 = 1224 against 0 + 1000
        Case{"work_weighs_requests", P::kWork, {Make(800, 4), Make(0)}, 1, 1, R::kLeastScore},
        // 900 + 200 against 0 + 1000
        Case{"work_weighs_tokens", P::kWork, {Make(800, 0, 900), Make(0)}, 1, 1, R::kLeastScore},
        // 0 + 200 + 0 x 9 against 0 + 300
        Case{"lpwl_weighs_no_requests", P::kLpwl, {Make(700), Make(800, 9)}, 1, 1, R::kLeastScore},
        Case{"lmetric_follows_the_cache",
             P::kLmetric,
             {Make(0), Make(800), Make(400)},
             0,
             1,
             R::kLeastScore},
        // (0 + 200) x (5 + 1) = 1200 against (0 + 1000) x 1
        Case{"lmetric_weighs_requests", P::kLmetric, {Make(800, 5), Make(0)}, 0, 1, R::kLeastScore},
        // (900 + 200) x 1 against (0 + 1000) x 1
        Case{"lmetric_weighs_tokens",
             P::kLmetric,
             {Make(800, 0, 900), Make(0)},
             0,
             1,
             R::kLeastScore},
        Case{"lmetric_leaves_out",
             P::kLmetric,
             {Make(900, 0, 0, LeftOut::kDraining), Make(0), Make(500)},
             0,
             2,
             R::kLeastScore},
        Case{"only_one",
             P::kLmetric,
             {Make(900, 0, 0, LeftOut::kDraining), Make(0)},
             0,
             1,
             R::kOnlyOne},
        Case{"prefix_longest",
             P::kPrefix,
             {Make(100), Make(300, 7), Make(200)},
             0,
             1,
             R::kLongestMatch},
        Case{"prefix_then_load",
             P::kPrefix,
             {Make(300, 3), Make(300, 2), Make(300, 4)},
             0,
             1,
             R::kLongestMatch},
        Case{"prefix_then_tokens",
             P::kPrefix,
             {Make(300, 2, 50), Make(300, 2, 60)},
             0,
             0,
             R::kLongestMatch},
        Case{"prefix_without_match",
             P::kPrefix,
             {Make(0, 3), Make(0, 1), Make(0, 2)},
             0,
             1,
             R::kLeastLoad},
        // hot: 9 in flight, more than twice the mean of the others, which is 3
        Case{"prefix_spills",
             P::kPrefix,
             {Make(900, 9), Make(0, 4), Make(100, 2)},
             0,
             2,
             R::kSpilledFromHot},
        Case{"prefix_busy_but_not_hot",
             P::kPrefix,
             {Make(900, 9), Make(0, 5), Make(100, 4)},
             0,
             0,
             R::kLongestMatch},
        Case{"prefix_few_are_never_hot",
             P::kPrefix,
             {Make(900, 7), Make(0, 0)},
             0,
             0,
             R::kLongestMatch},
        Case{"prefix_the_left_out_do_not_cool",
             P::kPrefix,
             {Make(900, 9), Make(0, 99, 0, LeftOut::kOverloaded), Make(100, 2)},
             0,
             2,
             R::kSpilledFromHot},
        Case{"least_loaded",
             P::kLeastLoaded,
             {Make(999, 3), Make(0, 2), Make(0, 4)},
             0,
             1,
             R::kLeastLoad},
        Case{"least_loaded_then_tokens",
             P::kLeastLoaded,
             {Make(0, 2, 10), Make(0, 2, 9)},
             0,
             1,
             R::kLeastLoad},
        Case{
            "round_robin_first", P::kRoundRobin, {Make(0), Make(0), Make(0)}, 0, 0, R::kNextInTurn},
        Case{
            "round_robin_wraps", P::kRoundRobin, {Make(0), Make(0), Make(0)}, 5, 2, R::kNextInTurn},
        Case{"round_robin_skips",
             P::kRoundRobin,
             {Make(0), Make(0, 0, 0, LeftOut::kDraining), Make(0)},
             1,
             2,
             R::kNextInTurn}),
    [](const auto& param) { return std::string(param.param.name); });

class EveryPolicyTest : public testing::TestWithParam<size_t> {
 protected:
  PolicyKind policy() const { return static_cast<PolicyKind>(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(All, EveryPolicyTest, testing::Range(size_t{0}, kPolicyKindCount),
                         [](const auto& param) {
                           return std::string(PolicyName(static_cast<PolicyKind>(param.param)));
                         });

TEST_P(EveryPolicyTest, NameIsParsedBack) {
  EXPECT_EQ(ParsePolicy(PolicyName(policy())), policy());
}

TEST_P(EveryPolicyTest, NoneWhenAllAreLeftOutOrThereAreNone) {
  std::vector<Candidate> candidates = {Make(1, 0, 0, LeftOut::kDraining),
                                       Make(2, 0, 0, LeftOut::kDraining)};
  EXPECT_FALSE(Choose(policy(), absl::MakeSpan(candidates), 1, 1).has_value());
  EXPECT_FALSE(Choose(policy(), {}, 1, 1).has_value());
}

TEST_P(EveryPolicyTest, NeverChoosesOrRanksTheLeftOutAndRanksTheChosenFirst) {
  const uint32_t seed = 20'260'101;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::vector<uint32_t> order;
  for (int round = 0; round < 2'000; ++round) {
    std::vector<Candidate> candidates(1 + random() % 12);
    size_t eligible = 0;
    for (Candidate& c : candidates) {
      const auto left_out = static_cast<LeftOut>(random() % 2 == 0 ? 0 : random() % kLeftOutCount);
      c = Make(random() % 4 * 250, random() % 20, random() % 3 * 100, left_out);
      c.unheard = random() % 4 == 0;
      eligible += c.left_out == LeftOut::kNo;
    }
    const uint64_t tie_break = random();
    const auto choice = Choose(policy(), absl::MakeSpan(candidates), tie_break, random());
    ASSERT_EQ(choice.has_value(), eligible > 0);
    RankCandidates(candidates, tie_break, candidates.size(), &order);
    ASSERT_EQ(order.size(), eligible);
    if (!choice) continue;
    EXPECT_EQ(candidates[choice->index].left_out, LeftOut::kNo);
    EXPECT_EQ(order[0], choice->index);
    for (size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(candidates[order[i]].left_out, LeftOut::kNo);
      if (i > 0) {
        const Candidate& before = candidates[order[i - 1]];
        const Candidate& after = candidates[order[i]];
        EXPECT_LE(before.score, after.score);
        EXPECT_FALSE(before.score == after.score && before.unheard && !after.unheard);
      }
    }
  }
}

// Chi-square with 7 degrees of freedom: 24.3 is exceeded by chance once in a thousand; the seed is
// fixed.
TEST_P(EveryPolicyTest, EqualTargetsAreChosenEquallyOften) {
  constexpr size_t kTargets = 8;
  constexpr int kRounds = 40'000;
  const uint32_t seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::vector<Candidate> candidates(kTargets, Make(500, 3, 70));
  candidates.push_back(Make(0, 1'000, 1'000'000, LeftOut::kOverloaded));
  std::vector<int> chosen(kTargets);
  for (int round = 0; round < kRounds; ++round) {
    const auto choice =
        Choose(policy(), absl::MakeSpan(candidates), random(), static_cast<uint64_t>(round));
    ++chosen[choice->index];
  }
  double chi_square = 0;
  for (int count : chosen) {
    const double expected = static_cast<double>(kRounds) / kTargets;
    chi_square += (count - expected) * (count - expected) / expected;
  }
  EXPECT_LT(chi_square, 24.3);
}

// The other target is its equal but for that.
TEST_P(EveryPolicyTest, AnUnheardTargetIsBehindItsEquals) {
  std::vector<Candidate> candidates(4, Make(0, 3, 70));
  for (const size_t unheard : {0, 1, 3}) candidates[unheard].unheard = true;
  std::vector<uint32_t> order;
  for (uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(Choose(policy(), absl::MakeSpan(candidates), i, i)->index, 2u);
    RankCandidates(candidates, i, 4, &order);
    EXPECT_EQ(order[0], 2u);
  }
}

TEST_P(EveryPolicyTest, UnheardTargetsAreChosenWhenNobodyIsHeard) {
  std::vector<Candidate> candidates(3, Make(0, 3, 70));
  for (Candidate& c : candidates) c.unheard = true;
  std::vector<int> chosen(3);
  for (uint64_t i = 0; i < 300; ++i) {
    ++chosen[Choose(policy(), absl::MakeSpan(candidates), TieBreak(1, i), i)->index];
  }
  for (const int count : chosen) EXPECT_GT(count, 60);
}

TEST_P(EveryPolicyTest, RanksAtMostWhatIsAskedFor) {
  std::vector<Candidate> candidates = {Make(0), Make(100), Make(200), Make(300)};
  ASSERT_TRUE(Choose(policy(), absl::MakeSpan(candidates), 3, 0).has_value());
  std::vector<uint32_t> order;
  RankCandidates(candidates, 3, 2, &order);
  EXPECT_EQ(order.size(), 2u);
}

// A burst that sees its own load does not herd: with equal caches all targets fill evenly.
TEST(PolicyTest, ABurstIsSpread) {
  for (const PolicyKind policy : {P::kWork, P::kLpwl, P::kLmetric}) {
    std::vector<Candidate> candidates(4, Make(0));
    for (uint64_t i = 0; i < 40; ++i) {
      const auto choice = Choose(policy, absl::MakeSpan(candidates), i, i);
      ++candidates[choice->index].requests_in_flight;
      candidates[choice->index].uncached_tokens_outstanding += kPromptTokens;
    }
    for (const Candidate& c : candidates) EXPECT_EQ(c.requests_in_flight, 10u);
  }
}

// What is computed there already, and what has to be loaded, are part of the request's work.
TEST(PolicyTest, WorkIsWhatIsLeftToDo) {
  for (const PolicyKind policy : {P::kWork, P::kLpwl, P::kLmetric}) {
    std::vector<Candidate> candidates = {Make(0), Make(0), Make(500)};
    candidates[1].in_flight_tokens = 501;
    EXPECT_EQ(Choose(policy, absl::MakeSpan(candidates), 1, 1)->index, 1u) << PolicyName(policy);
    candidates[1].in_flight_tokens = 499;
    EXPECT_EQ(Choose(policy, absl::MakeSpan(candidates), 1, 1)->index, 2u) << PolicyName(policy);
    candidates = {Make(500), Make(500)};
    candidates[0].loading_tokens = 1;
    EXPECT_EQ(Choose(policy, absl::MakeSpan(candidates), 1, 1)->index, 1u) << PolicyName(policy);
  }
}

class NewTargetTest : public testing::Test {
 protected:
  // Three that were given `begun` requests each and hold all, and one that was given `fresh`.
  static std::vector<Candidate> Fleet(uint32_t begun, uint32_t fresh) {
    std::vector<Candidate> candidates(4, Make(900));
    for (Candidate& c : candidates) c.requests_begun = begun;
    candidates[3].matched_tokens = 0;
    candidates[3].uncached_tokens = kPromptTokens;
    candidates[3].requests_begun = fresh;
    return candidates;
  }
  // How many of 80 decisions it gets, without any load.
  static int TurnsOf(std::vector<Candidate> candidates, PolicyKind policy = P::kWork) {
    int turns = 0;
    for (uint64_t turn = 0; turn < 80; ++turn) {
      const auto choice = Choose(policy, absl::MakeSpan(candidates), turn, turn);
      turns += choice->index == 3 ? 1 : 0;
      EXPECT_EQ(choice->index == 3, choice->reason == R::kWarmsUp) << turn;
    }
    return turns;
  }
};

TEST_F(NewTargetTest, ANewTargetGetsHalfItsShare) {
  EXPECT_EQ(TurnsOf(Fleet(100, 0)), 10);
  EXPECT_EQ(TurnsOf(Fleet(100, 12)), 10);
  EXPECT_EQ(TurnsOf(Fleet(1'000'000, 255)), 10);
  EXPECT_EQ(TurnsOf(Fleet(8, 0)), 10);
}

TEST_F(NewTargetTest, NoneIsNewForLongNorWhereAllAre) {
  EXPECT_EQ(TurnsOf(Fleet(100, 13)), 0);
  EXPECT_EQ(TurnsOf(Fleet(1'000'000, 256)), 0);
  EXPECT_EQ(TurnsOf(Fleet(7, 0)), 0);
  EXPECT_EQ(TurnsOf(Fleet(100, 0), P::kLpwl), 0);
}

TEST_F(NewTargetTest, OneThatIsBusyOrLeftOutGetsNoTurn) {
  std::vector<Candidate> candidates = Fleet(100, 0);
  candidates[3].requests_in_flight = 1;
  EXPECT_EQ(TurnsOf(candidates), 0);
  for (Candidate& c : candidates) c.requests_in_flight = 1;
  EXPECT_EQ(TurnsOf(candidates), 10);
  candidates[3].unheard = true;
  EXPECT_EQ(TurnsOf(candidates), 0);
  candidates[3].left_out = LeftOut::kDraining;
  EXPECT_EQ(TurnsOf(candidates), 0);
}

TEST_F(NewTargetTest, WhoIsGivenATurnIsTheBest) {
  std::vector<Candidate> candidates = Fleet(100, 0);
  ASSERT_EQ(Choose(P::kWork, absl::MakeSpan(candidates), 0, 0)->index, 3u);
  std::vector<uint32_t> order;
  RankCandidates(candidates, 0, 4, &order);
  EXPECT_EQ(order[0], 3u);
}

TEST(PolicyTest, AnUnheardTargetIsChosenByItsLoad) {
  for (const PolicyKind policy : {P::kWork, P::kLpwl, P::kLmetric, P::kPrefix, P::kLeastLoaded}) {
    std::vector<Candidate> candidates = {Make(0, 4, 4'000), Make(0, 3, 3'000), Make(0, 5, 5'000)};
    candidates[1].unheard = true;
    EXPECT_EQ(Choose(policy, absl::MakeSpan(candidates), 1, 0)->index, 1u) << PolicyName(policy);
  }
}

TEST(PolicyTest, UnknownNameIsRefused) {
  EXPECT_EQ(ParsePolicy(""), std::nullopt);
  EXPECT_EQ(ParsePolicy("LMETRIC"), std::nullopt);
}

}  // namespace
}  // namespace kvroute
