#ifndef KVROUTE_INDEXER_INDEX_MEMORY_WRITER_GATE_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_WRITER_GATE_H_

#include <atomic>
#include <cstdint>

#include "indexer/index/memory/epoch.h"

namespace kvroute {

// Tells a writer whether it is the only one, so that it can do without the locks that are there for
// others. A lock taken for each block of an event is a tenth of what the block costs, and where one
// lane has all streams nobody else writes, but for the scrubber now and then.
//
// A thread that has written for a while and saw no other claims the gate; when every pin that
// existed at the claim is gone, it writes alone. Another writer ends that: it says so, and waits
// until the first is out of the write that it may be in. So who is alone pays a load for each
// write, and the few who change places pay for a barrier on all threads. (The idea of biased
// locks.)
//
// Thread safety: any thread. Consistency: a write inside which Alone() was true happens before
// every write entered later, and after every one entered earlier.
class WriterGate {
 public:
  // Writes that a thread must have made, and seen no other writer meanwhile, to claim the gate.
  static constexpr uint32_t kClaimAfter = 256;

  // At the start of every write: under its EpochPin, which may be renewed, so with nothing looked
  // at yet; and without locks.
  void Enter() {
    if (state_.load(std::memory_order_seq_cst) != Mine(kAlone)) [[unlikely]]
      EnterBesideOthers();
  }
  // Within a write: whether nobody else is within one. Once false, it stays so until the end.
  bool Alone() const { return state_.load(std::memory_order_relaxed) == Mine(kAlone); }

 private:
  using Participant = epoch_internal::Participant;
  // What the participant in the rest of the bits does. kShared: there is none, and all lock.
  enum Phase : uint64_t { kShared = 0, kAlone = 1, kClaims = 2, kIsEnded = 3 };

  static uint64_t Mine(Phase phase) {
    return reinterpret_cast<uintptr_t>(epoch_internal::mine) | phase;
  }
  void EnterBesideOthers();
  void MaybeClaim();
  // Asks the thread that writes alone to lock from now on; `state` is what it was.
  void End(uint64_t state);
  bool Change(uint64_t from, uint64_t to) { return state_.compare_exchange_strong(from, to); }

  alignas(128) std::atomic<uint64_t> state_{kShared};
  std::atomic<uint64_t> claim_epoch_{0};
  std::atomic<const Participant*> last_seen_{nullptr};  // who came to MaybeClaim last
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_WRITER_GATE_H_
