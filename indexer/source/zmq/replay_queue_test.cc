#include "indexer/source/zmq/replay_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

class Stream final : public Pollable {
 public:
  explicit Stream(ReplayQueue* queue) : place(queue, this) {}
  bool Work(const Turn&) override { return false; }
  void Tick() override {}

  ReplayQueue::Place place;
};

class ReplayQueueTest : public testing::Test {
 protected:
  static constexpr bool kBrief = true;
  static constexpr bool kWhole = false;

  Stream* Enter(bool brief) {
    streams_.push_back(std::make_unique<Stream>(&queue_));
    queue_.Enter(&streams_.back()->place, brief);
    return streams_.back().get();
  }
  void Leave(Stream* stream) { queue_.Leave(&stream->place); }
  static bool Runs(const Stream* stream) { return stream->place.may_ask(); }
  uint64_t running() const { return counters_.replays_running.load(); }
  uint64_t waiting() const { return counters_.replays_waiting.load(); }

  FakeClock clock_;
  IngestCounters counters_;
  SocketBudget budget_{{.sockets = 100, .descriptors = 20, .kept_for_others = 4}, &counters_};
  PollSet poll_set_;
  ReplayQueue queue_{2, &budget_, &counters_, &poll_set_, &clock_};
  std::vector<std::unique_ptr<Stream>> streams_;
};

TEST_F(ReplayQueueTest, SoManyGoAtATimeAndTheOthersInTheirOrder) {
  Stream* const a = Enter(kWhole);
  Stream* const b = Enter(kWhole);
  Stream* const c = Enter(kWhole);
  Stream* const d = Enter(kWhole);
  EXPECT_TRUE(Runs(a) && Runs(b));
  EXPECT_TRUE(c->place.waits() && d->place.waits());
  EXPECT_EQ(running(), 2u);
  EXPECT_EQ(waiting(), 2u);
  Leave(b);
  EXPECT_TRUE(Runs(c));
  EXPECT_FALSE(Runs(d));
  Leave(a);
  EXPECT_TRUE(Runs(d));
  EXPECT_EQ(running(), 2u);
  EXPECT_EQ(waiting(), 0u);
}

TEST_F(ReplayQueueTest, WhoMissesLittleGoesBeforeThoseWhoMissAllInTurns) {
  Stream* const first = Enter(kWhole);
  Stream* const second = Enter(kWhole);
  Stream* const whole = Enter(kWhole);
  Stream* const brief = Enter(kBrief);
  Stream* const brief2 = Enter(kBrief);
  Leave(first);
  EXPECT_TRUE(Runs(brief));
  Leave(second);
  EXPECT_TRUE(Runs(whole));
  EXPECT_FALSE(Runs(brief2));
}

TEST_F(ReplayQueueTest, AnEngineThatIsSilentOrSlowHoldsNobodyUp) {
  Stream* const silent = Enter(kWhole);
  Stream* const busy = Enter(kWhole);
  Stream* const next = Enter(kWhole);
  clock_.Advance(ReplayQueue::kPatience);
  queue_.IsBusy(&busy->place);
  queue_.Tick();
  EXPECT_TRUE(Runs(silent));  // it goes on, and does not count
  EXPECT_TRUE(Runs(next));
  Stream* const after = Enter(kWhole);
  EXPECT_FALSE(Runs(after));
  clock_.Advance(ReplayQueue::kPatience);
  queue_.Tick();
  EXPECT_TRUE(Runs(after));
}

TEST_F(ReplayQueueTest, ReplaysWaitForADescriptor) {
  auto taken = budget_.TakeForReplay({.sockets = 0, .descriptors = 14});
  ASSERT_TRUE(taken.ok());
  Stream* const a = Enter(kBrief);
  Stream* const b = Enter(kBrief);
  EXPECT_TRUE(Runs(a));
  EXPECT_FALSE(Runs(b));
  queue_.Tick();
  EXPECT_FALSE(Runs(b));
  EXPECT_EQ(counters_.refused_for_descriptors.load(),
            1u);  // once a replay, however often it is tried
  taken->Return();
  queue_.Tick();
  EXPECT_TRUE(Runs(b));
  EXPECT_EQ(counters_.descriptors_taken.load(), 4u);
  Leave(a);
  Leave(b);
  EXPECT_EQ(counters_.descriptors_taken.load(), 0u);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(ReplayQueueTest, OneThatGoesLeavesItsPlaceWhereverItIs) {
  Enter(kWhole);
  Enter(kWhole);
  Enter(kWhole);
  Enter(kBrief);
  streams_.clear();
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(running(), 0u);
  EXPECT_EQ(waiting(), 0u);
}

}  // namespace
}  // namespace kvroute
