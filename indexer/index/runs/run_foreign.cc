// The part of RunStore for blocks that a stream knows by foreign hashes: it says
// where they are, and only their coverage changes.
#include <algorithm>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"
#include "indexer/index/runs/run_store.h"

namespace kvroute {
uint32_t RunStore::CoverStretch(Slot slot, Place place, absl::Span<const PrefixHash> prefixes) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  const uint32_t length = run->Length();
  if (run->Dead() || place.offset >= length) return 0;
  const Covered covered = CoveredAt(shard, *run, slot, place.offset);
  if (covered.covered) return 0;
  const auto most = std::min<size_t>(prefixes.size(), covered.until - place.offset);
  uint32_t count = 0;
  while (count < most && run->Prefix(place.offset + count) == prefixes[count].value()) ++count;
  if (count == 0) return 0;
  run->flags.store(run->flags.load(kRelaxed) | Run::kFixed, kRelease);
  RunEdit edit(run);
  AddCoverage(shard, run, slot, place.offset, place.offset + count);
  return count;
}

void RunStore::UncoverStretch(Slot slot, Place place, uint32_t count, Place* cursor) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  const uint32_t begin = place.offset;
  const uint32_t end = begin + count;
  KVROUTE_CHECK(!run->Dead() && end <= run->Length());
  const Covered covered = CoveredAt(shard, *run, slot, begin);
  KVROUTE_CHECK(covered.covered && end <= covered.until);
  {
    RunEdit edit(run);
    DropCoverage(shard, run, slot, begin, end);
  }
  *cursor = Place{};
  if (Settle(shard, run)) return;
  if (begin > covered.begin) {
    *cursor = PlaceOf(*run, begin - 1);
  } else if (end < covered.until) {
    *cursor = PlaceOf(*run, end);
  }
}

RunStore::Coverage RunStore::Cover(Slot slot, Place place, uint64_t prefix, Tier tier, bool fix) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  if (run->Dead() || place.offset >= run->Length() || run->Prefix(place.offset) != prefix) {
    return Coverage::kGone;
  }
  if (fix) run->flags.store(run->flags.load(kRelaxed) | Run::kFixed, kRelease);
  if (CoveredAt(shard, *run, slot, place.offset).covered) return Coverage::kAlready;
  RunEdit edit(run);
  AddCoverage(shard, run, slot, place.offset, place.offset + 1u);
  if (tier != Tier::kGpu) tiers_.Set(run, slot, place.offset, place.offset + 1u, tier);
  return Coverage::kNew;
}

void RunStore::Uncover(Slot slot, Place place) {
  const bool covered = UncoverIfCovered(slot, place);
  KVROUTE_CHECK(covered);
}

bool RunStore::UncoverIfCovered(Slot slot, Place place) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  if (run->Dead() || place.offset >= run->Length() ||
      !CoveredAt(shard, *run, slot, place.offset).covered) {
    return false;
  }
  {
    RunEdit edit(run);
    DropCoverage(shard, run, slot, place.offset, place.offset + 1u);
  }
  Settle(shard, run);
  return true;
}

void RunStore::SetTier(Slot slot, Place place, Tier tier) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  if (tiers_.At(*run, slot, place.offset) == tier) return;
  RunEdit edit(run);
  tiers_.Set(run, slot, place.offset, place.offset + 1u, tier);
}

}  // namespace kvroute
