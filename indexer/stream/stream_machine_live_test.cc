// What a stream hears of its engine live, what it finds by asking, and numbers and times that
// cannot be.
#include <gtest/gtest.h>

#include "test/support/scripted_batch.h"
#include "test/support/stream_machine_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class StreamMachineLiveTest : public StreamMachineFixture {
 protected:
  // Until the engine is asked, or not within `limit`.
  std::optional<Nanos> WaitForRequest(Nanos limit) {
    for (Nanos waited{0}; waited <= limit; waited += milliseconds(100)) {
      if (Machine().HasReplayRequest()) return waited;
      Wait(milliseconds(100));
    }
    return std::nullopt;
  }
  // The engine has batches up to `end`, and no more.
  void Answer(uint64_t end) { Reply(end); }
};

TEST_F(StreamMachineLiveTest, AnIdleEngineIsAskedLessAndLessOften) {
  StartInSync(5);
  Nanos expected = options_.probe_after_idle;
  for (int i = 0; i < 10; ++i) {
    const auto waited = WaitForRequest(seconds(60));
    ASSERT_TRUE(waited.has_value());
    EXPECT_EQ(*waited, expected);
    Answer(5);
    expected = std::min<Nanos>(expected * 2, options_.probe_idle_max);
  }
  EXPECT_EQ(expected, Nanos(options_.probe_idle_max));
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineLiveTest, ALostBatchIsFoundHoweverLongTheSilenceBeforeIt) {
  StartInSync(5);
  for (Nanos silent{0}; silent < std::chrono::hours(1);) {
    const auto waited = WaitForRequest(seconds(60));
    ASSERT_TRUE(waited.has_value());
    silent += *waited;
    Answer(5);
  }
  // batch 5 is published and lost, and nothing follows
  ASSERT_TRUE(WaitForRequest(options_.probe_idle_max).has_value());
  Answer(6);
  EXPECT_EQ(status_.next_seq.load(), 6u);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(WaitForRequest(seconds(60)), Nanos(options_.probe_after_idle));  // news: soon again
}

TEST_F(StreamMachineLiveTest, AnEngineHeardOfButNeverLiveIsAskedToo) {
  Machine().OnConnected();
  Reply(0);  // it has published nothing
  ASSERT_TRUE(WaitForRequest(seconds(60)).has_value());
  Reply(1);  // the first was lost
  EXPECT_EQ(status_.next_seq.load(), 1u);
}

TEST_F(StreamMachineLiveTest, WithoutReplayNobodyIsAsked) {
  status_.config.replay_endpoint.clear();
  Machine().OnConnected();
  Live(0);
  EXPECT_FALSE(WaitForRequest(seconds(60)).has_value());
}

TEST_F(StreamMachineLiveTest, LiveMessagesThatAreNoneTakeTrust) {
  StartInSync(5);
  Machine().OnMalformedLive("4 frames");
  EXPECT_EQ(status_.malformed_messages.load(), 1u);
  EXPECT_EQ(counters_.malformed_messages.load(), 1u);
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kMalformedMessages);
  Live(5);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineLiveTest, AmongOthersTheyAreCounted) {
  StartInSync(5);
  Live(5);
  Machine().OnMalformedLive("2 frames");
  EXPECT_EQ(status_.malformed_messages.load(), 1u);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineLiveTest, ATopicThatIsNotSubscribedToTakesTrust) {
  status_.config.topic = "kv-events";
  Machine().OnConnected();
  Machine().OnReplyTopic("kv_events");
  Reply(5);
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kTopicMismatch);
  Live(5);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineLiveTest, ATopicThatTheSubscriptionBeginsMatches) {
  status_.config.topic = "kv";
  Machine().OnConnected();
  Machine().OnReplyTopic("kv-events");
  Reply(5);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineLiveTest, ReplaysThatGrowWhileNothingComesLiveTakeTrust) {
  StartInSync(5);
  uint64_t batches = 5;
  for (int i = 0; i < LiveWatch::kReplaysWithoutLive; ++i) {
    EXPECT_EQ(status_.trust.load(), Trust::kExact);
    ASSERT_TRUE(WaitForRequest(seconds(60)).has_value());
    Answer(++batches);
  }
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kLiveSilent);
  EXPECT_EQ(status_.next_seq.load(), batches);  // it is kept up to date by asking
  Live(batches);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineLiveTest, ANumberThatCannotBeTheNextSpoilsNothing) {
  StartInSync(5);
  Machine().OnLiveBatch(kReservedSequence - 1, Batch(5));
  EXPECT_EQ(status_.next_seq.load(), 5u);
  EXPECT_EQ(status_.missing_batches.load(), 0u);
  EXPECT_EQ(status_.malformed_messages.load(), 1u);
  Live(5);
  EXPECT_EQ(status_.next_seq.load(), 6u);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineLiveTest, ARepliedNumberThatCannotBeTheNextSpoilsNothing) {
  Machine().OnConnected();
  Machine().OnReplayedBatch(0, Batch(0));
  Machine().OnReplayedBatch(kReservedSequence - 1, Batch(1));
  Machine().OnReplayedBatch(1, Batch(1));
  Machine().OnReplayEnd();
  EXPECT_EQ(status_.next_seq.load(), 2u);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineLiveTest, APublisherWhoseNumbersBeginFarAwayIsFollowed) {
  status_.config.replay_endpoint.clear();
  Machine().OnConnected();
  constexpr uint64_t kFirst = 1'700'000'000'000'000'000;
  for (uint64_t i = 0; i < 3; ++i) Machine().OnLiveBatch(kFirst + i, Batch(i));
  EXPECT_EQ(status_.next_seq.load(), kFirst + 3);
  EXPECT_EQ(status_.batches.load(), 2u);
  EXPECT_EQ(status_.missing_batches.load(), 0u);  // nobody knows how many
}

TEST_F(StreamMachineLiveTest, ATimeThatCannotBeIsLeftOutOfTheLag) {
  clock_.Advance(std::chrono::hours(24) * 365 * 56);
  Machine().OnConnected();
  Reply(0);
  const auto now = static_cast<double>(clock_.Wall().count()) / 1e9;
  uint64_t seq = 0;
  for (const double ts : {0.0, -1.0, 1.0, 1e300, now - 3'700}) {
    Machine().OnLiveBatch(seq++, ScriptedBatch().Store(0, {1}).Finish(ts));
  }
  EXPECT_EQ(counters_.implausible_times.load(), 5u);
  EXPECT_EQ(counters_.publish_lag.Read().count, 0u);
  Machine().OnLiveBatch(seq++, ScriptedBatch().Store(0, {1}).Finish(now - 2));
  EXPECT_EQ(counters_.publish_lag.Read().count, 1u);
  EXPECT_NEAR(static_cast<double>(counters_.publish_lag.Read().sum.count()), 2e9, 1e6);
}

}  // namespace
}  // namespace kvroute
