#include "indexer/index/runs/matched_tiers.h"

#include <algorithm>
#include <bit>

#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

// So many searches, among so many cells, take less than entering slots and going through all cells.
constexpr size_t kFewSearches = 12;
constexpr size_t kFewCells = 64;
// Going through a run's cells together with a cohort's slots takes half of the instructions of one
// after the other, but which slots have a cell should be foreseeable: so many of eight have.
constexpr size_t kForeseeableEighths = 7;
// Sums of so many blocks fit in the bits that TierSteps have for a tier.
constexpr uint32_t kMaxSummedBlocks = 1'023;
// No slot's.
constexpr TierCell kNoCell(~uint64_t{0});

size_t CountBits(absl::Span<const uint64_t> bits) {
  size_t count = 0;
  for (const uint64_t word : bits) count += static_cast<size_t>(std::popcount(word));
  return count;
}

// body(slot), ascending.
template <typename Body>
void ForEachBit(absl::Span<const uint64_t> bits, Body body) {
  for (size_t i = 0; i < bits.size(); ++i) {
    for (uint64_t word = bits[i]; word != 0; word &= word - 1) {
      body(static_cast<Slot>(i * 64 + static_cast<size_t>(__builtin_ctzll(word))));
    }
  }
}

inline void Write(StreamMatch* match, StreamId stream, uint32_t blocks,
                  const SlowerBlocks& slower) {
  match->stream = stream;
  match->blocks = blocks;
  match->blocks_by_tier[0] = blocks - slower.cpu - slower.disk - slower.external;
  match->blocks_by_tier[1] = slower.cpu;
  match->blocks_by_tier[2] = slower.disk;
  match->blocks_by_tier[3] = slower.external;
}

uint32_t Pack(const SlowerBlocks& slower) {
  return static_cast<uint32_t>(TierSteps(0, slower).bits());
}

}  // namespace

void MatchedTiers::Forget(uint32_t depth) {
  if (runs_.empty() || runs_.back().depth != depth) return;
  cell_count_ = runs_.back().begin;
  runs_.pop_back();
}

[[gnu::noinline]] void MatchedTiers::GrowCells(size_t wanted) {
  cells_.resize(wanted + wanted / 2);
}

inline TierCell* MatchedTiers::RoomFor(size_t cells) {
  const size_t wanted = cell_count_ + cells + 1;
  if (cells_.size() < wanted) [[unlikely]]
    GrowCells(wanted);
  return cells_.data() + cell_count_;
}

inline void MatchedTiers::Finish(uint32_t depth, uint32_t blocks, size_t count) {
  if (count == 0) return;
  runs_.push_back(TieredRun{depth, blocks, cell_count_, cell_count_ + count, cell_count_});
  cell_count_ += count;
  cells_[cell_count_++] = kNoCell;
}

void MatchedTiers::Copy(const Tiers& tiers, const TierTable& table, uint32_t depth,
                        uint32_t blocks) {
  const uint32_t used = table.used.load(kAcquire);
  TierCell* const cells = RoomFor(used);
  uint64_t any = 0;
  uint32_t i = 0;
  for (; i + 4 <= used; i += 4) {
    const TierCell four[] = {table.At(i), table.At(i + 1), table.At(i + 2), table.At(i + 3)};
    for (uint32_t j = 0; j < 4; ++j) cells[i + j] = four[j];
    any |= four[0].bits() | four[1].bits() | four[2].bits() | four[3].bits();
  }
  for (; i < used; ++i) {
    cells[i] = table.At(i);
    any |= cells[i].bits();
  }
  if (TierCell(any).is_map()) [[unlikely]]
    CopyMaps(tiers, blocks, cells, cells + used);
  Finish(depth, blocks, used);
}

void MatchedTiers::CopyOf(const Tiers& tiers, const TierTable& table, absl::Span<const Slot> slots,
                          uint32_t depth, uint32_t blocks) {
  TierCell* const cells = RoomFor(slots.size());
  size_t count = 0;
  for (const Slot slot : slots) {
    const TierCell cell = Tiers::Find(table, slot);
    if (!cell.empty()) cells[count++] = cell;
  }
  CopyMaps(tiers, blocks, cells, cells + count);
  Finish(depth, blocks, count);
}

void MatchedTiers::CopyMaps(const Tiers& tiers, uint32_t blocks, TierCell* begin, TierCell* end) {
  for (TierCell* cell = begin; cell < end; ++cell) {
    if (!cell->is_map()) continue;
    maps_.push_back(tiers.MapAt(cell->map(), blocks));
    *cell = TierCell::OfMap(cell->slot(), static_cast<Granule>(maps_.size() - 1));
  }
}

// When the prompt ends, or the slot's blocks do, within the steps.
[[gnu::noinline]] SlowerBlocks MatchedTiers::CountPart(TierCell cell, uint32_t blocks) const {
  return cell.is_map() ? maps_[cell.map()].Count(blocks) : cell.steps().Count(blocks);
}

// From where the last one was: they mostly come in the same order.
inline TierCell MatchedTiers::Search(TieredRun* run, Slot slot) const {
  const TierCell* const cells = cells_.data();
  size_t at = run->next;
  while (at < run->end && cells[at].slot() != slot) ++at;
  if (at == run->end) {
    at = run->begin;
    while (at < run->next && cells[at].slot() != slot) ++at;
    if (at == run->next) return TierCell();
  }
  run->next = at + 1;
  return cells[at];
}

void MatchedTiers::EmitFew(const SlotTable& slots, Scores scores, MatchResult* result) {
  if (result->matches.size() < scores.size()) result->matches.resize(scores.size());
  StreamMatch* const first = result->matches.data();
  StreamMatch* match = first;
  for (const auto& [slot, blocks] : scores) {
    const StreamId stream = slots.Owner(slot);
    if (stream == StreamId()) continue;  // cleared or closed
    SlowerBlocks slower;
    for (TieredRun& run : runs_) {
      if (run.depth >= blocks) break;
      const TierCell cell = Search(&run, slot);
      if (!cell.empty()) slower += Count(cell, std::min(blocks - run.depth, run.blocks));
    }
    Write(match++, stream, blocks, slower);
  }
  result->matches.resize(static_cast<size_t>(match - first));
}

StreamMatch* MatchedTiers::EmitScores(const SlotTable& slots, Scores scores) {
  StreamMatch* match = matches_;
  for (const auto& [slot, blocks] : scores) {
    const StreamId stream = slots.Owner(slot);
    if (stream == StreamId()) continue;
    slots_at_[static_cast<size_t>(match - matches_)] = slot;
    Write(match++, stream, blocks, SlowerBlocks());
  }
  return match;
}

void MatchedTiers::Enter(size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) places_[slots_at_[i]] = static_cast<uint16_t>(i);
  entered_ = end;
}

void MatchedTiers::Apply(const TieredRun& run, absl::Span<const TierCell> cells) {
  const size_t entered = entered_;
  const Slot* const slots_at = slots_at_.data();
  StreamMatch* const matches = matches_;
  for (const TierCell cell : cells) {
    const size_t at = places_[cell.slot()];
    if (at >= entered || slots_at[at] != cell.slot()) continue;
    StreamMatch* const match = matches + at;
    if (match->blocks <= run.depth) continue;
    const SlowerBlocks slower = Count(cell, std::min(match->blocks - run.depth, run.blocks));
    match->blocks_by_tier[0] -= slower.cpu + slower.disk + slower.external;
    match->blocks_by_tier[1] += slower.cpu;
    match->blocks_by_tier[2] += slower.disk;
    match->blocks_by_tier[3] += slower.external;
  }
}

// All slots of a cohort cover the same blocks of a run, so there is little to be done for each.
void MatchedTiers::SumUp(const Cohort& cohort, absl::Span<const TieredRun> runs) {
  uint32_t* const sums = &sums_[0];
  ForEachBit(cohort.bits, [&](Slot slot) { sums[slot] = 0; });
  for (const TieredRun& run : runs) {
    const uint32_t covered = std::min(cohort.blocks - run.depth, run.blocks);
    for (const TierCell cell : CellsOf(run)) {
      sums[cell.slot()] += cell.EndsWithin(covered) ? cell.low() : Pack(CountPart(cell, covered));
    }
  }
}

template <MatchedTiers::OtherRuns kOthers>
StreamMatch* MatchedTiers::EmitCohort(const SlotTable& slots, const Cohort& cohort,
                                      const TieredRun* run, StreamMatch* match) {
  const uint32_t blocks = cohort.blocks;
  const uint32_t covered = run == nullptr ? 0 : std::min(blocks - run->depth, run->blocks);
  const TierCell* cell = run == nullptr ? &kNoCell : &cells_[run->begin];
  [[maybe_unused]] const uint32_t* const sums = &sums_[0];
  [[maybe_unused]] Slot* slot_at = slots_at_.data() + (match - matches_);
  ForEachBit(cohort.bits, [&](Slot slot) {
    const StreamId stream = slots.Owner(slot);
    uint32_t low = kOthers == OtherRuns::kSummed ? sums[slot] : 0;
    if (cell->EndsWithin(covered, slot)) [[likely]] {
      low += cell++->low();
    } else if (cell->slot() <= slot) {
      const TierCell* const others = cell;
      while (cell->slot() < slot) ++cell;
      Apply(*run, absl::MakeConstSpan(others, cell));
      if (cell->slot() == slot) low += Pack(Count(*cell++, covered));
    }
    if (stream == StreamId()) [[unlikely]]
      return;
    Write(match++, stream, blocks, TierSteps(low).All());
    if constexpr (kOthers == OtherRuns::kFollow) *slot_at++ = slot;
  });
  if (run != nullptr) {
    Apply(*run, CellsOf(*run).subspan(static_cast<size_t>(cell - &cells_[run->begin])));
  }
  return match;
}

void MatchedTiers::Emit(const SlotTable& slots, Scores scores, const Cohort& cohort,
                        MatchResult* result) {
  if (cohort.bits.empty() && scores.size() * runs_.size() <= kFewSearches &&
      cell_count_ <= kFewCells) {
    return EmitFew(slots, scores, result);
  }
  const size_t cohort_slots = CountBits(cohort.bits);
  const size_t most = scores.size() + cohort_slots;
  // What is there of the last answer is written over.
  if (result->matches.size() < most) result->matches.resize(most);
  if (slots_at_.size() < most) slots_at_.resize(most);
  matches_ = result->matches.data();
  StreamMatch* match = EmitScores(slots, scores);
  const auto single = static_cast<size_t>(match - matches_);
  Enter(0, single);

  size_t of_cohort = runs_.size();
  while (of_cohort > 0 && runs_[of_cohort - 1].depth >= cohort.blocks) --of_cohort;
  const TieredRun* with = of_cohort > 0 ? &runs_[of_cohort - 1] : nullptr;
  if (with != nullptr && CellsOf(*with).size() * 8 < cohort_slots * kForeseeableEighths) {
    with = nullptr;
  }
  const auto others = absl::MakeConstSpan(runs_).first(of_cohort - (with == nullptr ? 0 : 1));
  const bool summed = !others.empty() && cohort.blocks <= kMaxSummedBlocks;
  if (summed) SumUp(cohort, others);
  if (others.empty()) {
    match = EmitCohort<OtherRuns::kNone>(slots, cohort, with, match);
  } else if (summed) {
    match = EmitCohort<OtherRuns::kSummed>(slots, cohort, with, match);
  } else {
    match = EmitCohort<OtherRuns::kFollow>(slots, cohort, with, match);
  }
  const auto all = static_cast<size_t>(match - matches_);
  if (!others.empty() && !summed) Enter(single, all);
  if (entered_ > 0) {
    for (const TieredRun& run : runs_) {
      if (&run != with) Apply(run, CellsOf(run));
    }
  }
  result->matches.resize(all);
}

}  // namespace kvroute
