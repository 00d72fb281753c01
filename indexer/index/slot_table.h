#ifndef KVROUTE_INDEXER_INDEX_SLOT_TABLE_H_
#define KVROUTE_INDEXER_INDEX_SLOT_TABLE_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/index/memory/zeroed_array.h"
#include "indexer/index/runs/place.h"
#include "indexer/index/stream_id.h"

namespace kvroute {

// Which stream owns which slot. A retired slot has no owner from that moment on, so readers ignore
// it wherever they still find it. It is given out again after it has been scrubbed (taken out of
// all runs) and every reader that may have seen it there is gone.
//
// Thread safety: all methods from any thread.
class SlotTable {
 public:
  // An owner of 0 is nobody: readers ignore the slot until it has one.
  std::optional<Slot> Take(StreamId owner);
  void SetOwner(Slot slot, StreamId owner) {
    owners_[slot].store(owner.value(), std::memory_order_release);
  }
  void Retire(Slot slot);
  // A bit for each slot that is retired and not yet being scrubbed; empty when none is.
  std::vector<uint64_t> BeginScrub();
  void EndScrub(const std::vector<uint64_t>& slots);

  // 0: nobody.
  StreamId Owner(Slot slot) const {
    return StreamId(owners_[slot].load(std::memory_order_acquire));
  }

 private:
  ZeroedArray<std::atomic<uint64_t>> owners_{kMaxSlots};
  Mutex mutex_;
  uint32_t used_ ABSL_GUARDED_BY(mutex_) = 0;  // slots below were given out at some time
  std::vector<Slot> free_ ABSL_GUARDED_BY(mutex_);
  std::vector<Slot> retired_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_SLOT_TABLE_H_
