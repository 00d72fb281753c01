#ifndef KVROUTE_INDEXER_INDEX_RUNS_TIERS_H_
#define KVROUTE_INDEXER_INDEX_RUNS_TIERS_H_

#include <atomic>
#include <cstdint>

#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/reclaimer.h"
#include "indexer/index/runs/run.h"
#include "indexer/index/runs/tier_map.h"

namespace kvroute {

// What one slot has of a run in slower tiers than gpu, in 64 bits: the slot, and its blocks by
// tier, as steps or, if they lie in another order, as a map that is elsewhere.
class TierCell {
 public:
  constexpr TierCell() = default;  // empty
  constexpr explicit TierCell(uint64_t bits) : bits_(bits) {}
  constexpr TierCell(Slot slot, TierSteps steps) : bits_(uint64_t{slot} << 48 | steps.bits()) {}
  static constexpr TierCell OfMap(Slot slot, Granule map) {
    return TierCell(uint64_t{slot} << 48 | kIsMap | map);
  }
  constexpr uint64_t bits() const { return bits_; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr Slot slot() const { return static_cast<Slot>(bits_ >> 48); }
  constexpr bool is_map() const { return (bits_ & kIsMap) != 0; }
  constexpr TierSteps steps() const {
    return TierSteps(bits_ & ((uint64_t{1} << TierSteps::kBits) - 1));
  }
  constexpr Granule map() const { return static_cast<Granule>(bits_); }
  // Of steps: how many of their blocks are in each tier, as numbers and as TierSteps pack them.
  constexpr SlowerBlocks All() const { return TierSteps(bits_).All(); }
  constexpr uint32_t low() const { return static_cast<uint32_t>(bits_); }
  // Whether it is steps, all of which are among the first `blocks` blocks: then their counts are
  // what is asked for. `blocks` is at most a run's.
  constexpr bool EndsWithin(uint32_t blocks) const {
    return static_cast<uint16_t>(bits_ >> TierSteps::kEndShift) <= blocks;
  }
  // The same, and whether it is the slot's.
  constexpr bool EndsWithin(uint32_t blocks, Slot slot) const {
    return bits_ - (uint64_t{slot} << 48) <=
           (uint64_t{blocks} << TierSteps::kEndShift | 0xffff'ffff);
  }

 private:
  // Above the end of steps, so that it counts as one behind all blocks.
  static constexpr uint64_t kIsMap = uint64_t{1} << (TierSteps::kBits - 1);
  uint64_t bits_ = 0;
};

// The cells of a run, ascending by slot, as a query meets its holders. In memory they follow this
// struct.
struct TierTable {
  std::atomic<uint32_t> used;  // cells
  uint32_t capacity;           // for the writer

  const std::atomic<uint64_t>& cell(uint32_t i) const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(this + 1)[i];
  }
  std::atomic<uint64_t>& cell(uint32_t i) {
    return reinterpret_cast<std::atomic<uint64_t>*>(this + 1)[i];
  }
  TierCell At(uint32_t i) const { return TierCell(cell(i).load(std::memory_order_acquire)); }
};
static_assert(sizeof(TierTable) == sizeof(uint64_t));

// Which blocks of runs are not fastest in the gpu tier, for each of their holders. Blocks of which
// nothing is said are in gpu: so are all that a slot does not cover.
//
// Cost: a change looks at one slot's cell. Only when a slot gets its first slower block, or loses
// its last one, the cells behind it move by one: 0.3 us in a run that a thousand others hold.
// Bytes: docs/index.md, "Bytes".
//
// Thread safety: Set and Forget inside a RunEdit under the run's lock, At under that lock; Find,
// TableOf and MapAt also by readers, under a version (run.h).
class Tiers {
 public:
  Tiers(Arena* arena, Reclaimer* reclaimer) : arena_(arena), reclaimer_(reclaimer) {}

  Tier At(const Run& run, Slot slot, uint32_t block) const;
  // Says that the slot's blocks [begin, end) are fastest in `tier`.
  void Set(Run* run, Slot slot, uint32_t begin, uint32_t end, Tier tier) const;
  void Forget(Run* run, Slot slot) const { Set(run, slot, 0, kMaxRunBlocks, Tier::kGpu); }

  const TierTable* TableOf(const Run& run) const {
    const Granule table = run.tiers.load(std::memory_order_acquire);
    return table == 0 ? nullptr : arena_->At<TierTable>(table);
  }
  // Empty: all that the slot covers is in gpu.
  static TierCell Find(const TierTable& table, Slot slot);
  // As far as the first `blocks` blocks go.
  TierMap MapAt(Granule map, uint32_t blocks) const;

 private:
  TierMap MapOf(TierCell cell) const;
  TierTable* New(uint32_t granules) const;
  void Retire(const TierTable& table) const;
  // Moves the cells to a table of so many granules.
  TierTable* Resize(Run* run, const TierTable& old, uint32_t granules) const;
  // The table has no cell of that slot.
  void Insert(Run* run, TierTable* table, TierCell cell) const;
  void Erase(Run* run, TierTable* table, uint32_t at) const;

  Arena* const arena_;
  Reclaimer* const reclaimer_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_TIERS_H_
