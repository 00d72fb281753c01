// Batches that name another data-parallel rank than the stream's.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "test/support/stream_machine_fixture.h"

namespace kvroute {
namespace {

using StreamRankTest = StreamMachineFixture;

// [0, [["AllBlocksCleared"]], rank]
std::string ClearOfRank(char rank) {
  return std::string("\x93\x00\x91\x91\xb0", 5) + "AllBlocksCleared" + rank;
}

TEST_F(StreamRankTest, ABatchThatNamesAnotherRankIsLeftOutAndSaid) {
  status_.config.published_rank = 0;  // which the model engine names
  StartInSync(5);
  const uint64_t holdings = index_.Stats().holdings;
  ASSERT_GT(holdings, 0u);
  Machine().OnLiveBatch(5, ClearOfRank(1));
  EXPECT_EQ(index_.Stats().holdings, holdings);
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kRankMismatch);
  EXPECT_EQ(status_.next_seq.load(), 6u);
  const auto reason = static_cast<size_t>(DecodeReason::kOtherRank);
  EXPECT_EQ(status_.rejected_batches[reason].load(), 1u);
  EXPECT_EQ(counters_.rejected_batches[reason].load(), 1u);
  Machine().OnLiveBatch(6, ClearOfRank(0));
  EXPECT_EQ(index_.Stats().holdings, 0u);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamRankTest, AStreamNeverTakesAnotherRanksPast) {
  status_.config.published_rank = 1;
  Machine().OnConnected();
  Reply(5);
  EXPECT_EQ(index_.Stats().holdings, 0u);
  EXPECT_EQ(status_.reason.load(), TrustReason::kRankMismatch);
}

TEST_F(StreamRankTest, AWorkerOfOneRankMayBeAnyRankButOnlyOne) {
  StartInSync(5);
  Machine().OnLiveBatch(5, ClearOfRank(3));
  EXPECT_EQ(status_.reason.load(), TrustReason::kRankMismatch);
  Reconnect();
  Machine().OnReplayEnd();  // restarted: it may be another rank now
  Reply(0);
  Machine().OnLiveBatch(0, ClearOfRank(3));
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

// The model engine names rank 0, others name what they are told.
TEST_F(StreamRankTest, TheStreamsOfAWorkerAgreeOnItsFirstRank) {
  const auto worker = std::make_shared<FirstRank>();
  status_.config.first_rank.of_worker = worker;
  ASSERT_TRUE(worker->Learn(1, 9));  // its rank 1 is global rank 9
  StartInSync(0);
  Machine().OnLiveBatch(0, ClearOfRank(8));
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  Machine().OnLiveBatch(1, ClearOfRank(9));  // its neighbour's
  EXPECT_EQ(status_.reason.load(), TrustReason::kRankMismatch);
}

TEST_F(StreamRankTest, AStreamThatHearsItsNeighboursRankLeavesItOut) {
  const auto worker = std::make_shared<FirstRank>();
  status_.config.first_rank.of_worker = worker;
  ASSERT_TRUE(worker->Learn(1, 9));
  StartInSync(0);
  Machine().OnLiveBatch(0, ClearOfRank(9));
  EXPECT_EQ(status_.reason.load(), TrustReason::kRankMismatch);
}

TEST_F(StreamRankTest, ARankBelowTheStreamsOwnIsNotIts) {
  status_.config.rank = 1;
  StartInSync(0);
  Machine().OnLiveBatch(0, ClearOfRank(0));
  EXPECT_EQ(status_.reason.load(), TrustReason::kRankMismatch);
}

TEST_F(StreamRankTest, AWorkerWhoseStreamsAreAllGoneMayBecomeOtherRanks) {
  FirstRank worker;
  ASSERT_TRUE(worker.Learn(0, 8));
  ASSERT_TRUE(worker.Learn(1, 9));
  EXPECT_FALSE(worker.Learn(0, 4));
  EXPECT_EQ(worker.known(), 8u);
  worker.Forget();
  EXPECT_FALSE(worker.Learn(0, 4));
  worker.Forget();
  EXPECT_EQ(worker.known(), std::nullopt);
  EXPECT_TRUE(worker.Learn(0, 4));
}

TEST_F(StreamRankTest, MooncakeStoreHasNoRanks) {
  status_.config.engine = EngineKind::kMooncake;
  status_.config.published_rank = 1;
  StartInSync(5);
  EXPECT_GT(index_.Stats().holdings, 0u);
}

}  // namespace
}  // namespace kvroute
