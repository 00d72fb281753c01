// How right a stream stays whose batches are lost for good, by what is done about it. The figures
// are those of docs/consistency.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "test/loss/loss_simulation.h"
#include "test/support/printed_table.h"

namespace kvroute {
namespace {

LossFigures Simulate(const LossOptions& options, AfterLoss after_loss = AfterLoss::kKeep) {
  return LossSimulation(options, after_loss).Run();
}

TEST(LossFiguresTest, WithoutLossEveryHitIsForeseenAndNothingElse) {
  const LossFigures figures = Simulate({.lost = 0});
  EXPECT_GT(figures.hit_blocks, 50'000u);
  EXPECT_EQ(figures.found_blocks, figures.hit_blocks);
  EXPECT_EQ(figures.false_blocks, 0u);
  EXPECT_EQ(figures.wrong, 0u);
  EXPECT_EQ(figures.unconfirmed, 0u);
}

TEST(LossFiguresTest, NoMoreIsWrongThanIsSaid) {
  uint64_t wrong = 0;
  for (const LossKind kind : {LossKind::kSingle, LossKind::kBursts, LossKind::kRemovals}) {
    for (const bool same_hashes : {false, true}) {
      for (uint64_t seed = 1; seed <= 3; ++seed) {
        SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(kind) << ", same hashes "
                                        << same_hashes << ", seed " << seed);
        const LossFigures figures = Simulate({.kind = kind,
                                              .lost = 0.05,
                                              .same_hashes = same_hashes,
                                              .pool_blocks = 500,
                                              .requests = 1'500,
                                              .seed = seed});
        EXPECT_LE(figures.wrong, figures.unconfirmed);
        wrong += figures.wrong;
      }
    }
  }
  EXPECT_GT(wrong, 1'000u);
}

std::vector<double> NumbersIn(const std::string& table) {
  std::vector<double> numbers;
  for (size_t at = 0; (at = table.find_first_of("0123456789", at)) != std::string::npos;) {
    size_t used = 0;
    numbers.push_back(std::stod(table.substr(at, 20), &used));
    at += used;
  }
  return numbers;
}

// The same rows, and figures that differ by no more than luck makes them: see LossSimulation.
bool AreAlike(const std::string& printed, const std::string& now) {
  const std::vector<double> expected = NumbersIn(printed);
  const std::vector<double> figures = NumbersIn(now);
  if (expected.size() != figures.size()) return false;
  for (size_t i = 0; i < figures.size(); ++i) {
    const double apart = std::abs(expected[i] - figures[i]);
    if (apart > std::max(2.0, 0.35 * std::max(expected[i], figures[i]))) {
      ADD_FAILURE() << "number " << i << ": " << expected[i] << " is printed, now " << figures[i];
      return false;
    }
  }
  return true;
}

TEST(LossFiguresTest, TheDocsPrintTheTable) {
  ExpectPageShows("docs/consistency.md", "the figures of losses", "LossTableMarkdown",
                  LossTableMarkdown(), AreAlike);
}

}  // namespace
}  // namespace kvroute
