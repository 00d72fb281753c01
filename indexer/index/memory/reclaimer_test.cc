#include "indexer/index/memory/reclaimer.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "indexer/base/named_thread.h"
#include "indexer/index/memory/cpu_relax.h"
#include "indexer/index/memory/epoch.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

class ReclaimerTest : public testing::Test {
 protected:
  using Word = std::atomic<uint64_t>;
  static constexpr uint32_t kWords = kGranuleBytes / sizeof(Word);

  Arena arena_;
  Reclaimer reclaimer_{&arena_};
};

TEST_F(ReclaimerTest, WaitsForPinsFromBefore) {
  const Granule line = arena_.Allocate(1);
  {
    EpochPin pin;
    reclaimer_.Retire(line, 1);
    reclaimer_.Collect();
    const Granule other = arena_.Allocate(1);
    EXPECT_NE(other, line);
    arena_.Free(other, 1);
  }
  reclaimer_.Collect();
  EXPECT_EQ(arena_.Allocate(1), line);
}

TEST_F(ReclaimerTest, DoesNotWaitForPinsFromAfterwards) {
  const Granule line = arena_.Allocate(1);
  reclaimer_.Retire(line, 1);
  WaitForPins();  // an epoch begins
  EpochPin pin;
  reclaimer_.Collect();
  EXPECT_EQ(arena_.Allocate(1), line);
}

// What piled up behind a reader that stood still is not all freed by the one who comes next, but
// all of it in the end.
TEST_F(ReclaimerTest, WhatPiledUpGoesLittleByLittle) {
  constexpr uint32_t kPiled = 20'000;
  const Granule piled = arena_.Allocate(kPiled);
  {
    EpochPin pin;
    for (uint32_t i = 0; i < kPiled; ++i) reclaimer_.Retire(piled + i, 1);
  }
  constexpr uint32_t kHeavy = 1 << 13;
  const Granule heavy = arena_.Allocate(kHeavy);
  ASSERT_FALSE(arena_.HasRoom(1));
  reclaimer_.Retire(heavy, kHeavy);  // heavy enough to make an epoch begin
  EXPECT_TRUE(arena_.HasRoom(1));
  EXPECT_FALSE(arena_.HasRoom(kPiled / 2));
  reclaimer_.Collect();
  EXPECT_TRUE(arena_.HasRoom(kPiled));
}

// A writer replaces a line and reuses the old one as soon as it may; a reader that has found a line
// sees nothing else in it until it lets go. The reader stores into lines that the writer stores
// into as well before it pins, so that its pin becomes visible late.
TEST_F(ReclaimerTest, NoReaderIsOvertaken) {
  struct alignas(kGranuleBytes) Shared {
    Word word{0};
  };
  std::array<Shared, 8> contended;
  std::atomic<Granule> current{arena_.Allocate(1)};
  for (uint32_t i = 0; i < kWords; ++i) arena_.At<Word>(current)[i].store(0);
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> rounds = 0;
  std::atomic<uint64_t> faults = 0;
  NamedThread reader("reader", [&] {
    while (!stop.load(kRelaxed)) {
      for (Shared& line : contended) line.word.store(1, kRelaxed);
      {
        EpochPin pin;
        const Word* words = arena_.At<Word>(current.load(kAcquire));
        const uint64_t first = words[0].load(kAcquire);
        for (uint32_t look = 0; look < 4 * kWords; ++look) {
          if (words[look % kWords].load(kAcquire) != first) ++faults;
          CpuRelax();
        }
      }
      rounds.store(rounds.load(kRelaxed) + 1, kRelaxed);
    }
  });
  for (uint64_t round = 1; round < 100'000 || rounds.load() < 1'000; ++round) {
    const Granule next = arena_.Allocate(1);
    for (uint32_t i = 0; i < kWords; ++i) arena_.At<Word>(next)[i].store(round, kRelease);
    for (Shared& line : contended) line.word.store(2, kRelaxed);
    const Granule old = current.exchange(next);
    reclaimer_.Retire(old, 1);
    reclaimer_.Collect();
  }
  stop = true;
  reader.Join();
  EXPECT_EQ(faults.load(), 0u);
}

}  // namespace
}  // namespace kvroute
