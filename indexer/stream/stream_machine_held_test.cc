// Live batches that may not be applied yet: held, bounded, and told apart by connection.
#include <gtest/gtest.h>

#include "test/support/stream_machine_fixture.h"

namespace kvroute {
namespace {

using HeldBatchesTest = StreamMachineFixture;

TEST_F(HeldBatchesTest, ABatchThatIsHeldAlreadyIsADuplicate) {
  StartInSync(5);
  Live(7);
  Live(7);
  EXPECT_EQ(status_.duplicates.load(), 1u);
  EXPECT_EQ(status_.restarts.load(), 0u);
  Reply(7);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.next_seq.load(), 8u);
}

TEST_F(HeldBatchesTest, ABatchThatCameTwiceAndMayNotBeHeldIsADuplicateToo) {
  options_.max_held_batches = 1;
  StartInSync(5);
  Live(7);
  Live(8);
  Live(8);
  EXPECT_EQ(status_.duplicates.load(), 1u);
  EXPECT_EQ(status_.restarts.load(), 0u);
  Reply(9);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

// The new life has published as much as was applied of the old one, and the news of the connection
// is read after its first batch.
TEST_F(HeldBatchesTest, ABatchBetweenTwoConnectionsWaitsUntilItsPublisherIsKnown) {
  StartInSync(5);
  Machine().OnDisconnected();
  Live(5, /*life=*/1);
  EXPECT_EQ(status_.next_seq.load(), 5u);
  Machine().OnConnected();
  Reply(6, /*life=*/1);
  EXPECT_EQ(status_.restarts.load(), 1u);
  Reply(6, /*life=*/1);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.next_seq.load(), 6u);
}

// Whether an engine that has trimmed the batch it is to be known by is the same nobody can tell.
TEST_F(HeldBatchesTest, WhatIsHeldOfAnotherConnectionIsNotMixedWithThatOfAPublisherUnknown) {
  options_.replay_attempts = 1;
  StartInSync(5);
  for (uint64_t seq = 7; seq < 10; ++seq) Live(seq);
  Reconnect();
  ReplyFrom(20, 25, /*life=*/1);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayTrimmed);
  EXPECT_EQ(status_.next_seq.load(), 25u);
  EXPECT_EQ(status_.batches.load(), 5u + 5);
}

TEST_F(HeldBatchesTest, NorWhenThatPublisherDoesNotAnswer) {
  StartInSync(5);
  for (uint64_t seq = 7; seq < 10; ++seq) Live(seq);
  Reconnect();
  for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayTimeout);
  EXPECT_EQ(status_.held_batches.load(), 0u);
  EXPECT_GT(status_.holdings.load(), 0u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), status_.holdings.load());
  Live(30, /*life=*/1);  // which it may have come to by now
  EXPECT_EQ(status_.next_seq.load(), 31u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 0u);
}

TEST_F(HeldBatchesTest, AReplayThatBeginsBehindWhatIsHeldLosesNothing) {
  StartInSync(5);
  Wait(options_.probe_after_idle);
  for (const uint64_t seq : {4, 6}) Machine().OnReplayedBatch(seq, Batch(seq));
  Machine().OnReplayEnd();  // without 5, which comes in time all the same
  Live(5);
  ReplyFrom(7, 9);
  ReplyFrom(7, 9);  // asked once more for its beginning
  EXPECT_EQ(status_.trust.load(), Trust::kExact) << TrustReasonName(status_.reason.load());
  EXPECT_EQ(status_.next_seq.load(), 9u);
}

TEST_F(HeldBatchesTest, WhatMayNotBeHeldIsAskedForAgain) {
  options_.max_held_batches = 3;
  Machine().OnConnected();
  for (uint64_t seq = 10; seq < 20; ++seq) Live(seq);
  EXPECT_EQ(status_.held_batches.load(), 3u);
  Reply(10);  // as of when it was asked
  Reply(20);  // again, for what was not held
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.next_seq.load(), 20u);
  EXPECT_EQ(status_.held_batches.load(), 0u);
}

TEST_F(HeldBatchesTest, WhatMayNotBeHeldAndDoesNotComeAgainIsALoss) {
  options_.max_held_batches = 3;
  Machine().OnConnected();
  for (uint64_t seq = 10; seq < 20; ++seq) Live(seq);
  for (int i = 0; i < options_.replay_attempts + 1; ++i) {
    if (i == 0) {
      Reply(10);
    } else {
      Reply(13);
    }
  }
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kHoldOverflow);
  EXPECT_GT(status_.holdings.load(), 0u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), status_.holdings.load());
  Live(20);  // goes on from whichever number comes next
  EXPECT_EQ(status_.next_seq.load(), 21u);
}

TEST_F(HeldBatchesTest, HeldBytesAreBoundedToo) {
  options_.max_held_memory_bytes = Batch(10).size() + Batch(11).size();
  Machine().OnConnected();
  for (uint64_t seq = 10; seq < 20; ++seq) Live(seq);
  EXPECT_LE(status_.held_batches.load(), 3u);
  EXPECT_GE(status_.held_batches.load(), 1u);
  Reply(10);
  Reply(20);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.next_seq.load(), 20u);
}

}  // namespace
}  // namespace kvroute
