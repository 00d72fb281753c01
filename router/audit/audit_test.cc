#include "router/audit/audit.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

namespace kvroute {
namespace {

using State = Prediction::State;

class AuditTest : public testing::Test {
 protected:
  static Prediction Made(uint32_t matched, uint32_t prompt, uint32_t block = 16,
                         Trust trust = Trust::kExact) {
    return {matched, prompt, block, trust, State::kMade};
  }
  void Count(const Prediction& prediction, const ResponseUsage& usage) {
    CountAnswer({usage, UsageEnd::kFound}, {target_, prediction}, &stats_);
  }
  uint64_t Result(AuditResult result) const { return stats_.results[static_cast<size_t>(result)]; }
  // How many errors there were from `above` (not included) to `to`.
  uint64_t Errors(int64_t to, Trust trust = Trust::kExact) const {
    for (size_t i = 0; i < kPredictionErrorBounds.size(); ++i) {
      if (kPredictionErrorBounds[i] >= to) return of(trust).errors[i];
    }
    return of(trust).errors.back();
  }
  const PredictionCounts& of(Trust trust) const {
    return stats_.by_trust[static_cast<size_t>(trust)];
  }

  AuditStats stats_;
  std::shared_ptr<TargetLoad> target_ = std::make_shared<TargetLoad>();
};

TEST_F(AuditTest, WhatAnEngineHadBesideWhatWasPredictedByTrust) {
  Count(Made(64, 100), {100, 64, 5});
  Count(Made(64, 100), {100, 48, 5});
  Count(Made(64, 100, 16, Trust::kDegraded), {100, 0, 5});
  Count(Made(0, 9000), {9000, 8992, 5});
  EXPECT_EQ(Result(AuditResult::kCompared), 4u);
  EXPECT_EQ(of(Trust::kExact).predicted_tokens, 128u);
  EXPECT_EQ(of(Trust::kExact).cached_tokens, 64u + 48 + 8992);
  EXPECT_EQ(Errors(0), 1u);
  EXPECT_EQ(Errors(-16), 1u) << "predicted a block too much";
  EXPECT_EQ(Errors(8992), 1u) << "the last class has no bound";
  EXPECT_EQ(Errors(-64, Trust::kDegraded), 1u);
  EXPECT_EQ(stats_.prompt_tokens, 9300u);
  EXPECT_EQ(stats_.cached_tokens, 9104u);
  EXPECT_EQ(stats_.output_tokens, 20u);
  EXPECT_EQ(stats_.other_prompts, 0u);
}

TEST_F(AuditTest, EachErrorIsInTheClassOfItsBound) {
  for (size_t i = 0; i < kPredictionErrorBounds.size(); ++i) {
    const int64_t bound = kPredictionErrorBounds[i];
    PredictionCounts counts;
    counts.Add(10'000, static_cast<uint64_t>(10'000 + bound));
    counts.Add(10'000, static_cast<uint64_t>(10'000 + bound + 1));
    EXPECT_EQ(counts.errors[i], 1u) << bound;
    EXPECT_EQ(counts.errors[i + 1], 1u) << bound;
  }
}

TEST_F(AuditTest, TheTargetsOwnCountsAreKeptWithIt) {
  EXPECT_EQ(target_->predictions(), nullptr);
  Count(Made(64, 100), {100, 48, 5});
  ASSERT_NE(target_->predictions(), nullptr);
  const PredictionCounts& own =
      target_->predictions()->by_trust[static_cast<size_t>(Trust::kExact)];
  EXPECT_EQ(own.predicted_tokens, 64u);
  EXPECT_EQ(own.cached_tokens, 48u);
}

// An engine computes the last token in any case, and with it its block.
TEST_F(AuditTest, APromptHeldWholeIsPredictedLessTheLastTokensBlock) {
  EXPECT_EQ(PredictedCachedTokens(Made(64, 64), 64), 48u);
  EXPECT_EQ(PredictedCachedTokens(Made(64, 65), 65), 64u);
  EXPECT_EQ(PredictedCachedTokens(Made(64, 64, 1), 64), 63u);
  EXPECT_EQ(PredictedCachedTokens(Made(16, 16), 16), 0u);
  EXPECT_EQ(PredictedCachedTokens(Made(0, 1), 1), 0u);
  EXPECT_EQ(PredictedCachedTokens(Made(64, 64), std::nullopt), 48u);
  EXPECT_EQ(PredictedCachedTokens(Made(64, 0), 70), 64u) << "only the engine tells how long it is";
  EXPECT_EQ(PredictedCachedTokens(Made(64, 0), std::nullopt), 64u);
  EXPECT_EQ(PredictedCachedTokens(Made(0, 100, 0), 100), 0u) << "no block was heard of yet";
  Count(Made(64, 64), {64, 48, 1});
  EXPECT_EQ(Errors(0), 1u);
}

// vLLM leaves the number out where it is 0, if it counts at all.
TEST_F(AuditTest, NoNumberIsZeroOnlyOfAnEngineThatHasToldOne) {
  Count(Made(64, 100), {100, std::nullopt, 5});
  EXPECT_EQ(Result(AuditResult::kNoCachedTokens), 1u);
  EXPECT_EQ(Result(AuditResult::kCompared), 0u);
  EXPECT_EQ(target_->predictions(), nullptr);
  Count(Made(64, 100), {100, 64, 5});
  Count(Made(64, 100), {100, std::nullopt, 5});
  EXPECT_EQ(Result(AuditResult::kCompared), 2u);
  EXPECT_EQ(Errors(-64), 1u);
  Count(Made(64, 100), {std::nullopt, std::nullopt, 5});
  EXPECT_EQ(Result(AuditResult::kNoCachedTokens), 2u) << "it tells nothing of the prompt";
}

TEST_F(AuditTest, WhatCannotBeComparedIsCountedWithItsReason) {
  Count({}, {100, 64, 5});
  EXPECT_EQ(Result(AuditResult::kNotPredicted), 1u);
  Prediction moved = Made(64, 100);
  moved.state = State::kMoved;
  Count(moved, {100, 0, 5});
  EXPECT_EQ(Result(AuditResult::kMoved), 1u);
  Prediction part = Made(64, 100);
  part.state = State::kPart;
  Count(part, {180, 64, 5});
  EXPECT_EQ(Result(AuditResult::kSeveralPrompts), 1u);
  EXPECT_EQ(stats_.other_prompts, 0u);
  EXPECT_EQ(Result(AuditResult::kCompared), 0u);
  EXPECT_EQ(stats_.answers[static_cast<size_t>(UsageEnd::kFound)], 3u);
  EXPECT_EQ(stats_.cached_tokens, 128u) << "what engines say counts all the same";
  for (size_t i = 1; i < kUsageEndNames.size(); ++i) {
    CountAnswer({{}, static_cast<UsageEnd>(i)}, {target_, Made(64, 100)}, &stats_);
    EXPECT_EQ(stats_.answers[i], 1u);
  }
  EXPECT_EQ(Result(AuditResult::kCompared), 0u);
}

// With prefill apart the number is the prefiller's: what was predicted of that one is compared.
TEST_F(AuditTest, APrefillersCacheIsComparedWithItsOwnPrediction) {
  const auto prefiller =
      std::make_shared<EndedLease>(EndedLease{std::make_shared<TargetLoad>(), Made(32, 100)});
  const auto count = [&](const ResponseUsage& usage) {
    CountAnswer({usage, UsageEnd::kFound, prefiller}, {target_, Made(64, 100)}, &stats_);
  };
  count({100, std::nullopt, 5});
  EXPECT_EQ(Result(AuditResult::kNoCachedTokens), 1u);
  count({100, 32, 5});
  EXPECT_EQ(Errors(0), 1u);
  count({100, 16, 5});
  EXPECT_EQ(Errors(-16), 1u);
  count({100, std::nullopt, 5});  // which now is 0
  EXPECT_EQ(Errors(-16), 2u) << "32 too few are of the same class";
  EXPECT_EQ(Result(AuditResult::kCompared), 3u);
  EXPECT_EQ(target_->predictions(), nullptr) << "nothing is said of who only went on";
  const auto& own = prefiller->target->predictions()->by_trust[static_cast<size_t>(Trust::kExact)];
  EXPECT_EQ(own.predicted_tokens, 96u);
  EXPECT_EQ(own.cached_tokens, 48u);
  EXPECT_EQ(stats_.output_tokens, 20u);
}

TEST_F(AuditTest, APromptOfAnotherLengthIsCountedAndComparedAllTheSame) {
  Count(Made(64, 100), {120, 0, 5});
  EXPECT_EQ(stats_.other_prompts, 1u);
  EXPECT_EQ(Errors(-64), 1u);
  Count(Made(64, 0), {120, 64, 5});
  EXPECT_EQ(stats_.other_prompts, 1u) << "nothing was known of its length";
}

}  // namespace
}  // namespace kvroute
