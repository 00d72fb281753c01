#include "indexer/index/memory/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>

#include "indexer/index/memory/poison.h"

namespace kvroute {
namespace {

// The end of a used extent, so that what is freed before it does not go back to the arena's end.
class ArenaTest : public testing::Test {
 protected:
  Granule AllocateBetween(uint32_t granules) {
    const Granule start = arena_.Allocate(granules);
    arena_.Allocate(1);
    return start;
  }
  Arena arena_;
};

TEST_F(ArenaTest, NeighboursThatAreFreeBecomeOneExtent) {
  const Granule start = AllocateBetween(30);
  const uint64_t bytes = arena_.ReservedBytes();
  arena_.Free(start, 10);
  arena_.Free(start + 20, 10);
  arena_.Free(start + 10, 10);
  EXPECT_EQ(arena_.Allocate(30), start);
  EXPECT_EQ(arena_.ReservedBytes(), bytes);
}

TEST_F(ArenaTest, AnAllocationGrowsIntoWhatIsFreeBehindIt) {
  const Granule start = AllocateBetween(30);
  EXPECT_FALSE(arena_.Extend(start, 30, 1));
  arena_.Free(start + 10, 20);
  EXPECT_TRUE(arena_.Extend(start, 10, 5));
  EXPECT_EQ(arena_.ExtendUpTo(start, 15, 40), 15u);
  EXPECT_EQ(arena_.ExtendUpTo(start, 30, 40), 0u);
}

TEST_F(ArenaTest, TakesTheLongestExtentThereIsBeforeItGrows) {
  const Granule start = AllocateBetween(20);
  AllocateBetween(10);
  arena_.Free(start, 20);
  uint32_t granules = 50;
  EXPECT_EQ(arena_.AllocateUpTo(&granules, 8), start);
  EXPECT_EQ(granules, 20u);
  granules = 50;
  EXPECT_GT(arena_.AllocateUpTo(&granules, 8), start + 20);
  EXPECT_EQ(granules, 50u);
}

// No two allocations overlap and nobody's content changes, whatever comes and goes.
TEST_F(ArenaTest, EveryAllocationKeepsItsContent) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::map<Granule, uint32_t> held;
  const auto fill = [&](Granule start, uint32_t granules) {
    std::memset(arena_.At<char>(start), static_cast<char>(start), granules * kGranuleBytes);
  };
  for (int step = 0; step < 20'000; ++step) {
    const auto some = held.lower_bound(static_cast<Granule>(random() % (1 + held.size() * 40)));
    if (some == held.end() || random() % 2 == 0) {
      auto granules = static_cast<uint32_t>(1 + random() % (random() % 10 == 0 ? 600 : 20));
      const Granule start = random() % 2 == 0 ? arena_.Allocate(granules)
                                              : arena_.AllocateUpTo(&granules, granules / 4 + 1);
      fill(start, granules);
      held[start] = granules;
      continue;
    }
    const auto [start, granules] = *some;
    const char* bytes = arena_.At<char>(start);
    for (size_t i = 0; i < granules * kGranuleBytes; i += kGranuleBytes / 2) {
      ASSERT_EQ(bytes[i], static_cast<char>(start));
    }
    if (random() % 4 == 0) {
      some->second += arena_.ExtendUpTo(start, granules, 5);
      fill(start, some->second);
    } else if (granules > 1 && random() % 2 == 0) {
      arena_.Free(start + granules / 2, granules - granules / 2);
      some->second = granules / 2;
    } else {
      arena_.Free(start, granules);
      held.erase(some);
    }
  }
}

TEST_F(ArenaTest, WhatIsInUseIsCountedHoweverItCameAndWent) {
  const Granule start = AllocateBetween(30);
  EXPECT_EQ(arena_.UsedBytes(), 31 * kGranuleBytes);
  arena_.Free(start + 10, 20);
  EXPECT_EQ(arena_.UsedBytes(), 11 * kGranuleBytes);
  EXPECT_EQ(arena_.ExtendUpTo(start, 10, 5), 5u);
  uint32_t granules = 100;
  const Granule last = arena_.AllocateUpTo(&granules, 100);
  arena_.Free(last + 60, 40);
  EXPECT_EQ(arena_.UsedBytes(), (16 + 60) * kGranuleBytes);
}

TEST_F(ArenaTest, LongFreeStretchesGoBackToTheSystemAndCanBeUsedAgain) {
  constexpr uint32_t kLong = (32 << 20) / kGranuleBytes;
  const Granule between = AllocateBetween(kLong);
  const Granule last = arena_.Allocate(kLong);
  std::memset(arena_.At<char>(between), 'x', size_t{kLong} * kGranuleBytes);
  std::memset(arena_.At<char>(last), 'x', size_t{kLong} * kGranuleBytes);
  const uint64_t used = arena_.UsedBytes();
  arena_.Free(between, kLong);
  arena_.Free(last, kLong);
  EXPECT_GE(arena_.ReturnFree(), uint64_t{56} << 20);
  EXPECT_EQ(arena_.UsedBytes(), used - 2 * uint64_t{kLong} * kGranuleBytes);
  EXPECT_LT(arena_.ReservedBytes(), uint64_t{40} << 20) << "what is behind the last in use";
  EXPECT_EQ(arena_.Allocate(kLong), between);
  EXPECT_EQ(arena_.At<char>(between)[kLong * kGranuleBytes / 2], 0)
      << "the system has made it anew";
}

#ifdef KVROUTE_ADDRESS_SANITIZER
TEST_F(ArenaTest, AUseOfFreedMemoryIsCaught) {
  const Granule start = AllocateBetween(4);
  auto* word = arena_.At<volatile uint64_t>(start);
  *word = 1;
  arena_.Free(start, 4);
  EXPECT_DEATH(*word = 2, "use-after-poison");
  EXPECT_DEATH(EXPECT_EQ(word[31], 0u), "use-after-poison");
  ASSERT_EQ(arena_.Allocate(4), start);
  *word = 2;
}

// All of it, where the arena keeps its lists as well, and also what is given back in parts.
TEST_F(ArenaTest, ExactlyWhatIsFreeIsPoisoned) {
  const Granule start = AllocateBetween(6);
  arena_.Free(start + 2, 4);
  EXPECT_TRUE(arena_.Extend(start, 2, 1));
  for (size_t byte = 0; byte < 6 * kGranuleBytes; ++byte) {
    const bool poisoned = __asan_address_is_poisoned(arena_.At<char>(start) + byte) != 0;
    ASSERT_EQ(poisoned, byte >= 3 * kGranuleBytes) << byte;
  }
}
#endif

}  // namespace
}  // namespace kvroute
