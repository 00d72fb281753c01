// The part of RunStore that changes who covers which blocks of a run.
#include <algorithm>
#include <bitset>

#include "absl/container/flat_hash_set.h"
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
  for (const Interval& island : shard.islands.at(IslandKey(arena_.Of(&run), slot))) {
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
    const Intervals& islands = shard.islands.at(IslandKey(arena_.Of(&run), entry.slot()));
    coverage.insert(coverage.end(), islands.begin(), islands.end());
  }
  return coverage;
}

// `coverage` is ascending and its intervals do not touch.
void RunStore::PutCoverage(Shard& shard, Run* run, Slot slot, const Intervals& coverage) {
  const uint64_t key = IslandKey(arena_.Of(run), slot);
  const bool from_start = !coverage.empty() && coverage.front().begin == 0;
  const uint32_t first_hole = from_start ? coverage.front().end : 0;
  const bool islands = coverage.size() > (from_start ? 1u : 0u);
  if (islands) {
    shard.islands[key] = Intervals(coverage.begin() + (from_start ? 1 : 0), coverage.end());
  } else {
    shard.islands.erase(key);
  }
  if (coverage.empty()) {
    holders_.Erase(run, slot);
  } else {
    const bool all = first_hole == run->Length();
    holders_.Put(run, HolderEntry(slot, all ? HolderEntry::kAll : first_hole, islands));
  }
}

void RunStore::AddCoverage(Shard& shard, Run* run, Slot slot, uint32_t begin, uint32_t end) {
  const std::optional<HolderEntry> entry = holders_.Find(*run, slot);
  const uint32_t length = run->Length();
  const uint32_t first_hole = entry.has_value() ? entry->FirstHole(length) : 0;
  if (begin == first_hole && !(entry.has_value() && entry->islands())) {
    holders_.Put(run, HolderEntry(slot, end == length ? HolderEntry::kAll : end, false));
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
}

void RunStore::DropCoverage(Shard& shard, Run* run, Slot slot, uint32_t begin, uint32_t end) {
  if (run->tiers.load(kRelaxed) != nullptr) SetTiers(run, slot, begin, end, Tier::kGpu);
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

// Says that the slot's blocks [begin, end) are fastest in `tier`; kGpu needs no saying and only
// takes back what was said.
void RunStore::SetTiers(Run* run, Slot slot, uint32_t begin, uint32_t end, Tier tier) {
  const RunTiers* old = run->tiers.load(kRelaxed);
  auto* changed = new RunTiers;
  RunTiers::Range added{slot, static_cast<uint16_t>(begin), static_cast<uint16_t>(end), tier};
  if (old != nullptr) {
    for (RunTiers::Range range : old->ranges) {
      if (range.slot != slot || range.end < begin || end < range.begin) {
        changed->ranges.push_back(range);
        continue;
      }
      if (range.tier == tier) {  // neighbours of one tier become one
        added.begin = std::min(added.begin, range.begin);
        added.end = std::max(added.end, range.end);
        continue;
      }
      RunTiers::Range behind = range;
      range.end = std::min(range.end, static_cast<uint16_t>(begin));
      behind.begin = std::max(behind.begin, static_cast<uint16_t>(end));
      if (range.begin < range.end) changed->ranges.push_back(range);
      if (behind.begin < behind.end) changed->ranges.push_back(behind);
    }
  }
  if (tier != Tier::kGpu) changed->ranges.push_back(added);
  if (changed->ranges.empty()) {
    delete changed;
    changed = nullptr;
  }
  run->tiers.store(changed, kRelease);
  reclaimer_.Retire(old);
}

uint32_t RunStore::CoveredEnd(const Shard& shard, const Run& run) const {
  const uint32_t length = run.Length();
  if (holders_.AnyAll(run)) return length;
  const auto* all_islands = &shard.islands;  // the analysis does not see the lock inside the lambda
  uint32_t end = 0;
  holders_.ForEach(run, [&](HolderEntry entry) {
    end = std::max(end, entry.FirstHole(length));
    if (!entry.islands()) return;
    const Intervals& islands = all_islands->at(IslandKey(arena_.Of(&run), entry.slot()));
    end = std::max<uint32_t>(end, islands.back().end);
  });
  return end;
}

// A run ends where somebody's coverage ends, so only one with islands can have uncovered blocks.
uint64_t RunStore::UncoveredBlocks(const Shard& shard) const {
  absl::flat_hash_set<Granule> runs;
  for (const auto& [key, islands] : shard.islands) runs.insert(static_cast<Granule>(key >> 16));
  uint64_t uncovered = 0;
  for (const Granule granule : runs) {
    const Run& run = *arena_.At<Run>(granule);
    if (holders_.AnyAll(run)) continue;
    std::bitset<kMaxRunBlocks> covered;
    std::vector<HolderEntry> entries;
    holders_.ForEach(run, [&](HolderEntry entry) { entries.push_back(entry); });
    for (const HolderEntry entry : entries) {
      for (const Interval& interval : CoverageOf(shard, run, entry)) {
        for (uint32_t i = interval.begin; i < interval.end; ++i) covered.set(i);
      }
    }
    uncovered += run.Length() - covered.count();
  }
  return uncovered;
}

bool RunStore::Settle(Shard& shard, Run* run) {
  const uint32_t length = run->Length();
  const uint32_t end = CoveredEnd(shard, *run);
  if (end == length) return false;
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
  shard.blocks -= length - end;
  // Readers may still look at the blocks behind, so that part goes the way of a dead run.
  const uint32_t needed = Run::GranulesFor(end);
  if (run->granules - needed >= kLeastGivenBack) {
    reclaimer_.Retire(arena_.Of(run) + needed, run->granules - needed);
    run->granules = static_cast<uint16_t>(needed);
  }
  return false;
}

void RunStore::Kill(Shard& shard, Run* run) {
  const uint32_t length = run->Length();
  HeadsOf(shard).Erase(Hash(run->Prefix(0)).fragment(), arena_.Of(run));
  {
    RunEdit edit(run);
    run->flags.store(Run::kDead, kRelease);
  }
  DropEngineHashes(*run, 0, length);
  shard.blocks -= length;
  holders_.Release(run);
  reclaimer_.Retire(run->tiers.load(kRelaxed));
  reclaimer_.Retire(arena_.Of(run), run->granules);
}

void RunStore::ScrubRun(Shard& shard, Run* run, absl::Span<const uint64_t> slots) {
  absl::InlinedVector<Slot, 16> gone;
  holders_.ForEach(*run, [&](HolderEntry entry) {
    if (Marked(slots, entry.slot())) gone.push_back(entry.slot());
  });
  if (gone.empty()) return;
  {
    RunEdit edit(run);
    for (const Slot slot : gone) {
      if (run->tiers.load(kRelaxed) != nullptr) {
        SetTiers(run, slot, 0, run->Length(), Tier::kGpu);
      }
      shard.islands.erase(IslandKey(arena_.Of(run), slot));
      holders_.Erase(run, slot);
    }
  }
  Settle(shard, run);
}

void RunStore::Scrub(absl::Span<const uint64_t> slots) {
  constexpr uint32_t kBucketsALock = 16;
  for (uint32_t i = 0; i < kShards; ++i) {
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
