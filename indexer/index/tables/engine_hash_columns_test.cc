#include "indexer/index/tables/engine_hash_columns.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace kvroute {
namespace {

class EngineHashColumnsTest : public testing::Test {
 protected:
  static constexpr Granule kRun = 77;

  static std::vector<EngineHash> Hashes(uint64_t first, size_t count) {
    std::vector<EngineHash> hashes;
    for (size_t i = 0; i < count; ++i) hashes.emplace_back((first + i) * 0x9e37'79b9'7f4a'7c15);
    return hashes;
  }
  static Place At(uint32_t offset) { return Place{kRun, static_cast<uint16_t>(offset)}; }
  std::vector<Place> Put(uint32_t offset, const std::vector<EngineHash>& hashes) {
    std::vector<Place> displaced;
    columns_.Put(At(offset), hashes, &displaced);
    return displaced;
  }
  BlockRange Blanks(uint32_t offset) const { return columns_.BlanksAround(At(offset), 512); }

  Arena arena_;
  Reclaimer reclaimer_{&arena_};
  EngineHashColumns columns_{&arena_, &reclaimer_, TableHasher(4711), 0};
};

TEST_F(EngineHashColumnsTest, HashesLeadToPlacesAndBack) {
  EXPECT_TRUE(columns_.empty());
  EXPECT_EQ(columns_.Find(1), Place{});
  const std::vector<EngineHash> hashes = Hashes(1, 200);
  EXPECT_TRUE(Put(37, hashes).empty());
  for (uint32_t i = 0; i < hashes.size(); ++i) {
    EXPECT_EQ(columns_.Find(hashes[i].value()), At(37 + i));
    EXPECT_EQ(columns_.At(At(37 + i)), hashes[i].value());
  }
  EXPECT_EQ(columns_.At(At(36)), 0u);
  EXPECT_EQ(columns_.At(At(237)), 0u);
  EXPECT_EQ(columns_.At(Place{kRun + 1, 40}), 0u);
  EXPECT_EQ(columns_.Find(Hashes(900, 1)[0].value()), Place{});
  EXPECT_EQ(columns_.Find(0), Place{});  // as in every blank
}

TEST_F(EngineHashColumnsTest, NeighboursAreCountedAcrossPages) {
  const std::vector<EngineHash> hashes = Hashes(1, 200);
  Put(37, hashes);
  const std::vector<EngineHash> backward(hashes.rbegin(), hashes.rend());
  EXPECT_EQ(columns_.CountBackward(At(236), backward), 200u);
  EXPECT_EQ(columns_.CountForward(At(37), hashes), 200u);
  std::vector<EngineHash> further = hashes;
  further.emplace_back(0);  // must not equal the nothing behind the last hash
  EXPECT_EQ(columns_.CountForward(At(37), further), 200u);
  further = backward;
  further[100] = EngineHash(5);
  EXPECT_EQ(columns_.CountBackward(At(236), further), 100u);
  EXPECT_EQ(columns_.CountBackward(At(235), backward), 0u);
  EXPECT_EQ(columns_.CountUnknown(hashes), 0u);
  std::vector<EngineHash> mixed = Hashes(1'000, 30);
  mixed.push_back(hashes[3]);
  EXPECT_EQ(columns_.CountUnknown(mixed), 30u);
}

TEST_F(EngineHashColumnsTest, BlanksEndAtHashes) {
  EXPECT_EQ(Blanks(300).end - Blanks(300).begin, 512u);
  Put(100, Hashes(1, 1));
  Put(400, Hashes(2, 1));
  EXPECT_EQ(Blanks(300).begin, 101u);
  EXPECT_EQ(Blanks(300).end, 400u);
  EXPECT_EQ(Blanks(101).begin, 101u);
  EXPECT_EQ(Blanks(99).begin, 0u);
  EXPECT_EQ(Blanks(99).end, 100u);
  EXPECT_EQ(Blanks(511).end, 512u);
  EXPECT_TRUE(Blanks(100).empty());
  EXPECT_EQ(columns_.BlanksAround(At(300), 1).begin, 299u);
  EXPECT_EQ(columns_.BlanksAround(At(300), 1).end, 302u);
}

TEST_F(EngineHashColumnsTest, AHashThatGoesToAnotherPlaceIsDisplaced) {
  const std::vector<EngineHash> hashes = Hashes(1, 3);
  Put(10, hashes);
  EXPECT_EQ(Put(200, {hashes[1]}), std::vector<Place>{At(11)});
  EXPECT_EQ(columns_.At(At(11)), 0u);
  EXPECT_EQ(columns_.Find(hashes[1].value()), At(200));
  // Three times in one stretch: the last one stays.
  const EngineHash twice = Hashes(50, 1)[0];
  EXPECT_EQ(Put(300, {twice, twice, hashes[0], twice}),
            (std::vector<Place>{At(300), At(10), At(301)}));
  EXPECT_EQ(columns_.Find(twice.value()), At(303));
  EXPECT_EQ(columns_.At(At(300)), 0u);
  // The places are free for other hashes.
  EXPECT_TRUE(Put(300, Hashes(60, 2)).empty());
  columns_.Erase(At(300), 4);
  columns_.Erase(At(12), 1);
  columns_.Erase(At(200), 1);
  EXPECT_TRUE(columns_.empty());
}

// Memory is taken by the line, given back from both ends of a page, and wholly with the last hash.
TEST_F(EngineHashColumnsTest, GivesBackWhatIsBlank) {
  const uint64_t before = arena_.ReservedBytes();
  for (int round = 0; round < 3; ++round) {
    Put(0, Hashes(1, 512));
    const uint64_t full = arena_.ReservedBytes();
    EXPECT_GE(full - before, 512u * 16);
    columns_.Erase(At(0), 500);
    // What the first seven pages had serves again.
    Put(0, Hashes(1, 448));
    EXPECT_EQ(arena_.ReservedBytes(), full);
    columns_.Erase(At(0), 448);
    columns_.Erase(At(500), 12);
    EXPECT_TRUE(columns_.empty());
    EXPECT_LE(columns_.HeapBytes(), 1'000u);
  }
  reclaimer_.Collect();
  // All of it is free again, so that one large piece fits where it was.
  const uint64_t reserved = arena_.ReservedBytes();
  arena_.Allocate(static_cast<uint32_t>((reserved - before) / kGranuleBytes));
  EXPECT_EQ(arena_.ReservedBytes(), reserved);
}

TEST_F(EngineHashColumnsTest, EqualsAMapUnderChurn) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::map<uint32_t, uint64_t> by_place;  // run and offset -> hash
  std::map<uint64_t, uint32_t> by_hash;
  const auto place_of = [](uint32_t number) {
    return Place{1 + number / 512, static_cast<uint16_t>(number % 512)};
  };
  for (int step = 0; step < 20'000; ++step) {
    const auto first = static_cast<uint32_t>(random() % 4'096);
    const uint32_t most = std::min<uint32_t>(1 + random() % 90, 512 - first % 512);
    uint32_t count = 0;
    if (random() % 2 == 0) {
      std::vector<EngineHash> hashes;
      while (count < most && by_place.count(first + count) == 0) {
        const uint64_t hash = 1 + random() % 20'000;
        const auto [had, fresh] = by_hash.try_emplace(hash, first + count);
        if (!fresh) by_place.erase(had->second);
        had->second = first + count;
        by_place[first + count++] = hash;
        hashes.emplace_back(hash);
      }
      std::vector<Place> displaced;
      columns_.Put(place_of(first), hashes, &displaced);
    } else {
      while (count < most && by_place.count(first + count) != 0) ++count;
      if (count == 0) continue;
      for (uint32_t i = 0; i < count; ++i) {
        by_hash.erase(by_place[first + i]);
        by_place.erase(first + i);
      }
      columns_.Erase(place_of(first), count);
    }
    const uint64_t some = 1 + random() % 20'000;
    const auto held = by_hash.find(some);
    ASSERT_EQ(columns_.Find(some), held == by_hash.end() ? Place{} : place_of(held->second));
    const auto place = static_cast<uint32_t>(random() % 4'096);
    ASSERT_EQ(columns_.At(place_of(place)), by_place.count(place) == 0 ? 0 : by_place[place]);
  }
}

}  // namespace
}  // namespace kvroute
