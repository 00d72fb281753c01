#include "indexer/index/memory/epoch.h"

#include <gtest/gtest.h>

#include <atomic>

#include "indexer/base/named_thread.h"

namespace kvroute {
namespace {

TEST(EpochTest, WaitForPinsReturnsWhenWhoWasPinnedIsNot) {
  std::atomic<bool> pinned = false;
  std::atomic<bool> leave = false;
  std::atomic<bool> left = false;
  NamedThread reader("reader", [&] {
    EpochPin pin;
    pinned = true;
    while (!leave.load()) {
    }
    left = true;
  });
  while (!pinned.load()) {
  }
  const uint64_t epoch = epoch_internal::domain.epoch.load();
  NamedThread waiter("waiter", [&] {
    WaitForPins();
    EXPECT_TRUE(left.load());
  });
  // It waits by now, or is about to look.
  while (epoch_internal::domain.epoch.load() == epoch) {
  }
  leave = true;
  waiter.Join();
  reader.Join();
}

TEST(EpochTest, WaitForPinsDoesNotWaitForLaterPins) {
  std::atomic<bool> stop = false;
  NamedThread reader("reader", [&] {
    while (!stop.load()) EpochPin pin;
  });
  for (int i = 0; i < 100; ++i) WaitForPins();
  stop = true;
}

TEST(EpochTest, AThreadThatEndsLeavesItsLineToTheNext) {
  const auto pin_once = [] {
    EpochPin pin;
    return epoch_internal::mine;
  };
  const epoch_internal::Participant* const own = pin_once();
  const epoch_internal::Participant* first = nullptr;
  const epoch_internal::Participant* second = nullptr;
  NamedThread("first", [&] { first = pin_once(); }).Join();
  NamedThread("second", [&] { second = pin_once(); }).Join();
  EXPECT_EQ(first, second);
  EXPECT_NE(first, own);
  EXPECT_EQ(pin_once(), own);
}

#ifndef NDEBUG
TEST(EpochTest, NestedPinsAreCaught) {
  EpochPin outer;
  EXPECT_DEATH(EpochPin(), "kIdle");
}
#endif

}  // namespace
}  // namespace kvroute
