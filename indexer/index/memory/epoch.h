#ifndef KVROUTE_INDEXER_INDEX_MEMORY_EPOCH_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_EPOCH_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/index/memory/arena.h"

namespace kvroute {

class RunTiers;

namespace epoch_internal {

inline constexpr uint64_t kIdle = std::numeric_limits<uint64_t>::max();

// One thread's line. Never freed: a thread that ends leaves it to the next one.
struct alignas(128) Participant {
  std::atomic<uint64_t> pinned{kIdle};
  std::atomic<bool> taken{true};
  uint32_t writes = 0;  // of the thread itself: see WriterGate
  Participant* next = nullptr;
};

struct alignas(128) Domain {
  std::atomic<uint64_t> epoch{1};
  // Whether reclaimers make every thread pass a barrier (membarrier), so that pins need none.
  bool barrier_free_pins = false;
  alignas(128) std::atomic<Participant*> participants{nullptr};
};
extern Domain domain;
extern constinit thread_local Participant* mine;
void Join();  // sets `mine`

inline void Pin() {
  if (mine == nullptr) Join();
  const uint64_t epoch = domain.epoch.load(std::memory_order_acquire);
  // A reclaimer that finds the line idle has unlinked before anything the reader will load.
  if (domain.barrier_free_pins) {
    mine->pinned.store(epoch, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } else {
    mine->pinned.store(epoch, std::memory_order_seq_cst);
  }
}
inline void Unpin() { mine->pinned.store(kIdle, std::memory_order_release); }

// After it, every thread has either made its pin visible or will see all that was written before.
// Where pins are sequentially consistent exchanges, that is so anyway.
void PassBarrierOnAllThreads();
uint64_t OldestPin();  // kIdle: there is none

}  // namespace epoch_internal

// While it lives, nothing that its thread could reach when it was made is reused. A reader writes
// only a cache line of its own; the epoch itself is read. Not nested. About 2 ns; 7 where the
// system has no membarrier.
class EpochPin {
 public:
  EpochPin() { epoch_internal::Pin(); }
  ~EpochPin() { epoch_internal::Unpin(); }
  EpochPin(const EpochPin&) = delete;
  EpochPin& operator=(const EpochPin&) = delete;
};

// Returns when every pin that existed at the call is gone. Not to be called under a pin.
void WaitForPins();

// Memory that was unlinked and that readers may still look at.
//
// An item is tagged with the epoch that begins after it was unlinked. A pin that carries this epoch
// or a later one was made after that, so the item may go once no older pin is left. The epoch is
// advanced once a batch, because every reader reads it.
//
// Thread safety: all methods from any thread. Allocates only when more is waiting than ever before.
class Reclaimer {
 public:
  explicit Reclaimer(Arena* arena) : arena_(arena) {}
  ~Reclaimer();

  void Retire(Granule start, uint32_t granules);
  void Retire(const RunTiers* tiers);
  // Frees what may go.
  void Collect();
  uint64_t WaitingBytes() const;

 private:
  struct Item {
    uint64_t epoch;
    Granule start;
    uint32_t granules;
    const RunTiers* tiers;
  };
  void Add(const Item& item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
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

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_EPOCH_H_
