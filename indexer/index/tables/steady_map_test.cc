#include "indexer/index/tables/steady_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>

namespace kvroute {
namespace {

TEST(SteadyMapTest, IsAMap) {
  SteadyMap<uint64_t> map;
  std::map<uint64_t, uint64_t> model;
  std::mt19937_64 random(20'261'130);
  EXPECT_EQ(map.Find(1), nullptr);
  EXPECT_FALSE(map.Erase(1));
  for (int i = 0; i < 60'000; ++i) {
    const uint64_t key = random() % 20'000 * 64;  // keys that have their low bits in common
    if (random() % 3 == 0) {
      ASSERT_EQ(map.Erase(key), model.erase(key) == 1);
    } else {
      const auto [value, fresh] = map.TryEmplace(key);
      ASSERT_EQ(fresh, !model.contains(key));
      *value = model[key] = random();
    }
    ASSERT_EQ(map.size(), model.size());
  }
  for (const auto& [key, value] : model) {
    ASSERT_NE(map.Find(key), nullptr);
    EXPECT_EQ(*map.Find(key), value);
  }
  size_t seen = 0;
  map.ForEach([&](uint64_t key, uint64_t value) { seen += model.at(key) == value; });
  EXPECT_EQ(seen, model.size());
}

// How often values were moved.
uint64_t moves = 0;
struct Counted {
  Counted() = default;
  Counted(Counted&&) noexcept { ++moves; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
};

// In one piece it would move half a million values at once.
TEST(SteadyMapTest, NoInsertionMovesMoreThanAFewThousandValues) {
  SteadyMap<Counted> map;
  uint64_t most = 0;
  uint64_t before = moves = 0;
  constexpr uint64_t kValues = 600'000;
  for (uint64_t key = 0; key < kValues; ++key) {
    map[key * 0x9e37'79b9'7f4a'7c15];
    most = std::max(most, moves - before);
    before = moves;
  }
  EXPECT_EQ(map.size(), kValues);
  EXPECT_LE(most, 8'192u);
  EXPECT_LE(moves, 8 * kValues);
}

}  // namespace
}  // namespace kvroute
