// The part of StreamApplier for stored events whose parent was not known when they came.
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "indexer/stream/stream_applier.h"

namespace kvroute {

// All that waited is stored before any of it is removed again: a removed block may still be the
// parent of another.
void StreamApplier::ResolvePending(absl::Span<const EngineHash> stored) {
  std::vector<EngineHash> ready(stored.begin(), stored.end());
  std::vector<PendingEvents::Entry> resolved;
  while (!ready.empty()) {
    const EngineHash parent = ready.back();
    ready.pop_back();
    if (pending_.WasForgotten(parent)) Fault(TrustReason::kPendingOverflow);
    for (PendingEvents::Entry& entry : pending_.Take(parent)) {
      if (entry.contents.block_size != block_size_.size()) {  // it came before the size was known
        const bool tail = entry.contents.block_size < block_size_.size();
        if (!tail) Fault(TrustReason::kBlockSizeMismatch);
        tally_.Count(EventType::kStored, EventOutcome::kBlockSize);
        continue;
      }
      if (StoreBlocks(parent, entry.hashes, entry.contents, entry.stored_tier).status !=
          StoreStatus::kStored) {
        // There was no room; or a conflict of hashes, or others of these, dropped the parent
        // meanwhile.
        tally_.Count(EventType::kStored, EventOutcome::kPendingDropped);
        Fault(was_cut_back_ ? TrustReason::kMemoryLimit : TrustReason::kHashConflict);
        continue;
      }
      ready.insert(ready.end(), entry.hashes.begin(), entry.hashes.end());
      resolved.push_back(std::move(entry));
    }
  }
  ReplayCopies(resolved);
}

// What happened to the blocks while they waited. Those events were counted when they came.
void StreamApplier::ReplayCopies(absl::Span<const PendingEvents::Entry> resolved) {
  using Copy = std::pair<EngineHash, Tier>;
  absl::flat_hash_set<Copy> alive;
  std::vector<Copy> gone;
  for (const PendingEvents::Entry& entry : resolved) {
    for (size_t i = 0; i < entry.hashes.size(); ++i) {
      for (size_t t = 0; t < kTierCount; ++t) {
        const Copy copy(entry.hashes[i], static_cast<Tier>(t));
        const bool stored = copy.second == entry.stored_tier;
        const int more = entry.copies[i][t] - (stored ? 1 : 0);
        if (more < 0) gone.push_back(copy);
        if (more >= 0 && (stored || more > 0) && mode_ == CopyMode::kSet) alive.insert(copy);
        if (more > 0) AddCopies({&copy.first, 1}, copy.second, static_cast<uint32_t>(more));
      }
    }
  }
  for (const Copy& copy : gone) {
    if (alive.contains(copy)) continue;  // of a set, another event stored it again
    Remove({&copy.first, 1}, copy.second);
    ForgetSalts({&copy.first, 1});
  }
}

// Events that waited in vain and made room for others.
void StreamApplier::CountForgotten() {
  const PendingEvents::Forgotten forgotten = pending_.TakeForgotten();
  for (uint64_t i = 0; i < forgotten.events; ++i) {
    tally_.Count(EventType::kStored, EventOutcome::kPendingDropped);
  }
  if (forgotten.overflowed) Fault(TrustReason::kPendingOverflow);
}

}  // namespace kvroute
