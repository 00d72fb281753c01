#include "indexer/index/runs/run.h"

#include <gtest/gtest.h>

#include <atomic>

#include "indexer/base/named_thread.h"
#include "indexer/index/memory/cpu_relax.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

TEST(RunTest, AnEditIsOddWhileItLastsAndNewAfterwards) {
  kvroute::Run run{};
  const uint32_t before = run.version.load();
  {
    RunEdit edit(&run);
    EXPECT_EQ(run.version.load(), before + 1);
  }
  EXPECT_EQ(run.version.load(), before + 2);
  EXPECT_EQ(before % 2, 0u);
}

// A writer gives all fields one value after the other, slowly; a reader that finds the same even
// version before and after must have found the same value in all of them.
TEST(RunTest, WhatIsReadUnderOneVersionBelongsTogether) {
  kvroute::Run run{};
  constexpr uint32_t kEdits = 200'000;
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> good = 0;
  std::atomic<uint64_t> faults = 0;
  NamedThread reader("reader", [&] {
    while (!stop.load(kRelaxed)) {
      const uint32_t version = run.version.load(kAcquire);
      if (version % 2 != 0) continue;
      const uint32_t first = run.holders[0].load(kAcquire);
      CpuRelax();
      const uint32_t second = run.holders[1].load(kAcquire);
      if (run.version.load(kRelaxed) != version) continue;
      if (first != second) faults.store(faults.load(kRelaxed) + 1, kRelaxed);
      good.store(good.load(kRelaxed) + 1, kRelaxed);
    }
  });
  for (uint32_t value = 0; value < kEdits || good.load() < 100'000; ++value) {
    {
      RunEdit edit(&run);
      run.holders[1].store(value, kRelease);
      CpuRelax();
      run.holders[0].store(value, kRelease);
    }
    CpuRelax();
  }
  stop = true;
  reader.Join();
  EXPECT_EQ(faults.load(), 0u);
}

TEST(HolderEntryTest, KeepsSlotHoleAndIslands) {
  const HolderEntry entry(kMaxSlots - 1, kMaxRunBlocks, true);
  EXPECT_EQ(entry.slot(), kMaxSlots - 1);
  EXPECT_EQ(entry.FirstHole(7), kMaxRunBlocks);
  EXPECT_TRUE(entry.islands());
  EXPECT_FALSE(entry.all());
  const HolderEntry all(3, HolderEntry::kAll, false);
  EXPECT_EQ(all.slot(), 3u);
  EXPECT_EQ(all.FirstHole(7), 7u);
  EXPECT_FALSE(all.islands());
}

}  // namespace
}  // namespace kvroute
