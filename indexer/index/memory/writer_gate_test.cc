#include "indexer/index/memory/writer_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "indexer/base/named_thread.h"
#include "indexer/index/memory/spin_lock.h"

namespace kvroute {
namespace {

class WriterGateTest : public testing::Test {
 protected:
  // Adds one, locked or not as the gate says. True: alone.
  bool WriteOnce() {
    EpochPin pin;
    gate_.Enter();
    const bool alone = gate_.Alone();
    if (alone) {
      ++value_;
    } else {
      SpinLockHolder lock(&lock_);
      ++value_;
    }
    return alone;
  }
  // How many writes it took to be alone; more than a few claims' worth: it was refused.
  uint32_t WriteUntilAlone() {
    uint32_t writes = 1;
    for (; writes < 10 * WriterGate::kClaimAfter && !WriteOnce(); ++writes) {
    }
    return writes;
  }

  WriterGate gate_;
  SpinLock lock_;
  uint64_t value_ = 0;
};

TEST_F(WriterGateTest, WhoWritesForAWhileIsAlone) {
  EXPECT_FALSE(WriteOnce());
  EXPECT_LE(WriteUntilAlone(), 3 * WriterGate::kClaimAfter);
  EXPECT_TRUE(WriteOnce());
}

TEST_F(WriterGateTest, AnotherWriterEndsIt) {
  WriteUntilAlone();
  ASSERT_TRUE(WriteOnce());
  NamedThread other("other", [this] { EXPECT_FALSE(WriteOnce()); });
  other.Join();
  EXPECT_FALSE(WriteOnce());
  EXPECT_LE(WriteUntilAlone(), 3 * WriterGate::kClaimAfter);
}

TEST_F(WriterGateTest, AnotherWriterWaitsUntilWhoIsAloneIsOutOfItsWrite) {
  WriteUntilAlone();
  std::atomic<bool> entered = false;
  std::atomic<bool> out = false;
  {
    EpochPin pin;
    gate_.Enter();
    ASSERT_TRUE(gate_.Alone());
    NamedThread other("other", [&] {
      WriteOnce();
      EXPECT_TRUE(out.load());
      entered = true;
    });
    // The other has asked; it is not let in before this write ends.
    while (gate_.Alone()) {
    }
    EXPECT_FALSE(entered.load());
    out = true;
    epoch_internal::Unpin();
    other.Join();
    epoch_internal::Pin();
  }
  EXPECT_TRUE(entered.load());
}

TEST_F(WriterGateTest, AReaderInTheWayOnlyDelaysIt) {
  std::atomic<bool> pinned = false;
  std::atomic<bool> leave = false;
  NamedThread reader("reader", [&] {
    EpochPin pin;
    pinned = true;
    while (!leave.load()) {
    }
  });
  while (!pinned.load()) {
  }
  for (uint32_t i = 0; i < 5 * WriterGate::kClaimAfter; ++i) ASSERT_FALSE(WriteOnce());
  leave = true;
  reader.Join();
  EXPECT_LE(WriteUntilAlone(), 3 * WriterGate::kClaimAfter);
}

// Two gates and threads that are alone behind one each, and go to the other's.
TEST_F(WriterGateTest, WaitingForEachOtherEnds) {
  WriterGate gates[2];
  std::vector<NamedThread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back("writer", [&gates, i] {
      for (int round = 0; round < 20; ++round) {
        for (uint32_t write = 0; write < 2 * WriterGate::kClaimAfter; ++write) {
          EpochPin pin;
          gates[i].Enter();
        }
        EpochPin pin;
        gates[1 - i].Enter();
      }
    });
  }
  for (NamedThread& thread : threads) thread.Join();
}

// Each has a long turn and the others get between now and then, so that who is alone changes often.
TEST_F(WriterGateTest, NoWriteIsLostBetweenThreads) {
  constexpr uint32_t kThreads = 4;
  constexpr uint32_t kTurns = 40;
  std::atomic<uint32_t> turn = 0;
  std::atomic<uint64_t> writes = 0;
  std::atomic<uint64_t> alone = 0;
  std::vector<NamedThread> threads;
  for (uint32_t i = 0; i < kThreads; ++i) {
    threads.emplace_back("writer", [&, i] {
      while (turn.load() < kTurns) {
        const bool mine = turn.load() % kThreads == i;
        const uint32_t count = mine ? 4 * WriterGate::kClaimAfter : 1;
        for (uint32_t write = 0; write < count; ++write) alone += WriteOnce() ? 1 : 0;
        writes += count;
        if (mine) {
          ++turn;
        } else {
          const uint32_t now = turn.load();
          while (now % kThreads != i && turn.load() == now) std::this_thread::yield();
        }
      }
    });
  }
  for (NamedThread& thread : threads) thread.Join();
  EXPECT_GT(alone.load(), 0u);
  EpochPin pin;
  gate_.Enter();
  EXPECT_EQ(value_, writes.load());
}

}  // namespace
}  // namespace kvroute
