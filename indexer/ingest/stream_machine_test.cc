// Single situations of a stream, each brought about batch by batch. What holds whatever happens is
// the model test's.
#include "indexer/ingest/stream_machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "test/support/fake_clock.h"
#include "test/support/model_engine.h"

namespace kvroute {
namespace {

class StreamMachineTest : public testing::Test {
 protected:
  StreamMachineTest() {
    status_.config.worker_id = "worker";
    status_.config.replay_endpoint = "tcp://engine:1";
    status_.id = *index_.Open(CopyMode::kCounted);
  }

  StreamMachine& Machine() {
    if (!machine_) {
      machine_.emplace(&status_, options_, &decoder_, &index_, &counters_, &clock_);
    }
    return *machine_;
  }
  // Batch `number` of one life of an engine; lives differ in what they publish.
  const std::string& Batch(size_t number, size_t life = 0) {
    while (lives_.size() <= life) {
      lives_.emplace_back();
      engines_.emplace_back(lives_.size());
    }
    while (lives_[life].size() <= number) lives_[life].push_back(engines_[life].Step());
    return lives_[life][number];
  }
  void Live(uint64_t seq, size_t life = 0) { Machine().OnLiveBatch(seq, Batch(seq, life)); }
  // The engine answers the replay that was asked for with the batches up to `end`.
  void Reply(uint64_t end, size_t life = 0, bool says_end = true) {
    ReplyFrom(0, end, life, says_end);
  }
  // The same, of what is left of those before `first`: nothing.
  void ReplyFrom(uint64_t first, uint64_t end, size_t life = 0, bool says_end = true) {
    const auto from = Machine().TakeReplayRequest();
    ASSERT_TRUE(from.has_value());
    for (uint64_t seq = std::max(first, *from); seq < end; ++seq) {
      Machine().OnReplayedBatch(seq, Batch(seq, life));
      if (Machine().HasReplayRequest()) return;  // what is still to come of this one is dropped
    }
    if (says_end) Machine().OnReplayEnd();
    while (Machine().Drain(100)) {
    }
  }
  void StartInSync(uint64_t batches) {
    Machine().OnConnected();
    Reply(batches);
    ASSERT_EQ(status_.trust.load(), Trust::kExact);
  }
  void Reconnect() {
    Machine().OnDisconnected();
    Machine().OnConnected();
  }
  void Wait(Nanos time) {
    clock_.Advance(time);
    Machine().OnTick();
  }

  FakeClock clock_;
  PrefixIndex index_;
  IngestCounters counters_;
  Decoder decoder_;
  StreamStatus status_;
  IngestOptions options_;
  std::deque<ModelEngine> engines_;  // which do not move
  std::vector<std::vector<std::string>> lives_;
  std::optional<StreamMachine> machine_;
};

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

TEST_F(StreamMachineTest, ABatchThatIsHeldAlreadyIsADuplicate) {
  StartInSync(5);
  Live(7);
  Live(7);
  EXPECT_EQ(status_.duplicates.load(), 1u);
  EXPECT_EQ(status_.restarts.load(), 0u);
  Reply(7);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.next_seq.load(), 8u);
}

TEST_F(StreamMachineTest, ABatchThatCameTwiceAndMayNotBeHeldIsADuplicateToo) {
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
TEST_F(StreamMachineTest, ABatchBetweenTwoConnectionsWaitsUntilItsPublisherIsKnown) {
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
TEST_F(StreamMachineTest, WhatIsHeldOfAnotherConnectionIsNotMixedWithThatOfAPublisherUnknown) {
  options_.replay_attempts = 1;
  StartInSync(5);
  for (uint64_t seq = 7; seq < 10; ++seq) Live(seq);
  Reconnect();
  ReplyFrom(20, 25, /*life=*/1);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayTrimmed);
  EXPECT_EQ(status_.next_seq.load(), 25u);
  EXPECT_EQ(status_.batches.load(), 5u + 5);
}

TEST_F(StreamMachineTest, NorWhenThatPublisherDoesNotAnswer) {
  StartInSync(5);
  for (uint64_t seq = 7; seq < 10; ++seq) Live(seq);
  Reconnect();
  for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayTimeout);
  EXPECT_EQ(status_.held_batches.load(), 0u);
  EXPECT_EQ(index_.Stats().holdings, 0u);
  Live(30, /*life=*/1);
  EXPECT_EQ(status_.next_seq.load(), 31u);
}

TEST_F(StreamMachineTest, AReplayThatBeginsBehindWhatIsHeldLosesNothing) {
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
  for (int i = 0; i < 1000; ++i) Wait(options_.replay_timeout);
  EXPECT_FALSE(Machine().HasReplayRequest());
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineTest, WhatMayNotBeHeldIsAskedForAgain) {
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

TEST_F(StreamMachineTest, WhatMayNotBeHeldAndDoesNotComeAgainIsALoss) {
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
  EXPECT_EQ(index_.Stats().holdings, 0u);
  Live(20);  // goes on from whichever number comes next
  EXPECT_EQ(status_.next_seq.load(), 21u);
}

TEST_F(StreamMachineTest, HeldBytesAreBoundedToo) {
  options_.max_held_bytes = Batch(10).size() + Batch(11).size();
  Machine().OnConnected();
  for (uint64_t seq = 10; seq < 20; ++seq) Live(seq);
  EXPECT_LE(status_.held_batches.load(), 3u);
  EXPECT_GE(status_.held_batches.load(), 1u);
  Reply(10);
  Reply(20);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.next_seq.load(), 20u);
}

// [0, [["AllBlocksCleared"]], rank]
std::string ClearOfRank(char rank) {
  return std::string("\x93\x00\x91\x91\xb0", 5) + "AllBlocksCleared" + rank;
}

TEST_F(StreamMachineTest, ABatchThatNamesAnotherRankIsLeftOutAndSaid) {
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

TEST_F(StreamMachineTest, AStreamNeverTakesAnotherRanksPast) {
  status_.config.published_rank = 1;
  Machine().OnConnected();
  Reply(5);
  EXPECT_EQ(index_.Stats().holdings, 0u);
  EXPECT_EQ(status_.reason.load(), TrustReason::kRankMismatch);
}

TEST_F(StreamMachineTest, AWorkerOfOneRankMayBeAnyRankButOnlyOne) {
  StartInSync(5);
  Machine().OnLiveBatch(5, ClearOfRank(3));
  EXPECT_EQ(status_.reason.load(), TrustReason::kRankMismatch);
  Reconnect();
  Machine().OnReplayEnd();  // restarted: it may be another rank now
  Reply(0);
  Machine().OnLiveBatch(0, ClearOfRank(3));
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineTest, MooncakeStoreHasNoRanks) {
  status_.config.engine = EngineKind::kMooncake;
  status_.config.published_rank = 1;
  StartInSync(5);
  EXPECT_GT(index_.Stats().holdings, 0u);
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
