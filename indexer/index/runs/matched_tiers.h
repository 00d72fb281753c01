#ifndef KVROUTE_INDEXER_INDEX_RUNS_MATCHED_TIERS_H_
#define KVROUTE_INDEXER_INDEX_RUNS_MATCHED_TIERS_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "indexer/index/match_result.h"
#include "indexer/index/memory/zeroed_array.h"
#include "indexer/index/runs/tier_map.h"
#include "indexer/index/runs/tiers.h"
#include "indexer/index/slot_table.h"

namespace kvroute {

// What the runs on a query's way say of slower tiers than gpu: copied while they are looked at, and
// put into the answer when it is known how far each slot holds the prompt.
//
// Cost: 8 bytes a slot and run, each read once, in the order in which they lie. A query without
// such runs asks `empty`, and that is all.
//
// Thread safety: one thread, like the Matcher that it belongs to.
class MatchedTiers {
 public:
  // Slots and how many leading blocks of the prompt each holds.
  using Scores = absl::Span<const std::pair<Slot, uint32_t>>;
  // Slots that all hold the prompt's first `blocks` blocks; a bit each.
  struct Cohort {
    absl::Span<const uint64_t> bits;
    uint32_t blocks;
  };

  void Clear() {
    runs_.clear();
    maps_.clear();
    cell_count_ = 0;
  }
  bool empty() const { return runs_.empty(); }

  // Copies a run's cells, to be called under its version; `blocks` of it, from block `depth` of the
  // prompt on, equal the prompt's.
  void Copy(const Tiers& tiers, const TierTable& table, uint32_t depth, uint32_t blocks);
  // The same of these slots only.
  void CopyOf(const Tiers& tiers, const TierTable& table, absl::Span<const Slot> slots,
              uint32_t depth, uint32_t blocks);
  // Of what was copied last, if it was for that depth: it was in vain.
  void Forget(uint32_t depth);

  // Makes the answer. No slot is in both.
  void Emit(const SlotTable& slots, Scores scores, const Cohort& cohort, MatchResult* result);

 private:
  // A run that says something. A cell that is a map has its number in maps_ instead of the map's
  // address. Behind the cells follows one of no slot.
  struct TieredRun {
    uint32_t depth;   // of its first block
    uint32_t blocks;  // that equal the prompt's
    size_t begin;     // its cells
    size_t end;
    size_t next;  // where Search begins
  };

  TierCell* RoomFor(size_t cells);
  void GrowCells(size_t wanted);
  void Finish(uint32_t depth, uint32_t blocks, size_t count);
  void CopyMaps(const Tiers& tiers, uint32_t blocks, TierCell* begin, TierCell* end);
  absl::Span<const TierCell> CellsOf(const TieredRun& run) const {
    return absl::MakeConstSpan(cells_).subspan(run.begin, run.end - run.begin);
  }

  // Of an answer of few slots, whose cells are looked for.
  TierCell Search(TieredRun* run, Slot slot) const;
  void EmitFew(const SlotTable& slots, Scores scores, MatchResult* result);
  // Both return the end of the answer, which EmitCohort goes on with at `match`.
  StreamMatch* EmitScores(const SlotTable& slots, Scores scores);
  // `run`: the one whose cells are gone through together with the cohort's slots; may be null.
  // What other runs say of the cohort: nothing, what sums_ has, or it is left to Apply.
  enum class OtherRuns : uint8_t { kNone, kSummed, kFollow };
  template <OtherRuns kOthers>
  StreamMatch* EmitCohort(const SlotTable& slots, const Cohort& cohort, const TieredRun* run,
                          StreamMatch* match);
  // Into sums_: what the runs say of the cohort's slots.
  void SumUp(const Cohort& cohort, absl::Span<const TieredRun> runs);
  // Of the answer's matches, those of single slots first: lets Apply find them.
  void Enter(size_t begin, size_t end);
  // What a run's cells say of the slots that were entered.
  void Apply(const TieredRun& run, absl::Span<const TierCell> cells);

  // Of the slot's blocks in the cell's run, the first `blocks` of them.
  SlowerBlocks Count(TierCell cell, uint32_t blocks) const {
    return cell.EndsWithin(blocks) ? cell.All() : CountPart(cell, blocks);
  }
  SlowerBlocks CountPart(TierCell cell, uint32_t blocks) const;

  std::vector<TieredRun> runs_;
  std::vector<TierCell> cells_;  // as many as ever; cell_count_ of them are this query's
  size_t cell_count_ = 0;
  std::vector<TierMap> maps_;

  // The answer that is being made, which slot each match in it is of, and, of the first `entered_`,
  // where a slot's is: slots_at_[places_[slot]] is the slot if it is one of them, and places_ has
  // anything for others.
  StreamMatch* matches_ = nullptr;
  std::vector<Slot> slots_at_;
  size_t entered_ = 0;
  ZeroedArray<uint16_t> places_{kMaxSlots + 1};
  // By slot, of those of the cohort: what several runs say together, as TierSteps without an end.
  ZeroedArray<uint32_t> sums_{kMaxSlots + 1};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_MATCHED_TIERS_H_
