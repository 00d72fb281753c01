#include "indexer/index/runs/tiers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <vector>

#include "indexer/index/memory/epoch.h"

namespace kvroute {
namespace {

using Blocks = std::array<Tier, kMaxRunBlocks>;

SlowerBlocks CountOf(const Blocks& blocks, uint32_t count) {
  uint32_t by_tier[kTierCount] = {};
  for (uint32_t i = 0; i < count; ++i) ++by_tier[static_cast<size_t>(blocks[i])];
  return SlowerBlocks{by_tier[1], by_tier[2], by_tier[3]};
}

TEST(TierMapTest, SetsCountsAndKnowsSteps) {
  std::mt19937 random(20'261'130);
  for (int round = 0; round < 300; ++round) {
    TierMap map;
    Blocks blocks{};
    for (uint32_t edits = random() % 5; edits > 0; --edits) {
      const uint32_t begin = random() % kMaxRunBlocks;
      const uint32_t end = begin + random() % (kMaxRunBlocks + 1 - begin);
      const auto tier = static_cast<Tier>(random() % kTierCount);
      map.Set(begin, end, tier);
      std::fill(blocks.begin() + begin, blocks.begin() + end, tier);
    }
    const uint32_t count = random() % (kMaxRunBlocks + 1);
    const SlowerBlocks counts = map.Count(count);
    EXPECT_EQ(counts, CountOf(blocks, count));
    EXPECT_EQ(counts.cpu + counts.disk + counts.external,
              count - std::count(blocks.begin(), blocks.begin() + count, Tier::kGpu));
    EXPECT_EQ(map.At(count % kMaxRunBlocks), blocks[count % kMaxRunBlocks]);
    const std::optional<TierSteps> steps = map.Steps();
    const auto slower_end =
        std::find_if(blocks.rbegin(), blocks.rend(), [](Tier tier) { return tier != Tier::kGpu; });
    ASSERT_EQ(steps.has_value(), std::is_sorted(blocks.begin(), slower_end.base()));
    if (!steps.has_value()) continue;
    EXPECT_EQ(steps->Count(count), counts);
    const TierMap again(*steps);
    for (uint32_t i = 0; i < TierMap::kWords; ++i) EXPECT_EQ(again.word(i), map.word(i));
  }
}

class TiersTest : public testing::Test {
 protected:
  void Set(Slot slot, uint32_t begin, uint32_t end, Tier tier) {
    tiers_.Set(&run_, slot, begin, end, tier);
    Blocks& blocks = model_[slot];
    std::fill(blocks.begin() + begin, blocks.begin() + end, tier);
  }
  void ExpectEqualsModel() const {
    size_t slower = 0;
    for (const auto& [slot, blocks] : model_) {
      for (uint32_t i = 0; i < kMaxRunBlocks; i += 37) {
        ASSERT_EQ(tiers_.At(run_, slot, i), blocks[i]) << slot << " " << i;
      }
      slower += CountOf(blocks, kMaxRunBlocks) != SlowerBlocks();
    }
    size_t cells = 0;
    if (const TierTable* table = tiers_.TableOf(run_)) {
      cells = table->used.load();
      for (uint32_t i = 1; i < cells; ++i) EXPECT_LT(table->At(i - 1).slot(), table->At(i).slot());
    }
    EXPECT_EQ(cells, slower);
  }

  Arena arena_;
  Reclaimer reclaimer_{&arena_};
  const Tiers tiers_{&arena_, &reclaimer_};
  kvroute::Run run_{};
  std::map<Slot, Blocks> model_;
  std::mt19937 random_{20'261'130};
};

// Slots come and go, from none to hundreds and back, with blocks in steps and in any order.
TEST_F(TiersTest, EqualsAnArrayForEachSlot) {
  for (const uint32_t slots : {3u, 400u, 20u, 1u}) {
    for (int i = 0; i < 3'000; ++i) {
      const auto slot = static_cast<Slot>(random_() % slots * 7);
      const uint32_t begin = random_() % kMaxRunBlocks;
      const uint32_t end = begin + random_() % (kMaxRunBlocks + 1 - begin);
      Set(slot, begin, end, static_cast<Tier>(random_() % kTierCount));
      if (random_() % 2 == 0) Set(slot, 0, kMaxRunBlocks, Tier::kGpu);
    }
    ExpectEqualsModel();
    std::vector<Slot> all;
    for (const auto& [slot, blocks] : model_) all.push_back(slot);
    std::shuffle(all.begin(), all.end(), random_);
    for (const Slot slot : all) {
      if (random_() % 4 != 0) Set(slot, 0, kMaxRunBlocks, Tier::kGpu);
    }
    ExpectEqualsModel();
  }
  for (const auto& [slot, blocks] : std::map<Slot, Blocks>(model_)) {
    Set(slot, 0, kMaxRunBlocks, Tier::kGpu);
  }
  EXPECT_EQ(tiers_.TableOf(run_), nullptr);
}

// What a slot has is changed without a look at what thousands of others have: the arena is not
// asked for a copy of it.
TEST_F(TiersTest, AChangeCopiesNobodyElsesTiers) {
  constexpr Slot kSlots = 3'000;
  for (Slot slot = 0; slot < kSlots; ++slot) tiers_.Set(&run_, slot, 64, 128, Tier::kCpu);
  const TierTable* table = tiers_.TableOf(run_);
  const uint64_t waiting = reclaimer_.WaitingBytes();
  const uint64_t reserved = arena_.ReservedBytes();
  EpochPin pin;  // what is retired would stay
  for (uint32_t block = 64; block < 128; ++block) {
    for (Slot slot = 0; slot < kSlots; ++slot) {
      tiers_.Set(&run_, slot, block, block + 1, Tier::kDisk);
      tiers_.Set(&run_, slot, block, block + 1, Tier::kCpu);
    }
  }
  EXPECT_EQ(tiers_.TableOf(run_), table);
  // at most a map for each slot at a time; a copy of all for each change would be 9 GB
  EXPECT_LT(arena_.ReservedBytes() - reserved + reclaimer_.WaitingBytes() - waiting,
            uint64_t{128} << 20);
}

}  // namespace
}  // namespace kvroute
