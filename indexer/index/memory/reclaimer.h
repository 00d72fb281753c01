#ifndef KVROUTE_INDEXER_INDEX_MEMORY_RECLAIMER_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_RECLAIMER_H_

#include <cstdint>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/index/memory/arena.h"

namespace kvroute {

// What lies outside the arena and is retired like what lies in it.
class Retirable {
 public:
  virtual ~Retirable() = default;
};

// Memory of one index that was unlinked and that readers may still look at.
//
// An item is tagged with the epoch that begins after it was unlinked. A pin with this epoch or a
// later one was made by a thread that saw it unlinked (E2 in epoch.h), so the item goes once no
// older pin is left. Every reader reads the epoch, so it is only advanced once half a megabyte is
// waiting.
//
// Thread safety: all methods from any thread. Allocates only when more is waiting than ever before.
class Reclaimer {
 public:
  explicit Reclaimer(Arena* arena) : arena_(arena) {}
  ~Reclaimer();
  Reclaimer(const Reclaimer&) = delete;
  Reclaimer& operator=(const Reclaimer&) = delete;

  void Retire(Granule start, uint32_t granules);
  void Retire(const Retirable* object);  // may be null
  // Begins an epoch and frees what may go.
  void Collect();
  uint64_t WaitingBytes() const;

 private:
  struct Item {
    uint64_t epoch;
    Granule start;
    uint32_t granules;
    const Retirable* object;
  };
  void Add(Granule start, uint32_t granules, const Retirable* object);
  void Grow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FreeSettled() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Arena* const arena_;
  mutable Mutex mutex_;
  std::vector<Item> ring_ ABSL_GUARDED_BY(mutex_);  // size is a power of two
  uint64_t head_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t tail_ ABSL_GUARDED_BY(mutex_) = 0;
  // granules and items added since the epoch was last advanced
  uint64_t weight_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_RECLAIMER_H_
