#include "indexer/stream/loss_ledger.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

constexpr EngineHash kOne{1};
constexpr EngineHash kTwo{2};

TEST(LossLedgerTest, NothingIsInDoubtBeforeALoss) {
  LossLedger ledger;
  ledger.Confirm(kOne, Tier::kGpu);
  EXPECT_FALSE(ledger.active());
  EXPECT_EQ(ledger.Unconfirmed(10), 0u);
  EXPECT_EQ(ledger.Doubtful(10), 0u);
}

TEST(LossLedgerTest, NothingHeldNothingToDoubt) {
  LossLedger ledger;
  ledger.Lose(5, 0);
  EXPECT_FALSE(ledger.active());
}

TEST(LossLedgerTest, WhatIsStoredAfterALossIsCertainUntilItIsRemovedOrMoreIsLost) {
  LossLedger ledger;
  ledger.Lose(1, 10);
  EXPECT_EQ(ledger.Unconfirmed(10), 10u);
  ledger.Confirm(kOne, Tier::kGpu);
  ledger.Confirm(kOne, Tier::kCpu);
  ledger.Confirm(kTwo, Tier::kGpu);
  EXPECT_EQ(ledger.Unconfirmed(12), 9u);
  EXPECT_TRUE(ledger.IsConfirmed(kOne, Tier::kCpu));
  EXPECT_FALSE(ledger.IsConfirmed(kTwo, Tier::kCpu));
  ledger.Removed(kOne, Tier::kGpu);
  EXPECT_EQ(ledger.Unconfirmed(11), 9u);
  ledger.Clear(Tier::kGpu);
  EXPECT_EQ(ledger.Unconfirmed(11), 10u);
  ledger.Lose(1, 11);
  EXPECT_EQ(ledger.Unconfirmed(11), 11u);
  ledger.Clear();
  EXPECT_EQ(ledger.Unconfirmed(11), 0u);
}

TEST(LossLedgerTest, HowMuchIsProbablyWrongFollowsFromWhatABatchRemoves) {
  LossLedger ledger;
  for (int i = 0; i < 4; ++i) ledger.CountBatch(i % 2 == 0 ? 6 : 0);
  ledger.Lose(2, 100);
  EXPECT_EQ(ledger.Doubtful(100), 6u);
  ledger.Renewed();
  EXPECT_EQ(ledger.Doubtful(100), 5u);
  EXPECT_FALSE(ledger.MostlyWrong(100));
  ledger.Lose(10, 40);
  EXPECT_EQ(ledger.Doubtful(40), 35u);
  EXPECT_TRUE(ledger.MostlyWrong(40));
  ledger.Lose(1000, 40);
  EXPECT_EQ(ledger.Doubtful(40), 40u);  // no more than there are
  ledger.StartOver();
  ledger.Lose(10, 40);
  EXPECT_EQ(ledger.Doubtful(40), 0u);
}

TEST(LossLedgerTest, WhatWasGivenUpVouchesForNothing) {
  LossLedger ledger;
  ledger.Lose(1, 10);
  ledger.Confirm(kOne, Tier::kGpu);
  ledger.Confirm(kTwo, Tier::kGpu);
  ledger.GivenUp(1);
  EXPECT_EQ(ledger.Unconfirmed(11), 10u);
  ledger.GivenUp(5);
  EXPECT_EQ(ledger.Unconfirmed(6), 6u);
  ledger.KeepOnly([](EngineHash hash) { return hash == kTwo; });
  EXPECT_EQ(ledger.entries(), 1u);
  EXPECT_EQ(ledger.Unconfirmed(6), 5u);
  EXPECT_GT(ledger.HeapBytes(), sizeof(EngineHash));
}

TEST(LossLedgerTest, BeyondItsBoundHoldingsStayInDoubt) {
  LossLedger ledger(/*max_confirmed=*/1);
  ledger.Lose(1, 10);
  ledger.Confirm(kOne, Tier::kGpu);
  ledger.Confirm(kTwo, Tier::kCpu);
  EXPECT_FALSE(ledger.IsConfirmed(kTwo, Tier::kCpu));
  EXPECT_EQ(ledger.Unconfirmed(10), 9u);
}

}  // namespace
}  // namespace kvroute
