#include "indexer/base/memory_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

namespace kvroute {
namespace {

TEST(MemoryBudgetTest, GivesUpToItsLimitAndCountsWhatItRefuses) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.TryTake(60));
  EXPECT_FALSE(budget.TryTake(41));
  EXPECT_TRUE(budget.TryTake(40));
  EXPECT_FALSE(budget.TryTake(1));
  EXPECT_FALSE(budget.TryTake(~uint64_t{0}));  // a sum that would wrap
  EXPECT_EQ(budget.used(), 100u);
  EXPECT_EQ(budget.refused(), 3u);
  budget.GiveBack(60);
  EXPECT_TRUE(budget.TryTake(1));
}

TEST(MemoryBudgetTest, WhatIsThereAlreadyIsCountedBeyondTheLimit) {
  MemoryBudget budget(100);
  budget.Charge(150);
  EXPECT_EQ(budget.used(), 150u);
  EXPECT_FALSE(budget.TryTake(1));
  budget.Charge(-100);
  EXPECT_TRUE(budget.TryTake(50));
}

TEST(MemoryBudgetTest, ThreadsTogetherNeverHaveMoreThanTheLimit) {
  MemoryBudget budget(1'000);
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10'000; ++round) {
        if (!budget.TryTake(300)) continue;
        if (budget.used() > 1'000) exceeded = true;
        budget.GiveBack(300);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(budget.used(), 0u);
}

TEST(MemoryShareTest, HasALimitOfItsOwnAndGivesBackWhenItGoes) {
  MemoryBudget budget(100);
  std::optional<MemoryShare> one(std::in_place, &budget, 50);
  MemoryShare other(&budget, 90);
  EXPECT_TRUE(one->TryTake(50));
  EXPECT_FALSE(one->TryTake(1));
  EXPECT_TRUE(other.TryTake(50));
  EXPECT_FALSE(other.TryTake(10));  // within its own limit, not within that of both
  EXPECT_EQ(budget.refused(), 1u);
  one.reset();
  EXPECT_EQ(budget.used(), 50u);
  EXPECT_TRUE(other.TryTake(10));
}

TEST(MemoryShareTest, WithoutABudgetItsOwnLimitCounts) {
  MemoryShare share(nullptr, 10);
  EXPECT_TRUE(share.TryTake(10));
  EXPECT_FALSE(share.TryTake(1));
  share.GiveBackAll();
  EXPECT_EQ(share.bytes(), 0u);
}

TEST(MemoryBudgetsTest, TogetherTheyStayBelowTheLimitAndLeaveSomeForTheProcess) {
  for (const uint64_t limit : {uint64_t{1'000'000}, uint64_t{128} << 20, uint64_t{64} << 30}) {
    const MemoryBudgets budgets(limit);
    uint64_t sum = 0;
    for (size_t i = 0; i < kMemoryPartCount; ++i) {
      sum += budgets.of(static_cast<MemoryPart>(i)).limit();
      EXPECT_GT(budgets.of(static_cast<MemoryPart>(i)).limit(), 0u);
    }
    EXPECT_LE(sum, limit - std::min(kProcessBytes, limit / 8 * 3));
    EXPECT_GE(sum, (limit - std::min(kProcessBytes, limit / 8 * 3)) / 100 * 97);
  }
}

TEST(MemoryBudgetsTest, WhatAPartCannotUseIsTheIndexs) {
  const uint64_t limit = uint64_t{1} << 30;
  MemoryCeilings most = UnlimitedCeilings();
  most[static_cast<size_t>(MemoryPart::kLeases)] = 1'000;
  const MemoryBudgets all(limit), fewer(limit, most);
  EXPECT_EQ(fewer.of(MemoryPart::kLeases).limit(), 1'000u);
  EXPECT_EQ(fewer.of(MemoryPart::kIndex).limit() - all.of(MemoryPart::kIndex).limit(),
            all.of(MemoryPart::kLeases).limit() - 1'000);
  EXPECT_EQ(fewer.of(MemoryPart::kHeld).limit(), all.of(MemoryPart::kHeld).limit());
}

}  // namespace
}  // namespace kvroute
