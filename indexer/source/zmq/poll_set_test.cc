#include "indexer/source/zmq/poll_set.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;

// Works for a while each time, and writes down whose turn it was.
class Worker final : public Pollable {
 public:
  Worker(int number, FakeClock* clock, std::vector<int>* done)
      : number_(number), clock_(clock), done_(done) {}
  bool Work(const Turn&) override {
    done_->push_back(number_);
    clock_->Advance(milliseconds(10));
    return again;
  }
  void Tick() override {}

  bool again = false;

 private:
  const int number_;
  FakeClock* const clock_;
  std::vector<int>* const done_;
};

class PollSetTest : public testing::Test {
 protected:
  PollSetTest() {
    for (int i = 0; i < 5; ++i) {
      workers_.push_back(std::make_unique<Worker>(i, &clock_, &done_));
      poll_set_.MarkReady(workers_.back().get());
    }
  }
  std::vector<int> DoneInATurnOf(milliseconds length) {
    done_.clear();
    EXPECT_TRUE(poll_set_.Wait(milliseconds(0)));
    poll_set_.Work(Turn(&clock_, length));
    return done_;
  }

  FakeClock clock_;
  PollSet poll_set_;
  std::vector<int> done_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

TEST_F(PollSetTest, ATurnEndsInTimeAndTheNextBeginsWithThoseThatWereLeft) {
  workers_[0]->again = true;
  EXPECT_EQ(DoneInATurnOf(milliseconds(25)), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(DoneInATurnOf(milliseconds(25)), (std::vector<int>{3, 4, 0}));
}

TEST_F(PollSetTest, EvenAnEndedTurnDoesSomething) {
  EXPECT_EQ(DoneInATurnOf(milliseconds(0)), (std::vector<int>{0}));
  EXPECT_EQ(DoneInATurnOf(milliseconds(0)), (std::vector<int>{1}));
}

TEST_F(PollSetTest, WhoIsForgottenIsNotWorkedOnThoughItWasLeft) {
  EXPECT_EQ(DoneInATurnOf(milliseconds(5)), (std::vector<int>{0}));
  poll_set_.Forget(workers_[1].get());
  EXPECT_EQ(DoneInATurnOf(milliseconds(1'000)), (std::vector<int>{2, 3, 4}));
}

TEST_F(PollSetTest, WhatTheSystemDoesNotWatchIsWorkedOnAllTheSame) {
  EXPECT_EQ(DoneInATurnOf(milliseconds(1'000)).size(), 5u);
  const int never_watched = -1;
  poll_set_.Watch(never_watched, workers_[3].get());
  EXPECT_EQ(DoneInATurnOf(milliseconds(1'000)), (std::vector<int>{3}));
  poll_set_.Unwatch(never_watched);
  EXPECT_FALSE(poll_set_.Wait(milliseconds(0)));
}

}  // namespace
}  // namespace kvroute
