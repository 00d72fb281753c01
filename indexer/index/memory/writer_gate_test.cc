#include "indexer/index/memory/writer_gate.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "indexer/base/named_thread.h"
#include "indexer/index/memory/cpu_relax.h"
#include "indexer/index/memory/spin_lock.h"

namespace kvroute {

// Lets one thread be several writers, each stopped between two of its steps.
class WriterGatePeer {
 public:
  explicit WriterGatePeer(WriterGate* gate) : gate_(gate) {}

  // What body does, it does as that writer.
  template <typename Body>
  static void As(epoch_internal::Participant* writer, Body body) {
    epoch_internal::Participant* const before = epoch_internal::mine;
    epoch_internal::mine = writer;
    body();
    epoch_internal::mine = before;
  }
  // The two steps of a claim.
  bool Claim() { return gate_->Change(WriterGate::kShared, WriterGate::Mine(WriterGate::kClaims)); }
  void DateClaim() { gate_->DateClaim(); }
  uint64_t State() const { return gate_->state_.load(); }
  // The last step of End.
  void OpenAfter(uint64_t ending) { gate_->Change(ending, WriterGate::kShared); }
  // Its first.
  uint64_t AskToEnd() {
    const uint64_t ending = State() | WriterGate::kIsEnded;
    EXPECT_TRUE(gate_->Change(State(), ending));
    return ending;
  }

 private:
  WriterGate* const gate_;
};

namespace {

// Participants that no thread has, for writers that one thread plays.
struct Writers {
  Writers() {
    for (epoch_internal::Participant*& writer : all) {
      NamedThread("line", [&writer] {
        EpochPin pin;
        writer = epoch_internal::mine;
      }).Join();
      writer->taken = true;  // the thread that ended gave it back
    }
  }
  ~Writers() {
    for (epoch_internal::Participant* writer : all) writer->taken = false;
  }
  epoch_internal::Participant* all[3];
};

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
    // The other has asked; it is not let in before this write ends, however often it may look.
    while (gate_.Alone()) {
    }
    for (int i = 0; i < 1'000; ++i) {
      epoch_internal::PassBarrierOnAllThreads();
      std::this_thread::yield();
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

// The first writer is stopped between its claim and the claim's epoch; the second takes the claim
// back and claims itself; the third is in a write from before that.
TEST_F(WriterGateTest, AClaimTakenBackBeforeItHasItsEpochIsNone) {
  Writers writers;
  WriterGatePeer peer(&gate_);
  const auto enter = [this] {
    EpochPin pin;
    gate_.Enter();
    return gate_.Alone();
  };
  auto* const third = writers.all[2];
  WriterGatePeer::As(writers.all[0], [&] { ASSERT_TRUE(peer.Claim()); });
  WriterGatePeer::As(writers.all[1], [&] {
    EXPECT_FALSE(enter());  // takes the claim back
    ASSERT_EQ(peer.State(), 0u);
  });
  WriterGatePeer::As(third, [&] { epoch_internal::Pin(); });
  WriterGatePeer::As(writers.all[1], [&] {
    ASSERT_TRUE(peer.Claim());
    peer.DateClaim();
  });
  const uint64_t claim = peer.State();
  WriterGatePeer::As(writers.all[0], [&] { peer.DateClaim(); });
  EXPECT_EQ(peer.State(), claim);
  WriterGatePeer::As(writers.all[1], [&] { EXPECT_FALSE(enter()); });
  WriterGatePeer::As(writers.all[1], [&] { EXPECT_FALSE(enter()) << "beside the third"; });
  WriterGatePeer::As(third, [&] { epoch_internal::Unpin(); });
  WriterGatePeer::As(writers.all[1], [&] {
    enter();
    EXPECT_TRUE(enter());
  });
}

// The second writer has waited for the first and is stopped before it opens the gate. The first
// opens it itself, claims it again and is alone; the third asks it to end. Now the second goes on.
TEST_F(WriterGateTest, WhoWaitedForAnOldWriterDoesNotOpenTheGateBesideANewOne) {
  Writers writers;
  WriterGatePeer peer(&gate_);
  const auto become_alone = [&] {
    ASSERT_TRUE(peer.Claim());
    peer.DateClaim();
    for (int i = 0; i < 2; ++i) {
      EpochPin pin;
      gate_.Enter();
    }
  };
  WriterGatePeer::As(writers.all[0], become_alone);
  uint64_t old_ending = 0;
  WriterGatePeer::As(writers.all[1], [&] { old_ending = peer.AskToEnd(); });
  WriterGatePeer::As(writers.all[0], [&] {
    {
      EpochPin pin;
      gate_.Enter();
    }
    become_alone();
    epoch_internal::Pin();
    gate_.Enter();
    ASSERT_TRUE(gate_.Alone());
  });
  uint64_t ending = 0;
  WriterGatePeer::As(writers.all[2], [&] { ending = peer.AskToEnd(); });
  WriterGatePeer::As(writers.all[1], [&] { peer.OpenAfter(old_ending); });
  EXPECT_EQ(peer.State(), ending) << "the third writes beside the first";
  WriterGatePeer::As(writers.all[0], [&] { epoch_internal::Unpin(); });
}

// Two threads, each alone behind a gate of its own, come to the other's at the same moment.
TEST_F(WriterGateTest, WaitingForEachOtherEnds) {
  WriterGate gates[2];
  std::atomic<int> alone = 0;
  std::atomic<int> pinned = 0;
  const auto meet = [](std::atomic<int>* arrived) {
    ++*arrived;
    while (arrived->load() < 2) std::this_thread::yield();
  };
  std::vector<NamedThread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back("writer", [&, i] {
      for (bool is_alone = false; !is_alone;) {
        EpochPin pin;
        gates[i].Enter();
        is_alone = gates[i].Alone();
      }
      meet(&alone);
      EpochPin pin;
      meet(&pinned);
      gates[1 - i].Enter();
      EXPECT_FALSE(gates[1 - i].Alone());
    });
  }
  for (NamedThread& thread : threads) thread.Join();
}

// One thread claims whenever it can, so that the gate changes hands all the time. Both store into
// the same lines before they pin, so that their pins become visible late.
TEST_F(WriterGateTest, NoWriteIsLostWhileTheGateIsClaimedAllTheTime) {
  struct alignas(64) Shared {
    std::atomic<uint64_t> word{0};
  };
  std::array<Shared, 8> contended;
  const auto contend = [&contended] {
    for (Shared& line : contended) line.word.store(1, std::memory_order_relaxed);
  };
  WriterGatePeer peer(&gate_);
  constexpr uint64_t kWrites = 50'000;
  std::atomic<uint64_t> alone = 0;
  std::atomic<uint64_t> shared_writes = 0;
  std::atomic<bool> stop = false;
  NamedThread other("other", [&] {
    while (!stop.load()) {
      contend();
      WriteOnce();
      shared_writes.store(shared_writes.load() + 1);
      for (int i = 0; i < 20; ++i) CpuRelax();
    }
  });
  uint64_t writes = 0;
  for (; writes < kWrites || alone.load() == 0 || shared_writes.load() < kWrites / 2; ++writes) {
    {
      EpochPin pin;
      if (peer.Claim()) peer.DateClaim();
    }
    contend();
    alone += WriteOnce() ? 1 : 0;
  }
  stop = true;
  other.Join();
  EpochPin pin;
  gate_.Enter();
  EXPECT_EQ(value_, writes + shared_writes.load());
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
