#include "indexer/index/runs/tiers.h"

#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

constexpr uint32_t kCellsAGranule = kGranuleBytes / sizeof(uint64_t);
constexpr uint32_t kMapGranules = TierMap::kWords / kCellsAGranule;

uint32_t GranulesOf(uint32_t capacity) { return (capacity + 1) / kCellsAGranule; }
uint32_t CapacityOf(uint32_t granules) { return granules * kCellsAGranule - 1; }

// Where the first cell is whose slot is not below that.
uint32_t LowerBound(const TierTable& table, Slot slot) {
  uint32_t begin = 0;
  for (uint32_t count = table.used.load(kAcquire); count > 0;) {
    const uint32_t half = count / 2;
    if (table.At(begin + half).slot() < slot) {
      begin += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return begin;
}

bool IsAt(const TierTable& table, uint32_t at, Slot slot) {
  return at < table.used.load(kAcquire) && table.At(at).slot() == slot;
}

}  // namespace

TierCell Tiers::Find(const TierTable& table, Slot slot) {
  const uint32_t at = LowerBound(table, slot);
  return IsAt(table, at, slot) ? table.At(at) : TierCell();
}

TierMap Tiers::MapAt(Granule map, uint32_t blocks) const {
  const auto* words = arena_->At<std::atomic<uint64_t>>(map);
  TierMap copy;
  const uint32_t count = (blocks + TierMap::kWordBlocks - 1) / TierMap::kWordBlocks;
  for (uint32_t i = 0; i < count; ++i) copy.set_word(i, words[i].load(kAcquire));
  return copy;
}

TierMap Tiers::MapOf(TierCell cell) const {
  if (cell.empty()) return TierMap();
  return cell.is_map() ? MapAt(cell.map(), kMaxRunBlocks) : TierMap(cell.steps());
}

Tier Tiers::At(const Run& run, Slot slot, uint32_t block) const {
  const TierTable* table = TableOf(run);
  return table == nullptr ? Tier::kGpu : MapOf(Find(*table, slot)).At(block);
}

void Tiers::Set(Run* run, Slot slot, uint32_t begin, uint32_t end, Tier tier) const {
  const Granule granule = run->tiers.load(kRelaxed);
  TierTable* const table = granule == 0 ? nullptr : arena_->At<TierTable>(granule);
  const uint32_t at = table == nullptr ? 0 : LowerBound(*table, slot);
  const bool there = table != nullptr && IsAt(*table, at, slot);
  if (begin == end || (!there && tier == Tier::kGpu)) return;
  const TierCell old = there ? table->At(at) : TierCell();
  TierMap map = MapOf(old);
  map.Set(begin, end, tier);
  const std::optional<TierSteps> steps = map.Steps();
  if (steps.has_value() && steps->bits() == 0) {
    Erase(run, table, at);
  } else {
    TierCell cell(0);
    if (steps.has_value()) {
      cell = TierCell(slot, *steps);
    } else {
      cell = old.is_map() ? old : TierCell::OfMap(slot, arena_->Allocate(kMapGranules));
      auto* words = arena_->At<std::atomic<uint64_t>>(cell.map());
      for (uint32_t i = 0; i < TierMap::kWords; ++i) words[i].store(map.word(i), kRelease);
    }
    if (there) {
      table->cell(at).store(cell.bits(), kRelease);
    } else {
      Insert(run, table, cell);
    }
  }
  if (old.is_map() && steps.has_value()) reclaimer_->Retire(old.map(), kMapGranules);
}

TierTable* Tiers::New(uint32_t granules) const {
  auto* table = arena_->At<TierTable>(arena_->Allocate(granules));
  table->used.store(0, kRelaxed);
  table->capacity = CapacityOf(granules);
  return table;
}

void Tiers::Retire(const TierTable& table) const {
  reclaimer_->Retire(arena_->Of(&table), GranulesOf(table.capacity));
}

TierTable* Tiers::Resize(Run* run, const TierTable& old, uint32_t granules) const {
  TierTable* table = New(granules);
  const uint32_t used = old.used.load(kRelaxed);
  for (uint32_t i = 0; i < used; ++i) table->cell(i).store(old.At(i).bits(), kRelaxed);
  table->used.store(used, kRelaxed);
  run->tiers.store(arena_->Of(table), kRelease);
  Retire(old);
  return table;
}

void Tiers::Insert(Run* run, TierTable* table, TierCell cell) const {
  if (table == nullptr) {
    table = New(1);
    run->tiers.store(arena_->Of(table), kRelease);
  }
  const uint32_t used = table->used.load(kRelaxed);
  if (used == table->capacity) {
    const uint32_t granules = GranulesOf(used);
    table = Resize(run, *table, granules + (granules + 1) / 2);
  }
  uint32_t at = used;
  for (; at > 0 && table->At(at - 1).slot() > cell.slot(); --at) {
    table->cell(at).store(table->At(at - 1).bits(), kRelease);
  }
  table->cell(at).store(cell.bits(), kRelease);
  table->used.store(used + 1, kRelease);
}

void Tiers::Erase(Run* run, TierTable* table, uint32_t at) const {
  const uint32_t used = table->used.load(kRelaxed) - 1;
  if (used == 0) {
    run->tiers.store(0, kRelease);
    Retire(*table);
    return;
  }
  for (; at < used; ++at) table->cell(at).store(table->At(at + 1).bits(), kRelease);
  table->used.store(used, kRelease);
  const uint32_t granules = GranulesOf(table->capacity);
  if (granules > 1 && used < table->capacity / 3) Resize(run, *table, granules / 2);
}

}  // namespace kvroute
