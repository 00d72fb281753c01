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
//
// One word, `state_`, says who has the gate (a participant's number), in which phase, and since
// which epoch. Invariants, each with why it holds and the test that fails without it:
//
// G1. Whoever changes the word and then looks at pins misses no writer that has not seen the
//     change. A writer pins before it loads the word; who changed the word makes all threads pass a
//     barrier before it looks (E1 in epoch.h). So either the writer sees the change, or its pin is
//     seen. Test: NoWriteIsLostWhileTheGateIsClaimedAllTheTime (without barriers it fails in most
//     runs, and needs two cores for that).
// G2. A thread writes alone only if no writer from before its claim is left. The epoch of a claim
//     begins after the claim was made, so whoever entered without seeing the claim has an older
//     pin. Epoch and claim are one word: a claim that was taken back before it had its epoch gets
//     none, and no thread ever judges by the epoch of another claim.
//     Tests: AReaderInTheWayOnlyDelaysIt, AClaimTakenBackBeforeItHasItsEpochIsNone.
// G3. A word with an epoch never comes back: no two claims have the same epoch. So a thread that
//     held an old word for a long time and now wants to change it does nothing, instead of opening
//     the gate beside somebody who is alone by a later claim.
//     Test: WhoWaitedForAnOldWriterDoesNotOpenTheGateBesideANewOne.
// G4. Only the thread that has the gate can become alone; everybody else only ends its claim or
//     asks it to lock. So within a write Alone() becomes false once at most, and never true.
//     Tests: AClaimTakenBackBeforeItHasItsEpochIsNone, AnotherWriterEndsIt.
// G5. Who asked another to lock enters only when the other has no pin, or has seen the request.
//     It waits without a pin and without locks, so that nobody waits in a circle.
//     Tests: AnotherWriterWaitsUntilWhoIsAloneIsOutOfItsWrite, WaitingForEachOtherEnds.
class WriterGate {
 public:
  // Writes that a thread must have made, and seen no other writer meanwhile, to claim the gate.
  static constexpr uint32_t kClaimAfter = 256;

  // At the start of every write: under its EpochPin, which may be renewed, so with nothing looked
  // at yet; and without locks.
  void Enter() {
    if (!IsMineAlone(state_.load(std::memory_order_seq_cst))) [[unlikely]]
      EnterBesideOthers();
  }
  // Within a write: whether nobody else is within one. Once false, it stays so until the end.
  bool Alone() const { return IsMineAlone(state_.load(std::memory_order_relaxed)); }

 private:
  friend class WriterGatePeer;  // of the tests: stops a thread between two steps
  using Participant = epoch_internal::Participant;

  // What the participant in the word does. kShared: there is none, and all lock.
  enum Phase : uint64_t { kShared = 0, kAlone = 1, kClaims = 2, kIsEnded = 3 };
  // The word: two bits of phase, 20 of the participant's number, 42 of the claim's epoch, which is
  // 0 in a claim that has none yet. A thread whose number or epoch does not fit always locks.
  static constexpr uint64_t kPhaseMask = 3;
  static constexpr int kNumberShift = 2;
  static constexpr uint64_t kNumbers = uint64_t{1} << 20;
  static constexpr int kEpochShift = 22;
  static constexpr uint64_t kEpochs = uint64_t{1} << 42;
  static constexpr uint64_t kWhoMask = (uint64_t{1} << kEpochShift) - 1;  // number and phase

  // The word without its epoch, for this thread.
  static uint64_t Mine(Phase phase) {
    return uint64_t{epoch_internal::mine->number} << kNumberShift | phase;
  }
  static bool IsMineAlone(uint64_t state) { return (state & kWhoMask) == Mine(kAlone); }
  void EnterBesideOthers();
  void MaybeClaim();
  // Gives this thread's new claim its epoch, unless it was taken back meanwhile.
  void DateClaim();
  // Asks the thread that writes alone to lock from now on; `state` is what it was.
  void End(uint64_t state);
  bool Change(uint64_t from, uint64_t to) { return state_.compare_exchange_strong(from, to); }

  alignas(128) std::atomic<uint64_t> state_{kShared};
  std::atomic<const Participant*> last_seen_{nullptr};  // who came to MaybeClaim last
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_WRITER_GATE_H_
