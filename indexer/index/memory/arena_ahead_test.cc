#include "indexer/index/memory/arena_ahead.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "indexer/index/tables/growing_array.h"

namespace kvroute {
namespace {

constexpr uint32_t kPageGranules = (2 << 20) / kGranuleBytes;

// Whether the memory at `granule` takes any.
bool IsResident(const Arena& arena, Granule granule) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t address = reinterpret_cast<uintptr_t>(arena.At<void>(granule)) / page * page;
  unsigned char resident = 0;
  EXPECT_EQ(mincore(reinterpret_cast<void*>(address), page, &resident), 0);
  return (resident & 1) != 0;
}

// The end of what the arena has handed out.
Granule EndOf(Arena* arena) { return arena->Of(arena->At<void>(arena->Allocate(1))) + 1; }

TEST(ArenaAheadTest, MemoryIsTakenBeforeTheArenaGrowsIntoIt) {
  Arena arena;
  if (arena.TakeAhead() == Arena::Ahead::kImpossible) GTEST_SKIP() << "before Linux 5.14";
  ArenaAhead ahead(&arena);
  for (int step = 0; step < 40; ++step) {
    arena.Allocate(kPageGranules / 4);  // and nobody touches it
    const Granule end = EndOf(&arena);
    while (!arena.IsTaken(end + Arena::kLeastAheadGranules)) std::this_thread::yield();
    EXPECT_TRUE(IsResident(arena, end + Arena::kLeastAheadGranules - 1)) << step;
    EXPECT_FALSE(IsResident(arena, end + Arena::kLeastAheadGranules + 2 * kPageGranules)) << step;
  }
}

TEST(ArenaAheadTest, OneLargeAllocationIsTakenAsAWhole) {
  Arena arena;
  if (arena.TakeAhead() == Arena::Ahead::kImpossible) GTEST_SKIP() << "before Linux 5.14";
  ArenaAhead ahead(&arena);
  const Granule start = arena.Allocate(8 * kPageGranules);
  while (!arena.IsTaken(start + 8 * kPageGranules)) std::this_thread::yield();
  for (uint32_t i = 0; i < 8; ++i) EXPECT_TRUE(IsResident(arena, start + i * kPageGranules)) << i;
}

TEST(ArenaAheadTest, WhatWasReturnedIsTakenAgain) {
  Arena arena;
  if (arena.TakeAhead() == Arena::Ahead::kImpossible) GTEST_SKIP() << "before Linux 5.14";
  ArenaAhead ahead(&arena);
  for (int round = 0; round < 3; ++round) {
    const Granule start = arena.Allocate(16 * kPageGranules);
    while (!arena.IsTaken(start + 16 * kPageGranules)) std::this_thread::yield();
    EXPECT_TRUE(IsResident(arena, start + 15 * kPageGranules)) << round;
    arena.Free(start, 16 * kPageGranules);
    EXPECT_GT(arena.ReturnFree(), 0u);
    EXPECT_FALSE(IsResident(arena, start + 15 * kPageGranules)) << round;
  }
}

// A table that grows lets the memory of its new array be taken first, but not for ever.
TEST(ArenaAheadTest, ClearingAnArrayWaitsForItsMemoryForSomeSteps) {
  Arena arena;
  if (arena.TakeAhead() == Arena::Ahead::kImpossible) GTEST_SKIP() << "before Linux 5.14";
  constexpr uint32_t kBuckets = 4 * kPageGranules;
  GrowingArray waits(BucketArray::New(&arena, kBuckets, 0), kBuckets);
  uint32_t steps = 0;
  while (waits.ClearSome(arena)) ++steps;
  EXPECT_EQ(steps, kBuckets / GrowingArray::kClearedAStep + kBuckets / GrowingArray::kWaitPart);

  while (arena.TakeAhead() == Arena::Ahead::kTaken) {
  }
  GrowingArray goes_on(BucketArray::New(&arena, kBuckets, 0), kBuckets);
  while (arena.TakeAhead() == Arena::Ahead::kTaken) {
  }
  steps = 0;
  while (goes_on.ClearSome(arena)) ++steps;
  EXPECT_EQ(steps, kBuckets / GrowingArray::kClearedAStep);
}

}  // namespace
}  // namespace kvroute
