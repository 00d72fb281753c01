// What becomes of a stream's state when batches are lost for good.
#include <gtest/gtest.h>

#include "test/support/scripted_batch.h"
#include "test/support/stream_machine_fixture.h"

namespace kvroute {
namespace {

using std::chrono::minutes;

class StreamMachineLossTest : public StreamMachineFixture {
 protected:
  void StartLiveOnly() {
    status_.config.replay_endpoint.clear();
    Machine().OnConnected();
  }
  void Say(ScriptedBatch&& batch) { Say(batch); }
  void Say(ScriptedBatch& batch) { Machine().OnLiveBatch(next_++, batch.Finish()); }
  void LoseBatches(uint64_t count) { next_ += count; }
  uint32_t Held(ScriptedBatch::Blocks prompt) const {
    MatchResult result;
    index_.Match(ScriptedBatch::Prompt(prompt), &result);
    return result.matches.empty() ? 0 : result.matches[0].blocks;
  }

  uint64_t next_ = 0;
};

TEST_F(StreamMachineLossTest, WhatWasKnownIsKeptInDoubt) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1, 2, 3}));
  ASSERT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 0u);
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {7}));
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kNoReplay);
  EXPECT_EQ(Held({1, 2, 3}), 3u);
  EXPECT_EQ(status_.holdings.load(), 4u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 3u);  // 7 is certain
  EXPECT_EQ(status_.lost_batches.load(), 1u);
  EXPECT_EQ(counters_.losses[static_cast<size_t>(LossOutcome::kKept)].load(), 1u);
}

TEST_F(StreamMachineLossTest, OrForgottenWhereThatIsConfigured) {
  options_.after_loss = AfterLoss::kForget;
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1, 2, 3}));
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {7}));
  EXPECT_EQ(Held({1, 2, 3}), 0u);
  EXPECT_EQ(Held({7}), 1u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 0u);
  EXPECT_EQ(counters_.losses[static_cast<size_t>(LossOutcome::kForgotten)].load(), 1u);
}

TEST_F(StreamMachineLossTest, ABlockStoredAgainAfterItsRemovalWasLostIsOneCopy) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1, 2}).Store(1, {2}));  // two copies of 2
  LoseBatches(1);                                       // both are removed
  Say(ScriptedBatch().Store(1, {2}));
  EXPECT_EQ(Held({1, 2}), 2u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 1u);
  Say(ScriptedBatch().Remove({2}));
  EXPECT_EQ(Held({1, 2}), 1u);
}

TEST_F(StreamMachineLossTest, WhatIsCertainAgainIsCountedAgain) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}));
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {1}));
  Say(ScriptedBatch().Store(0, {1}));
  Say(ScriptedBatch().Remove({1}));
  EXPECT_EQ(Held({1}), 1u);
  Say(ScriptedBatch().Remove({1}));
  EXPECT_EQ(Held({1}), 0u);
}

TEST_F(StreamMachineLossTest, CopiesWithoutTokensAreCountedAnewToo) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}).Copy(1, "CPU"));
  LoseBatches(1);  // the copy is removed
  Say(ScriptedBatch().Copy(1, "CPU"));
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 1u);  // on the gpu
  Say(ScriptedBatch().Remove({1}, "CPU"));
  Say(ScriptedBatch().Remove({1}));
  EXPECT_EQ(Held({1}), 0u);
}

TEST_F(StreamMachineLossTest, AStreamIsRenewedAsFarAsItIsHeardOf) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1, 2, 3, 4}));
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {1, 2}));
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 2u);
  Say(ScriptedBatch().Remove({4, 3}));
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 0u);
  EXPECT_EQ(status_.holdings.load(), 2u);
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);  // what was stored meanwhile is not known
}

TEST_F(StreamMachineLossTest, AClearEndsAllDoubt) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}));
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {2}).Clear().Store(0, {3}));
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 0u);
  EXPECT_EQ(status_.holdings.load(), 1u);
}

TEST_F(StreamMachineLossTest, WhatTheEngineNoLongerHasIsALossToo) {
  Machine().OnConnected();
  Machine().OnReplayedBatch(0, ScriptedBatch().Store(0, {1, 2}).Finish());
  Machine().OnReplayEnd();
  ASSERT_EQ(status_.trust.load(), Trust::kExact);
  Machine().OnLiveBatch(5, ScriptedBatch().Store(2, {3}).Finish());
  for (int i = 0; i < 2; ++i) Machine().OnReplayedBatch(4, ScriptedBatch().Finish());
  Machine().OnReplayEnd();
  Machine().Drain(10);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayTrimmed);
  EXPECT_EQ(status_.next_seq.load(), 6u);
  EXPECT_EQ(Held({1, 2, 3}), 3u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 2u);
  EXPECT_EQ(status_.lost_batches.load(), 3u);
}

TEST_F(StreamMachineLossTest, AnEngineThatDoesNotAnswerOnANewConnectionMayStillBeTheSame) {
  StartInSync(5);
  const uint64_t holdings = status_.holdings.load();
  Reconnect();
  for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
  ASSERT_EQ(status_.reason.load(), TrustReason::kReplayTimeout);
  EXPECT_EQ(status_.holdings.load(), holdings);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), holdings);
  Live(20'000 + 5);  // no other life could have come so far
  EXPECT_EQ(status_.next_seq.load(), 20'006u);
  EXPECT_EQ(status_.lost_batches.load(), 20'000u);
}

TEST_F(StreamMachineLossTest, ANumberThatAnotherLifeCouldHaveComeToForgets) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}));
  Machine().OnDisconnected();
  clock_.Advance(minutes(1));
  Machine().OnConnected();
  LoseBatches(100);
  Say(ScriptedBatch().Store(0, {2}));
  EXPECT_EQ(Held({1}), 0u);
  EXPECT_EQ(Held({2}), 1u);
}

TEST_F(StreamMachineLossTest, ANumberThatNoOtherLifeCanHaveComeToKeeps) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}));
  Machine().OnDisconnected();
  clock_.Advance(minutes(1));
  Machine().OnConnected();
  LoseBatches(60'001);
  Say(ScriptedBatch().Store(0, {2}));
  EXPECT_EQ(Held({1}), 1u);
}

TEST_F(StreamMachineLossTest, OnOneConnectionItIsAlwaysTheSame) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}));
  clock_.Advance(minutes(1));
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {2}));
  EXPECT_EQ(Held({1}), 1u);
}

TEST_F(StreamMachineLossTest, WhatIsMostlyWrongIsForgotten) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  Say(ScriptedBatch().Remove({10}).Store(9, {10}));  // half a block a batch
  LoseBatches(10);
  Say(ScriptedBatch());
  EXPECT_EQ(status_.doubtful_holdings.load(), 5u);
  EXPECT_EQ(Held({1}), 1u);
  LoseBatches(5);
  Say(ScriptedBatch());
  EXPECT_EQ(Held({1}), 1u);  // 5 + 1.7 of 10
  LoseBatches(10);
  Say(ScriptedBatch());
  EXPECT_EQ(Held({1}), 0u);
  EXPECT_EQ(status_.doubtful_holdings.load(), 0u);
}

TEST_F(StreamMachineLossTest, AStreamJoinedLateHasNothingToDoubt) {
  StartLiveOnly();
  LoseBatches(1'000);
  Say(ScriptedBatch().Store(0, {1}));
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 0u);
  EXPECT_EQ(status_.lost_batches.load(), 0u);
}

TEST_F(StreamMachineLossTest, ABatchThatDoesNotDecodeMayHaveRemovedSomething) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}));
  Machine().OnLiveBatch(next_++, "not msgpack");
  EXPECT_EQ(status_.reason.load(), TrustReason::kDecodeErrors);
  EXPECT_EQ(Held({1}), 1u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 1u);
}

TEST_F(StreamMachineLossTest, ChildrenOfALostBatchArePlacedWhenItComesAgain) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}));
  LoseBatches(1);  // 2 and 3
  Say(ScriptedBatch().Store(3, {4}));
  Say(ScriptedBatch().Store(4, {5}));
  EXPECT_EQ(status_.pending_events.load(), 2u);
  Say(ScriptedBatch().Store(1, {2, 3}));
  EXPECT_EQ(status_.pending_events.load(), 0u);
  EXPECT_EQ(Held({1, 2, 3, 4, 5}), 5u);
}

// Another engine that hashes alike holds what a lost batch stored.
TEST_F(StreamMachineLossTest, ChildrenOfALostBatchArePlacedByWhatAnotherStreamKnows) {
  StreamStatus other_status;
  other_status.id = *index_.Open(CopyMode::kCounted);
  StreamMachine other(&other_status, options_, &decoder_, &index_, &counters_, &clock_);
  other.OnConnected();
  other.OnLiveBatch(0, ScriptedBatch().Store(0, {1, 2}).Store(0, {5, 6, 7}).Finish());
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1, 2}));  // seen to hash alike
  Say(ScriptedBatch().Store(6, {9}));
  EXPECT_EQ(status_.pending_events.load(), 1u);  // nothing is missing: it may still come
  LoseBatches(1);                                // 5 and 6
  Say(ScriptedBatch().Store(6, {8}));
  EXPECT_EQ(status_.pending_events.load(), 0u);
  MatchResult result;
  index_.Match(ScriptedBatch::Prompt({5, 6, 8}), &result);
  ASSERT_EQ(result.matches.size(), 2u);
  const auto& own = result.matches[result.matches[0].stream == status_.id ? 0 : 1];
  EXPECT_EQ(own.blocks, 3u);
  // All but 8: what was held before, what was supposed, and what had waited.
  EXPECT_EQ(status_.holdings.load(), 6u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 5u);
}

TEST_F(StreamMachineLossTest, ARestartForgetsAll) {
  StartLiveOnly();
  Say(ScriptedBatch().Store(0, {1}));
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {2}));
  next_ = 0;
  Say(ScriptedBatch().Store(0, {3}));
  EXPECT_EQ(status_.restarts.load(), 1u);
  EXPECT_EQ(status_.holdings.load(), 1u);
  EXPECT_EQ(status_.unconfirmed_holdings.load(), 0u);
}

class SglangStartTest : public StreamMachineLossTest {
 protected:
  SglangStartTest() { status_.config.engine = EngineKind::kSglang; }
};

TEST_F(SglangStartTest, OnlyTheStartUpClearIsMissing) {
  StartLiveOnly();
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {1}));
  EXPECT_EQ(status_.trust.load(), Trust::kExact) << TrustReasonName(status_.reason.load());
  EXPECT_EQ(Held({1}), 1u);
}

TEST_F(SglangStartTest, OrMore) {
  StartLiveOnly();
  LoseBatches(2);
  Say(ScriptedBatch().Store(0, {1}));
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
}

TEST_F(SglangStartTest, WhereItsReplayNoLongerHasIt) {
  Machine().OnConnected();
  for (int i = 0; i < 2; ++i) {
    Machine().OnReplayedBatch(1, ScriptedBatch().Store(0, {1}).Finish());
  }
  Machine().OnReplayEnd();
  Machine().Drain(10);
  EXPECT_EQ(status_.trust.load(), Trust::kExact) << TrustReasonName(status_.reason.load());
  EXPECT_EQ(Held({1}), 1u);
}

TEST_F(StreamMachineLossTest, OfAnotherEngineTheFirstBatchMayHaveStoredSomething) {
  StartLiveOnly();
  LoseBatches(1);
  Say(ScriptedBatch().Store(0, {1}));
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
}

}  // namespace
}  // namespace kvroute
