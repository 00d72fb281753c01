#include "indexer/base/busy_counters.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "indexer/base/named_thread.h"

namespace kvroute {
namespace {

TEST(BusyCountersTest, AddsUpWhatEveryThreadAdded) {
  constexpr size_t kThreads = 2 * kOwnedCells;  // some share a cell
  constexpr uint64_t kTurns = 20'000;
  auto counters = std::make_unique<BusyCounters<3>>();
  std::atomic<size_t> ready{0};
  std::vector<NamedThread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back("adds", [&] {
      CellOfThisThread();
      ready.fetch_add(1);
      while (ready.load() < kThreads) std::this_thread::yield();  // all have a cell at once
      for (uint64_t turn = 0; turn < kTurns; ++turn) {
        counters->Add(0, 1);
        counters->Add(2, turn);
      }
    });
  }
  for (NamedThread& thread : threads) thread.Join();
  EXPECT_EQ(counters->Of(0), kThreads * kTurns);
  EXPECT_EQ(counters->Of(1), 0u);
  EXPECT_EQ(counters->Of(2), kThreads * (kTurns * (kTurns - 1) / 2));
}

TEST(BusyCountersTest, AThreadThatEndedLeavesItsCellWithWhatItAdded) {
  auto counters = std::make_unique<BusyCounters<1>>();
  for (size_t i = 0; i < 4 * kOwnedCells; ++i) {
    size_t cell = kNoCell;
    NamedThread("adds", [&] {
      counters->Add(0, 1);
      cell = CellOfThisThread();
    }).Join();
    EXPECT_LT(cell, kOwnedCells) << i;
  }
  EXPECT_EQ(counters->Of(0), 4 * kOwnedCells);
}

}  // namespace
}  // namespace kvroute
