#include "tools/fleet/local_placer.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

class LocalPlacerTest : public ::testing::Test {
 protected:
  LocalPlacer Make(PolicyKind policy) {
    return LocalPlacer(
        policy, resident_.size(), 16, 1,
        [this](size_t target, absl::Span<const Digest>) { return resident_[target]; });
  }
  size_t Place(LocalPlacer* placer, uint64_t number) {
    const std::vector<TokenId> prompt(160);
    const auto placement =
        placer->Place({.number = number, .prompt = prompt, .hashes = {}, .output_tokens = 10});
    EXPECT_TRUE(placement.ok());
    EXPECT_FALSE(placement->prediction.has_value());
    return placement->decision.target;
  }

  std::vector<uint32_t> resident_ = {0, 0, 0};  // blocks of the prompt that each target holds
};

TEST_F(LocalPlacerTest, TheOracleReadsThePoolsAtTheMomentOfTheDecision) {
  LocalPlacer placer = Make(PolicyKind::kLmetric);
  resident_ = {0, 5, 2};
  EXPECT_EQ(Place(&placer, 1), 1u);
  ASSERT_TRUE(placer.Ended(1).ok());
  resident_ = {0, 5, 9};
  EXPECT_EQ(Place(&placer, 2), 2u);
}

TEST_F(LocalPlacerTest, CreditsWhatItPlacedUntilItEnds) {
  LocalPlacer placer = Make(PolicyKind::kLmetric);
  resident_ = {9, 0, 0};
  EXPECT_EQ(Place(&placer, 1), 0u);  // 16 tokens to compute: score 16
  EXPECT_EQ(Place(&placer, 2), 0u);  // (16 + 16) * 2 = 64, the others 160
  EXPECT_EQ(Place(&placer, 3), 0u);  // (32 + 16) * 3 = 144
  EXPECT_NE(Place(&placer, 4), 0u);  // (48 + 16) * 4 = 256: the hot target is no longer the best
  for (uint64_t number = 1; number <= 3; ++number) ASSERT_TRUE(placer.Prefilled(number).ok());
  EXPECT_EQ(Place(&placer, 5), 0u);  // (0 + 16) * 4 = 64
}

TEST_F(LocalPlacerTest, BreaksTiesAsTheSeedSays) {
  LocalPlacer placer = Make(PolicyKind::kRandom);
  std::vector<Candidate> equal(resident_.size());
  for (uint64_t number = 0; number < 50; ++number) {
    const auto choice =
        Choose(PolicyKind::kRandom, absl::MakeSpan(equal), TieBreak(1, number), number);
    EXPECT_EQ(Place(&placer, number), choice->index) << number;
  }
}

TEST_F(LocalPlacerTest, RoundRobinTakesTurns) {
  LocalPlacer placer = Make(PolicyKind::kRoundRobin);
  const size_t first = Place(&placer, 1);
  EXPECT_EQ(Place(&placer, 2), (first + 1) % 3);
  EXPECT_EQ(Place(&placer, 3), (first + 2) % 3);
  EXPECT_EQ(Place(&placer, 4), first);
}

}  // namespace
}  // namespace kvroute
