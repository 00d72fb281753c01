// The part of RunStore that changes who covers which blocks of a run.
#include <algorithm>
#include <bitset>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"
#include "indexer/index/runs/run_store.h"

namespace kvroute {
namespace {

// Granules: a single one fits nothing until its neighbours are free, and stays for the run to grow
// into again.
constexpr uint32_t kLeastGivenBack = 2;

bool Marked(absl::Span<const uint64_t> slots, Slot slot) {
  return slot / 64u < slots.size() && (slots[slot / 64u] >> (slot % 64)) & 1;
}

}  // namespace

RunStore::Covered RunStore::CoveredAt(const Shard& shard, const Run& run, Slot slot,
                                      uint32_t offset) const {
  const uint32_t length = run.Length();
  const std::optional<HolderEntry> entry = holders_.Find(run, slot);
  if (!entry.has_value()) return Covered{false, 0, length};
  const uint32_t first_hole = entry->FirstHole(length);
  if (offset < first_hole) return Covered{true, 0, first_hole};
  if (!entry->islands()) return Covered{false, 0, length};
  for (const Interval& island : *shard.islands.Find(IslandKey(arena_.Of(&run), slot))) {
    if (offset < island.begin) return Covered{false, 0, island.begin};
    if (offset < island.end) return Covered{true, island.begin, island.end};
  }
  return Covered{false, 0, length};
}

RunStore::Intervals RunStore::CoverageOf(const Shard& shard, const Run& run,
                                         HolderEntry entry) const {
  Intervals coverage;
  const auto first_hole = static_cast<uint16_t>(entry.FirstHole(run.Length()));
  if (first_hole > 0) coverage.push_back(Interval{0, first_hole});
  if (entry.islands()) {
    const Intervals& islands = *shard.islands.Find(IslandKey(arena_.Of(&run), entry.slot()));
    coverage.insert(coverage.end(), islands.begin(), islands.end());
  }
  return coverage;
}

void RunStore::PutIslands(Shard& shard, Run* run, Slot slot, absl::Span<const Interval> islands) {
  const uint64_t key = IslandKey(arena_.Of(run), slot);
  if (islands.empty()) {
    const Intervals* gone = shard.islands.Find(key);
    if (gone == nullptr) return;
    shard.long_island_bytes -= HeapBytes(*gone);
    shard.islands.Erase(key);
    --run->island_holders;
  } else {
    const auto [kept, fresh] = shard.islands.TryEmplace(key);
    if (fresh) ++run->island_holders;
    shard.long_island_bytes -= HeapBytes(*kept);
    kept->assign(islands.begin(), islands.end());
    shard.long_island_bytes += HeapBytes(*kept);
  }
  CountIslands(shard);
}

uint64_t RunStore::HeapBytes(const Intervals& islands) {
  const size_t capacity = islands.capacity();
  return capacity > kInlineIslands ? capacity * sizeof(Interval) + kHeapOverheadBytes : 0;
}

void RunStore::CountIslands(Shard& shard) {
  const uint64_t bytes = shard.islands.Bytes() + shard.long_island_bytes;
  const uint64_t before = shard.island_bytes.load(kRelaxed);
  if (bytes == before) return;
  shard.island_bytes.store(bytes, kRelaxed);
  island_bytes_.fetch_add(bytes - before, kRelaxed);
}

// `coverage` is ascending and its intervals do not touch.
void RunStore::PutCoverage(Shard& shard, Run* run, Slot slot, const Intervals& coverage) {
  const bool from_start = !coverage.empty() && coverage.front().begin == 0;
  const uint32_t first_hole = from_start ? coverage.front().end : 0;
  const absl::Span<const Interval> islands =
      absl::MakeConstSpan(coverage).subspan(from_start ? 1 : 0);
  PutIslands(shard, run, slot, islands);
  if (coverage.empty()) {
    holders_.Erase(run, slot);
  } else {
    const bool all = first_hole == run->Length();
    holders_.Put(run, HolderEntry(slot, all ? HolderEntry::kAll : first_hole, !islands.empty()));
  }
}

void RunStore::AddCoverage(Shard& shard, Run* run, Slot slot, uint32_t begin, uint32_t end) {
  const std::optional<HolderEntry> entry = holders_.Find(*run, slot);
  const uint32_t length = run->Length();
  const uint32_t first_hole = entry.has_value() ? entry->FirstHole(length) : 0;
  if (begin == first_hole && !(entry.has_value() && entry->islands())) {
    holders_.Put(run, HolderEntry(slot, end == length ? HolderEntry::kAll : end, false));
    if (run->uncovered > 0) Add(&shard.covered_blocks, CountUncovered(shard, run));
    return;
  }
  Intervals merged;
  Interval added{static_cast<uint16_t>(begin), static_cast<uint16_t>(end)};
  bool placed = false;
  for (const Interval& old : entry.has_value() ? CoverageOf(shard, *run, *entry) : Intervals()) {
    if (old.end < added.begin) {
      merged.push_back(old);
    } else if (added.end < old.begin) {
      if (!placed) merged.push_back(added);
      placed = true;
      merged.push_back(old);
    } else {
      added = Interval{std::min(added.begin, old.begin), std::max(added.end, old.end)};
    }
  }
  if (!placed) merged.push_back(added);
  PutCoverage(shard, run, slot, merged);
  if (run->uncovered > 0) Add(&shard.covered_blocks, CountUncovered(shard, run));
}

void RunStore::DropCoverage(Shard& shard, Run* run, Slot slot, uint32_t begin, uint32_t end) {
  if (run->tiers.load(kRelaxed) != 0) tiers_.Set(run, slot, begin, end, Tier::kGpu);
  const std::optional<HolderEntry> entry = holders_.Find(*run, slot);
  KVROUTE_CHECK(entry.has_value());
  if (!entry->islands() && end == entry->FirstHole(run->Length())) {
    if (begin == 0) {
      holders_.Erase(run, slot);
    } else {
      holders_.Put(run, HolderEntry(slot, begin, false));
    }
    return;
  }
  Intervals left;
  for (const Interval& old : CoverageOf(shard, *run, *entry)) {
    if (old.begin < begin) {
      left.push_back(Interval{old.begin, std::min(old.end, static_cast<uint16_t>(begin))});
    }
    if (end < old.end) {
      left.push_back(Interval{std::max(old.begin, static_cast<uint16_t>(end)), old.end});
    }
  }
  PutCoverage(shard, run, slot, left);
}

uint32_t RunStore::CoveredEnd(const Shard& shard, const Run& run) const {
  const uint32_t length = run.Length();
  if (holders_.AnyAll(run)) return length;
  const auto* all_islands = &shard.islands;  // the analysis does not see the lock inside the lambda
  uint32_t end = 0;
  holders_.ForEach(run, [&](HolderEntry entry) {
    end = std::max(end, entry.FirstHole(length));
    if (!entry.islands()) return;
    const Intervals& islands = *all_islands->Find(IslandKey(arena_.Of(&run), entry.slot()));
    end = std::max<uint32_t>(end, islands.back().end);
  });
  return end;
}

uint32_t RunStore::UncoveredBlocks(const Shard& shard, const Run& run) const {
  if (holders_.AnyAll(run)) return 0;
  std::bitset<kMaxRunBlocks> covered;
  uint32_t from_start = 0;
  const uint32_t length = run.Length();
  const auto* all_islands = &shard.islands;  // the analysis does not see the lock inside the lambda
  holders_.ForEach(run, [&](HolderEntry entry) {
    from_start = std::max(from_start, entry.FirstHole(length));
    if (!entry.islands()) return;
    for (const Interval& island : *all_islands->Find(IslandKey(arena_.Of(&run), entry.slot()))) {
      for (uint32_t i = island.begin; i < island.end; ++i) covered.set(i);
    }
  });
  for (uint32_t i = 0; i < from_start; ++i) covered.set(i);
  return length - static_cast<uint32_t>(covered.count());
}

// A run ends where somebody's coverage ends, so only one with islands can have uncovered blocks.
int64_t RunStore::CountUncovered(const Shard& shard, Run* run) const {
  const uint32_t before = run->uncovered;
  if (run->island_holders == 0 && before == 0) return 0;
  const uint32_t now = run->island_holders == 0 ? 0 : UncoveredBlocks(shard, *run);
  run->uncovered = static_cast<uint16_t>(now);
  return int64_t{before} - int64_t{now};
}

bool RunStore::Settle(Shard& shard, Run* run) {
  const uint32_t length = run->Length();
  const uint32_t end = CoveredEnd(shard, *run);
  if (end == length) {
    if (run->island_holders > 0) Add(&shard.covered_blocks, CountUncovered(shard, run));
    return false;
  }
  if (end == 0) {
    Kill(shard, run);
    return true;
  }
  {
    RunEdit edit(run);
    run->length.store(static_cast<uint16_t>(end), kRelease);
    holders_.PromoteAll(run);
  }
  DropEngineHashes(*run, end, length);
  Add(&shard.covered_blocks, CountUncovered(shard, run) + int64_t{end} - int64_t{length});
  // Readers may still look at the blocks behind, so that part goes the way of a dead run.
  StopGrowing(shard, run);
  const uint32_t needed = Run::GranulesFor(end);
  if (run->granules - needed >= kLeastGivenBack) {
    reclaimer_.Retire(arena_.Of(run) + needed, run->granules - needed);
    run->granules = static_cast<uint16_t>(needed);
  }
  return false;
}

void RunStore::Kill(Shard& shard, Run* run) {
  const uint32_t length = run->Length();
  StopGrowing(shard, run);
  HeadsOf(shard).Erase(Hash(run->Prefix(0)).fragment(), arena_.Of(run));
  {
    RunEdit edit(run);
    run->flags.store(run->flags.load(kRelaxed) | Run::kDead, kRelease);
  }
  DropEngineHashes(*run, 0, length);
  Add(&shard.runs, -1);
  Add(&shard.covered_blocks, int64_t{run->uncovered} - int64_t{length});
  holders_.Release(run);
  reclaimer_.Retire(arena_.Of(run), run->granules);
}

void RunStore::ScrubRun(Shard& shard, Run* run, absl::Span<const uint64_t> slots) {
  absl::InlinedVector<Slot, 16> gone;
  holders_.ForEach(*run, [&](HolderEntry entry) {
    if (Marked(slots, entry.slot())) gone.push_back(entry.slot());
  });
  if (gone.empty()) return;
  for (const Slot slot : gone) {
    RunEdit edit(run);  // one each, so that readers get on in between
    tiers_.Forget(run, slot);
    PutIslands(shard, run, slot, {});
    holders_.Erase(run, slot);
  }
  Settle(shard, run);
}

void RunStore::Scrub(absl::Span<const uint64_t> slots, ThreadPulse* pulse) {
  constexpr uint32_t kBucketsALock = 4;  // 28 runs: a few hundred us if all of them die
  for (uint32_t i = 0; i < kShards; ++i) {
    pulse->Step();
    Shard& shard = shards_[i];
    // the table had this many buckets when the walk began; one that grew is walked again
    uint32_t walked = 0;
    for (uint32_t bucket = 0;;) {
      const Write write(this);
      MutexLock lock(&shard.mutex);
      const uint32_t buckets = heads_[i].Buckets();
      if (buckets != walked) bucket = 0;
      walked = buckets;
      const uint32_t end = std::min(buckets, bucket + kBucketsALock);
      absl::InlinedVector<Run*, size_t{kBucketsALock} * 8> runs;
      for (; bucket < end; ++bucket) {
        heads_[i].ForEachIn(bucket, [&](Granule granule) {
          Run* run = arena_.At<Run>(granule);
          __builtin_prefetch(run);
          runs.push_back(run);
        });
      }
      for (Run* run : runs) ScrubRun(shard, run, slots);
      if (bucket == buckets) break;
    }
  }
}

}  // namespace kvroute
