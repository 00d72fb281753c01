#ifndef KVROUTE_INDEXER_INDEX_MEMORY_RECLAIMER_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_RECLAIMER_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/index/memory/arena.h"

namespace kvroute {

// Memory of one index that was unlinked and that readers may still look at.
//
// An item is tagged with the epoch that begins after it was unlinked. A pin with this epoch or a
// later one was made by a thread that saw it unlinked (E2 in epoch.h), so the item goes once no
// older pin is left. Every reader reads the epoch, so it is only advanced once half a megabyte is
// waiting.
//
// Nobody waits for more than a few items to be freed: what has piled up behind a reader that stood
// still goes little by little.
//
// Thread safety: all methods from any thread. Allocates only when more is waiting than ever before.
class Reclaimer {
 public:
  explicit Reclaimer(Arena* arena) : arena_(arena) {}
  Reclaimer(const Reclaimer&) = delete;
  Reclaimer& operator=(const Reclaimer&) = delete;

  void Retire(Granule start, uint32_t granules);
  // Begins an epoch and frees all that may go.
  void Collect();
  uint64_t WaitingBytes() const;
  // Of the arena; without a lock.
  uint64_t RetiredBytes() const {
    return retired_.load(std::memory_order_relaxed) * uint64_t{kGranuleBytes};
  }

 private:
  struct Item {
    uint64_t epoch;
    Granule start;
    uint32_t granules;
  };
  void Grow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Frees at most `most` items. Returns whether there may be more that may go.
  bool FreeSettled(uint64_t most) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Arena* const arena_;
  mutable Mutex mutex_;
  std::vector<Item> ring_ ABSL_GUARDED_BY(mutex_);  // size is a power of two
  uint64_t head_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t tail_ ABSL_GUARDED_BY(mutex_) = 0;
  // granules and items added since the epoch was last advanced
  uint64_t weight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> retired_{0};  // granules that wait; written under the mutex
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_RECLAIMER_H_
