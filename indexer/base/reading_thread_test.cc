#include "indexer/base/reading_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>

namespace kvroute {
namespace {

using std::chrono::milliseconds;

// What a read waits for, which outlives the thread's owner.
struct Mount {
  std::atomic<bool> hangs{false};
  std::atomic<int> reads{0};
  std::atomic<int> ended{0};
};

ReadingThread<int>::Read ReadFrom(const std::shared_ptr<Mount>& mount) {
  return [mount] {
    const int number = ++mount->reads;
    mount->reads.notify_all();
    mount->hangs.wait(true);
    ++mount->ended;
    mount->ended.notify_all();
    return number;
  };
}

TEST(ReadingThreadTest, HandsOverWhatItReadsAgainAndAgain) {
  const auto mount = std::make_shared<Mount>();
  std::atomic<int> taken{0};
  ReadingThread<int> thread("reads", milliseconds(1), ReadFrom(mount), [&](int number) {
    EXPECT_EQ(number, taken + 1);
    taken = number;
    taken.notify_all();
  });
  for (int seen = 0; seen < 3; seen = taken) taken.wait(seen);
}

TEST(ReadingThreadTest, APokeDoesNotWaitForTheInterval) {
  const auto mount = std::make_shared<Mount>();
  std::atomic<int> taken{0};
  ReadingThread<int> thread("reads", std::chrono::hours(1), ReadFrom(mount), [&](int number) {
    taken = number;
    taken.notify_all();
  });
  thread.Poke();
  taken.wait(0);
}

TEST(ReadingThreadTest, AReadThatHangsDoesNotKeepItsOwnerFromEndingAndIsNotHandedOver) {
  const auto mount = std::make_shared<Mount>();
  mount->hangs = true;
  std::atomic<int> taken{0};
  std::optional<ReadingThread<int>> thread(std::in_place, "reads", milliseconds(1), ReadFrom(mount),
                                           [&](int) { ++taken; });
  mount->reads.wait(0);
  thread.reset();
  EXPECT_EQ(mount->ended, 0);
  mount->hangs = false;
  mount->hangs.notify_all();
  mount->ended.wait(0);
  EXPECT_EQ(taken, 0);
  while (mount.use_count() > 1) std::this_thread::yield();  // the thread is gone
}

TEST(ReadingThreadTest, WhatIsBeingTakenIsWaitedFor) {
  const auto mount = std::make_shared<Mount>();
  std::atomic<bool> takes{false}, may_end{false};
  std::atomic<int> taken{0};
  std::optional<ReadingThread<int>> thread(std::in_place, "reads", milliseconds(1), ReadFrom(mount),
                                           [&](int) {
                                             takes = true;
                                             takes.notify_all();
                                             may_end.wait(false);
                                             ++taken;
                                           });
  takes.wait(false);
  std::thread releases([&] {
    may_end = true;
    may_end.notify_all();
  });
  thread.reset();
  EXPECT_GE(taken, 1);
  releases.join();
}

}  // namespace
}  // namespace kvroute
