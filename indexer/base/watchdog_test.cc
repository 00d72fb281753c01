#include "indexer/base/watchdog.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

using std::chrono::seconds;

class WatchdogTest : public testing::Test {
 protected:
  WatchdogTest() { watchdog_.Watch("worker", &pulse_); }
  // Time passes as it does for whoever samples every second.
  void Pass(int count) {
    for (int i = 0; i < count; ++i) {
      now_ += seconds(1);
      watchdog_.Sample(now_);
    }
  }
  Nanos Age() const { return watchdog_.Ages(now_)[0].without_progress; }

  ThreadPulse pulse_;
  Watchdog watchdog_;
  Nanos now_ = seconds(1'000);
};

TEST_F(WatchdogTest, AThreadWithoutWorkIsNotStuckHoweverLong) {
  Pass(100);
  EXPECT_EQ(Age(), seconds(0));
  { const PulseOfWork work(&pulse_); }
  Pass(100);
  EXPECT_EQ(Age(), seconds(0));
}

TEST_F(WatchdogTest, OneAtTheSamePieceOfWorkGrowsOldUntilItEnds) {
  pulse_.Begin();
  Pass(1);
  EXPECT_EQ(Age(), seconds(0));
  Pass(30);
  EXPECT_EQ(Age(), seconds(30));
  EXPECT_EQ(watchdog_.Ages(now_)[0].name, "worker");
  pulse_.End();
  EXPECT_EQ(Age(), seconds(0));
}

TEST_F(WatchdogTest, LongWorkThatGoesOnIsNotStuck) {
  pulse_.Begin();
  for (int i = 0; i < 100; ++i) {
    Pass(3);
    EXPECT_LE(Age(), seconds(2));
    pulse_.Step();
  }
}

TEST_F(WatchdogTest, OnePieceOfWorkAfterAnotherIsNotStuck) {
  for (int i = 0; i < 100; ++i) {
    pulse_.Begin();
    Pass(1);
    EXPECT_EQ(Age(), seconds(0));
    pulse_.End();
  }
}

TEST_F(WatchdogTest, WhatIsForgottenIsNotLookedAt) {
  watchdog_.Forget(&pulse_);
  EXPECT_TRUE(watchdog_.Ages(now_).empty());
}

}  // namespace
}  // namespace kvroute
