// What a stream's status says while the machine is in the middle of something: a query may read it
// at any moment.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "indexer/stream/stream_machine.h"
#include "test/support/model_engine.h"

namespace kvroute {
namespace {

// Asked for the time of each change of trust, it notes what the change was to.
class NotingClock final : public Clock {
 public:
  explicit NotingClock(const StreamStatus* status) : status_(status) {}
  Nanos Monotonic() const override { return std::chrono::hours(1); }
  Nanos Wall() const override {
    said_.push_back(status_->trust.load());
    return Nanos(1);
  }
  // Since it was last asked.
  std::vector<Trust> Said() const { return std::exchange(said_, {}); }

 private:
  const StreamStatus* const status_;
  mutable std::vector<Trust> said_;
};

class StreamMachineTrustTest : public testing::Test {
 protected:
  StreamMachineTrustTest() {
    for (int i = 0; i < 10; ++i) batches_.push_back(engine_.StepWithoutClear());
    machine_.OnConnected();
    Reply(5);
    EXPECT_EQ(status_.trust.load(), Trust::kExact);
    clock_.Said();
  }

  StreamStatus* StatusWithReplay() {
    status_.config.replay_endpoint = "tcp://engine:1";
    status_.id = *index_.Open(CopyMode::kCounted);
    return &status_;
  }
  void Reply(uint64_t end) {
    const auto from = machine_.TakeReplayRequest();
    ASSERT_TRUE(from.has_value());
    for (uint64_t seq = *from; seq < end; ++seq) machine_.OnReplayedBatch(seq, batches_[seq]);
    machine_.OnReplayEnd();
  }
  bool SaidExact() const {
    const std::vector<Trust> said = clock_.Said();
    EXPECT_FALSE(said.empty());
    return std::find(said.begin(), said.end(), Trust::kExact) != said.end();
  }

  PrefixIndex index_;
  IngestCounters counters_;
  Decoder decoder_;
  StreamStatus status_;
  StreamOptions options_;
  NotingClock clock_{&status_};
  ModelEngine engine_{3};
  std::vector<std::string> batches_;
  StreamMachine machine_{StatusWithReplay(), options_, &decoder_, &index_, &counters_, &clock_};
};

TEST_F(StreamMachineTrustTest, ANewConnectionIsNotExactBeforeItIsConfirmed) {
  machine_.OnDisconnected();
  machine_.OnConnected();
  EXPECT_FALSE(SaidExact());
  EXPECT_EQ(status_.trust.load(), Trust::kSyncing);
  Reply(5);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamMachineTrustTest, AConnectionLostDuringAReplayIsNeverExact) {
  machine_.OnLiveBatch(7, batches_[7]);
  machine_.OnDisconnected();
  EXPECT_FALSE(SaidExact());
  EXPECT_EQ(status_.trust.load(), Trust::kStale);
}

TEST_F(StreamMachineTrustTest, AReplayThatLeavesAHoleIsNotExactBeforeItIsDegraded) {
  machine_.OnLiveBatch(7, batches_[7]);
  for (int i = 0; i < options_.replay_attempts; ++i) Reply(5);
  EXPECT_FALSE(SaidExact());
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kReplayHole);
}

TEST_F(StreamMachineTrustTest, ARestartFoundByAReplayIsNotExactBeforeItIsReplayed) {
  ModelEngine successor(4);
  machine_.OnDisconnected();
  machine_.OnConnected();
  const auto from = machine_.TakeReplayRequest();
  ASSERT_EQ(from, 4u);
  for (uint64_t seq = 0; seq <= *from; ++seq) batches_[seq] = successor.StepWithoutClear();
  machine_.OnReplayedBatch(*from, batches_[*from]);
  EXPECT_EQ(status_.restarts.load(), 1u);
  EXPECT_FALSE(SaidExact());
  Reply(5);
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

}  // namespace
}  // namespace kvroute
