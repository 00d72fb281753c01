#ifndef KVROUTE_INDEXER_INDEX_RUNS_TIER_MAP_H_
#define KVROUTE_INDEXER_INDEX_RUNS_TIER_MAP_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "indexer/event/event.h"
#include "indexer/index/runs/place.h"

namespace kvroute {

// How many blocks are fastest in each tier but gpu.
struct SlowerBlocks {
  friend constexpr bool operator==(const SlowerBlocks&, const SlowerBlocks&) = default;
  constexpr void operator+=(const SlowerBlocks& other) {
    cpu += other.cpu;
    disk += other.disk;
    external += other.external;
  }
  uint32_t cpu = 0;
  uint32_t disk = 0;
  uint32_t external = 0;
};
static_assert(kTierCount == 4);

// Blocks of a run by tier in four steps: some in gpu, behind them some in cpu, then disk, then
// external, and gpu again behind the last. That is how an engine's copies usually lie: it evicts
// tails first, from each tier into the next; and what a slot does not cover counts as gpu. In 48
// bits, so laid out that a query takes few instructions to read them: how many are in cpu (from bit
// 0), disk (10) and external (22), and where the last of them ends (32).
class TierSteps {
 public:
  static constexpr uint32_t kBits = 48;
  static constexpr uint32_t kEndShift = 32;

  constexpr TierSteps() = default;
  constexpr explicit TierSteps(uint64_t bits) : bits_(bits) {}
  constexpr TierSteps(uint32_t gpu, const SlowerBlocks& slower)
      : bits_(slower.cpu | uint64_t{slower.disk} << 10 | uint64_t{slower.external} << 22 |
              uint64_t{gpu + slower.cpu + slower.disk + slower.external} << kEndShift) {}
  constexpr uint64_t bits() const { return bits_; }
  constexpr uint32_t End() const { return static_cast<uint32_t>(bits_ >> kEndShift); }
  constexpr SlowerBlocks All() const {
    const auto low = static_cast<uint32_t>(bits_);
    return SlowerBlocks{low & 0x3ff, low >> 10 & 0x3ff, low >> 22};
  }
  constexpr uint32_t Gpu() const {
    const SlowerBlocks all = All();
    return End() - all.cpu - all.disk - all.external;
  }
  // Of the first `blocks` blocks.
  SlowerBlocks Count(uint32_t blocks) const {
    SlowerBlocks counts = All();
    uint32_t left = blocks - std::min(Gpu(), blocks);
    for (uint32_t* count : {&counts.cpu, &counts.disk, &counts.external}) {
      *count = std::min(*count, left);
      left -= *count;
    }
    return counts;
  }

 private:
  uint64_t bits_ = 0;
};

// Blocks of a run by tier, in any order: two bits each.
class TierMap {
 public:
  static constexpr uint32_t kWordBlocks = 32;
  static constexpr uint32_t kWords = kMaxRunBlocks / kWordBlocks;

  TierMap() = default;  // all gpu
  explicit TierMap(TierSteps steps);

  uint64_t word(uint32_t i) const { return words_[i]; }
  void set_word(uint32_t i, uint64_t bits) { words_[i] = bits; }
  Tier At(uint32_t block) const {
    return static_cast<Tier>(words_[block / kWordBlocks] >> (block % kWordBlocks * 2) & 3);
  }
  void Set(uint32_t begin, uint32_t end, Tier tier);
  SlowerBlocks Count(uint32_t blocks) const;  // of the first `blocks` blocks
  // nullopt: they lie in another order than steps do.
  std::optional<TierSteps> Steps() const;

 private:
  static constexpr uint64_t kEach = 0x5555'5555'5555'5555;  // the lower bit of every block

  // The first block from `begin` on that is in another tier; kMaxRunBlocks if there is none.
  uint32_t FirstNot(Tier tier, uint32_t begin) const;

  std::array<uint64_t, kWords> words_{};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_TIER_MAP_H_
