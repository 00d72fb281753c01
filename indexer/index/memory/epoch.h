#ifndef KVROUTE_INDEXER_INDEX_MEMORY_EPOCH_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_EPOCH_H_

#include <atomic>
#include <cstdint>
#include <limits>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {

// How memory that was unlinked is kept until no reader looks at it any more. A reader pins: it
// writes the number of the current epoch into a cache line of its own, and erases it when it is
// done. Who has unlinked something may reuse it once no pin from before is left (Reclaimer).
//
// Invariants, each with why it holds and the test that fails without it:
//
// E1. A thread's pin is visible to everybody before the thread loads anything under it.
//     Storing the pin does not do that by itself, on any processor. Where the system can make all
//     threads pass a full barrier (membarrier), whoever is about to look at pins asks for that:
//     a thread that the barrier caught behind its store has shown its pin, and one that it caught
//     before will load only what is linked now. Elsewhere a pin ends with a full barrier of its
//     own: on x86 the exchange that a sequentially consistent store is; on ARM, whose store-release
//     lets later loads pass, an explicit fence.
//     Test: ReclaimerTest.NoReaderIsOvertaken (needs two cores to fail).
// E2. Who pins epoch e sees everything that was unlinked before e began.
//     The epoch is advanced by a read-modify-write and read with acquire, so a pin comes after
//     whatever its epoch's beginning came after. What was unlinked is tagged with a later epoch
//     than the one read after the unlinking; that load comes behind a full barrier
//     (Reclaimer::Retire), else it could be done before the unlinking is visible.
//     Test: ReclaimerTest.WaitsForPinsFromBefore, and none for the barrier: on x86 it is the lock.
// E3. Whoever has seen a pin gone, or replaced by a later one, comes after all that its thread did
//     under it: Unpin and Pin both store with release and are loaded with acquire or more.
//     Test: none; on x86 every store is a release.
// E4. A thread has one pin at most: the end of an inner one would end the outer one as well.
//     Test: EpochTest.NestedPinsAreCaught, in builds with assertions.
// E5. Participants are never freed, so that the list of them can be walked at any time.
//     Test: EpochTest.AThreadThatEndsLeavesItsLineToTheNext.
namespace epoch_internal {

inline constexpr uint64_t kIdle = std::numeric_limits<uint64_t>::max();

// One thread's line.
struct alignas(128) Participant {
  std::atomic<uint64_t> pinned{kIdle};  // the epoch that was current when the pin was made
  std::atomic<bool> taken{true};
  uint32_t writes = 0;  // of the thread itself: see WriterGate
  uint32_t number = 0;  // no two have the same
  Participant* next = nullptr;
};

struct alignas(128) Domain {
  std::atomic<uint64_t> epoch{1};
  // Whether whoever looks at pins makes every thread pass a barrier, so that pins need none (E1).
  bool barrier_free_pins = false;
  alignas(128) std::atomic<Participant*> participants{nullptr};
};
extern Domain domain;
extern constinit thread_local Participant* mine;
void Join();  // sets `mine`

inline void Pin() {
  if (mine == nullptr) Join();
  KVROUTE_DCHECK(mine->pinned.load(kRelaxed) == kIdle);  // E4
  const uint64_t epoch = domain.epoch.load(kAcquire);
  if (domain.barrier_free_pins) {
    mine->pinned.store(epoch, kRelease);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return;
  }
#ifdef __x86_64__
  mine->pinned.store(epoch, std::memory_order_seq_cst);
#else
  mine->pinned.store(epoch, kRelease);
  FullBarrier();
#endif
}
inline void Unpin() { mine->pinned.store(kIdle, kRelease); }

// After it, every thread has either made its pin visible or will see all that was written before.
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

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_EPOCH_H_
