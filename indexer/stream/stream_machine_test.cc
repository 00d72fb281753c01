// Connections, replays and restarts of a stream, each situation brought about batch by batch.
#include <gtest/gtest.h>

#include "test/support/stream_machine_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using StreamMachineTest = StreamMachineFixture;

TEST_F(StreamMachineTest, BatchesHeldOfAnEngineThatRestartedBeforeTheFirstReplayAreForgotten) {
  Machine().OnConnected();
  Live(50);
  EXPECT_EQ(status_.held_batches.load(), 1u);
  Reconnect();
  EXPECT_EQ(status_.held_batches.load(), 0u);
  Reply(10, /*life=*/1);
  EXPECT_EQ(status_.trust.load(), Trust::kExact) << TrustReasonName(status_.reason.load());
  EXPECT_EQ(status_.next_seq.load(), 10u);
}

TEST_F(StreamMachineTest, AReplayThatConfirmsTheLastBatchAndBreaksOffIsNotTakenForComplete) {
  StartInSync(5);
  Reconnect();
  for (int i = 0; i < options_.replay_attempts; ++i) {
    Reply(5, 0, /*says_end=*/false);  // 5 to 9 and the end are lost in the engine's full pipe
    Wait(options_.replay_timeout);
  }
  EXPECT_EQ(status_.trust.load(), Trust::kStale);
  EXPECT_EQ(status_.next_seq.load(), 5u);
  Wait(options_.probe_after_idle);
  Reply(10);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.next_seq.load(), 10u);
}

TEST_F(StreamMachineTest, ABatchWhoseNumberGoesOnEndsThatDoubtToo) {
  StartInSync(5);
  Reconnect();
  for (int i = 0; i < options_.replay_attempts; ++i) {
    Reply(5, 0, /*says_end=*/false);
    Wait(options_.replay_timeout);
  }
  ASSERT_EQ(status_.trust.load(), Trust::kStale);
  Live(5);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

// A lane hands over many live batches before it drains what is held.
TEST_F(StreamMachineTest, WithoutReplayABurstBehindALossLosesNothingMore) {
  status_.config.replay_endpoint.clear();
  Machine().OnConnected();
  Live(7);
  const std::string clear = ModelEngine(1).Clear();
  Machine().OnLiveBatch(8, clear);
  Live(9);
  Live(12);
  Live(13);
  while (Machine().Drain(100)) {
  }
  EXPECT_EQ(status_.batches.load(), 5u);
  EXPECT_EQ(status_.next_seq.load(), 14u);
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);  // 10 and 11 came after the clear
  Machine().OnLiveBatch(17, Batch(17));
  Machine().OnLiveBatch(18, clear);
  Live(19);
  while (Machine().Drain(100)) {
  }
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.reason.load(), TrustReason::kClearedByEngine);
  EXPECT_EQ(status_.next_seq.load(), 20u);
  EXPECT_EQ(status_.gaps.load(), 3u);
  EXPECT_EQ(status_.missing_batches.load(), 7u + 2 + 3);
}

TEST_F(StreamMachineTest, WithoutReplayWhatANewLifeLostIsCounted) {
  status_.config.replay_endpoint.clear();
  Machine().OnConnected();
  for (uint64_t seq = 0; seq < 5; ++seq) Live(seq);
  Reconnect();
  Live(2, /*life=*/1);
  EXPECT_EQ(status_.restarts.load(), 1u);
  EXPECT_EQ(status_.missing_batches.load(), 2u);
  EXPECT_EQ(status_.reason.load(), TrustReason::kNoReplay);
}

TEST_F(StreamMachineTest, OneLostReplyDoesNotEndTheSearchForLostLastBatches) {
  StartInSync(5);
  Wait(options_.probe_after_idle);
  Reply(0);  // batch 4 was lost in the engine's pipe
  Reply(5);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  Live(5);
  Wait(options_.probe_after_idle);
  Reply(8);
  EXPECT_EQ(status_.next_seq.load(), 8u);
}

TEST_F(StreamMachineTest, AClearIsAKnownPointThoughTheFirstReplayBreaksOff) {
  Machine().OnConnected();
  ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
  Machine().OnReplayedBatch(0, Batch(0));
  Machine().OnReplayedBatch(1, ModelEngine(1).Clear());
  Machine().OnReplayedBatch(2, Batch(2));
  for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
  EXPECT_EQ(status_.next_seq.load(), 3u);
  EXPECT_GT(index_.Stats().holdings, 0u);
  Live(3);
  EXPECT_EQ(status_.trust.load(), Trust::kExact) << TrustReasonName(status_.reason.load());
}

TEST_F(StreamMachineTest, ARequestThatWaitsForItsTurnDoesNotTimeOutAndSaysSo) {
  Machine().OnConnected();
  Machine().OnReplayQueued();
  Wait(options_.replay_limit * 10);
  EXPECT_EQ(status_.trust.load(), Trust::kSyncing);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayQueued);
  ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplaying);
  Wait(options_.replay_timeout - milliseconds(1));
  EXPECT_EQ(status_.replays.load(), 1u);
  Wait(milliseconds(1));
  EXPECT_EQ(status_.replays.load(), 2u);
}

TEST_F(StreamMachineTest, WhatEndsWhileItWaitsIsNotQueuedAnyMore) {
  Machine().OnConnected();
  Machine().OnReplayQueued();
  Machine().OnDisconnected();
  Machine().OnConnected();
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplaying);
}

// An engine restarts while it is asked for its past: that heals, and is no failed replay.
TEST_F(StreamMachineTest, AReplayThatALostConnectionEndsIsInterruptedAndHasNotFailed) {
  Machine().OnConnected();
  ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
  Machine().OnDisconnected();
  for (size_t i = 0; i < kReplayResultCount; ++i) {
    const bool interrupted = static_cast<ReplayResult>(i) == ReplayResult::kInterrupted;
    EXPECT_EQ(counters_.replays[i].load(), interrupted ? 1u : 0u) << kReplayResultNames.begin()[i];
  }
}

TEST_F(StreamMachineTest, RepliesThatLieUnreadAreNoSilence) {
  Machine().OnConnected();
  ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
  clock_.Advance(options_.replay_timeout);
  ASSERT_TRUE(Machine().ReplyIsDue());
  Machine().OnReplyUnread();
  Wait(milliseconds(1));
  EXPECT_EQ(status_.replays.load(), 1u);
  Wait(options_.replay_timeout);
  EXPECT_EQ(status_.replays.load(), 2u);
}

// A long buffer on a slow machine: as long as it brings something new, nobody gives up.
TEST_F(StreamMachineTest, AReplayMayTakeAsLongAsItGoesOn) {
  options_.replay_limit = seconds(10);
  Machine().OnConnected();
  ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
  for (uint64_t seq = 0; seq < 100; ++seq) {
    Machine().OnReplayedBatch(seq, Batch(seq));
    Wait(seconds(4));
    ASSERT_EQ(status_.trust.load(), Trust::kSyncing) << seq;
  }
  Machine().OnReplayEnd();
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineTest, AReplayThatOnlyRepeatsItselfIsGivenUp) {
  options_.replay_limit = seconds(10);
  Machine().OnConnected();
  ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
  Machine().OnReplayedBatch(0, Batch(0));
  Machine().OnReplayedBatch(1, Batch(1));
  for (int i = 0; i < 6; ++i) {
    Wait(seconds(2));
    Machine().OnReplayedBatch(1, Batch(1));
  }
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayTimeout);
}

TEST_F(StreamMachineTest, AFirstReplayWhoseFirstRepliesWereLostIsAskedForAgain) {
  Machine().OnConnected();
  ReplyFrom(3, 10);
  EXPECT_EQ(status_.trust.load(), Trust::kSyncing);
  Reply(10);
  EXPECT_EQ(status_.trust.load(), Trust::kExact) << TrustReasonName(status_.reason.load());
  EXPECT_EQ(status_.next_seq.load(), 10u);
  EXPECT_EQ(status_.replays.load(), 2u);
}

TEST_F(StreamMachineTest, AnEngineThatNoLongerHasItsStartIsAskedTwiceAndNoMore) {
  Machine().OnConnected();
  ReplyFrom(3, 10);
  ReplyFrom(4, 12);  // its buffer has moved on meanwhile
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayTrimmed);
  EXPECT_EQ(status_.next_seq.load(), 12u);
  EXPECT_EQ(status_.replays.load(), 2u);
}

TEST_F(StreamMachineTest, RepliesThatBeginEarlierEachTimeAreAskedForAsOftenAsAHole) {
  options_.replay_attempts = 3;
  Machine().OnConnected();
  for (uint64_t first = 9; first > 6; --first) ReplyFrom(first, 10);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayTrimmed);
  EXPECT_EQ(status_.replays.load(), 3u);
}

TEST_F(StreamMachineTest, AFreshStartWhoseFirstRepliesWereLostIsAskedForAgain) {
  Machine().OnConnected();
  for (int i = 0; i < options_.replay_attempts; ++i) {
    ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
    Wait(options_.replay_timeout);  // nothing comes
  }
  ASSERT_EQ(status_.trust.load(), Trust::kDegraded);
  Wait(options_.fresh_start_after);
  ReplyFrom(3, 10);
  Reply(10);
  EXPECT_EQ(status_.trust.load(), Trust::kExact) << TrustReasonName(status_.reason.load());
}

TEST_F(StreamMachineTest, AFreshStartThatSucceededIsTheLast) {
  Machine().OnConnected();
  for (int i = 0; i < options_.replay_attempts; ++i) {
    ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
    Wait(options_.replay_timeout);
  }
  Wait(options_.fresh_start_after);
  Reply(10);
  ASSERT_EQ(status_.trust.load(), Trust::kExact);
  Wait(options_.probe_after_idle);
  EXPECT_EQ(Machine().TakeReplayRequest(), 9u);  // whether the last was lost, not everything again
  Machine().OnReplayedBatch(9, Batch(9));
  Machine().OnReplayEnd();
  for (int i = 0; i < 1000; ++i) {
    Wait(options_.probe_idle_max);
    ASSERT_EQ(Machine().TakeReplayRequest(), 9u);
    Machine().OnReplayedBatch(9, Batch(9));
    Machine().OnReplayEnd();
  }
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

// After a loss any number would have been the next; the engine has told the next one meanwhile.
TEST_F(StreamMachineTest, ANumberAheadIsALossAgainOnceAReplayHasGoneOn) {
  StartInSync(5);
  Reconnect();
  for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
  ASSERT_EQ(status_.reason.load(), TrustReason::kReplayTimeout);
  Reconnect();
  Machine().OnReplayedBatch(4, Batch(4));
  Machine().OnReplayedBatch(5, ModelEngine(1).Clear());
  Live(9);
  EXPECT_EQ(status_.next_seq.load(), 6u);
  EXPECT_NE(status_.trust.load(), Trust::kExact);
  for (uint64_t seq = 6; seq < 9; ++seq) Machine().OnReplayedBatch(seq, Batch(seq));
  Machine().OnReplayEnd();
  Machine().Drain(100);
  EXPECT_EQ(status_.next_seq.load(), 10u);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineTest, NothingIsAppliedBeforeTheEngineIsKnown) {
  StartInSync(5);
  Reconnect();
  Machine().OnReplayedBatch(3, Batch(3));  // which was not asked for and says nothing; 4 is lost
  Machine().OnReplayedBatch(5, Batch(5, /*life=*/1));
  EXPECT_EQ(status_.next_seq.load(), 5u);
  Machine().OnReplayEnd();
  EXPECT_EQ(status_.trust.load(), Trust::kSyncing);
  EXPECT_EQ(Machine().TakeReplayRequest(), 4u);
}

TEST_F(StreamMachineTest, AFreshStartThatGetsOnIsNotGivenUp) {
  options_.replay_attempts = 1;
  StartInSync(10);
  Live(12);
  Wait(options_.replay_timeout);
  Machine().Drain(100);
  ASSERT_EQ(status_.reason.load(), TrustReason::kReplayTimeout);
  Wait(options_.fresh_start_after);
  Reply(5);  // 5 to 12 are lost in the engine's full pipe
  Reply(13);
  EXPECT_EQ(status_.trust.load(), Trust::kExact) << TrustReasonName(status_.reason.load());
  EXPECT_EQ(status_.next_seq.load(), 13u);
}

TEST_F(StreamMachineTest, AStreamSeenFromItsFirstBatchNeedsNoFreshStart) {
  Machine().OnConnected();
  for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
  ASSERT_EQ(status_.trust.load(), Trust::kDegraded);
  Live(0);
  Live(1);
  ASSERT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_FALSE(Machine().HasReplayRequest());
  Wait(options_.fresh_start_after);
  EXPECT_EQ(Machine().TakeReplayRequest(), 1u);  // whether the last was lost, not everything again
}

TEST_F(StreamMachineTest, ARestartedEngineMayHaveAnotherBlockSize) {
  StartInSync(5);
  EXPECT_EQ(status_.block_size_tokens.load(), ModelEngine::kBlockTokens);
  Reconnect();
  Machine().OnReplayEnd();  // it does not know the last batch
  EXPECT_EQ(status_.restarts.load(), 1u);
  EXPECT_EQ(status_.block_size_tokens.load(), 0u);
}

}  // namespace
}  // namespace kvroute
