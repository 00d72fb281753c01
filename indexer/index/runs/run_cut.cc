// The part of RunStore that says what a stream could give up, and how much memory all of it takes.
#include "indexer/index/memory/memory_order.h"
#include "indexer/index/runs/run_store.h"

namespace kvroute {

RunStore::Holding RunStore::HoldingAt(Slot slot, Place place) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  if (run->Dead() || place.offset >= run->Length()) return {};
  const Covered covered = CoveredAt(shard, *run, slot, place.offset);
  if (!covered.covered) return {};
  const uint8_t flags = run->flags.load(kRelaxed);
  if ((flags & Run::kTouched) != 0) {
    run->flags.store(static_cast<uint8_t>(flags & ~Run::kTouched), kRelease);
  }
  return Holding{.count = covered.until - place.offset,
                 .sole = holders_.IsSole(*run, slot),
                 .touched = (flags & Run::kTouched) != 0};
}

uint64_t RunStore::UsedBytes() const {
  const uint64_t used = arena_.UsedBytes();
  const uint64_t retired = reclaimer_.RetiredBytes();
  const uint64_t in_arena = used > retired ? used - retired : 0;  // each read at its own moment
  return in_arena + island_bytes_.load(kRelaxed);
}

}  // namespace kvroute
