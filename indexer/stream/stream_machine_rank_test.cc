// Batches that name another data-parallel rank than the stream's.
#include <gtest/gtest.h>

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

TEST_F(StreamRankTest, MooncakeStoreHasNoRanks) {
  status_.config.engine = EngineKind::kMooncake;
  status_.config.published_rank = 1;
  StartInSync(5);
  EXPECT_GT(index_.Stats().holdings, 0u);
}

}  // namespace
}  // namespace kvroute
