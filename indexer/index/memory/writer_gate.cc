#include "indexer/index/memory/writer_gate.h"

#include <thread>

namespace kvroute {

using epoch_internal::domain;
using epoch_internal::kIdle;
using epoch_internal::mine;
using epoch_internal::Participant;

namespace {

constexpr uint64_t kPhaseBits = 3;

const Participant* ParticipantOf(uint64_t state) {
  const Participant* p = domain.participants.load(std::memory_order_acquire);
  while (reinterpret_cast<uintptr_t>(p) != (state & ~kPhaseBits)) p = p->next;  // never freed
  return p;
}

}  // namespace

// The order that all rests on: a writer pins, then loads the state; who changes the state then
// makes all threads pass a barrier, then looks at pins. So either the change is seen, or the pin.
void WriterGate::EnterBesideOthers() {
  for (;;) {
    const uint64_t state = state_.load(std::memory_order_seq_cst);
    const auto phase = static_cast<Phase>(state & kPhaseBits);
    const bool is_mine = state == Mine(phase);
    if (phase == kShared) return MaybeClaim();
    if (phase == kClaims && is_mine) {
      // Whoever entered since the claim took it back. Who entered before is gone if its pin is.
      if (epoch_internal::OldestPin() >= claim_epoch_.load(std::memory_order_relaxed)) {
        Change(state, Mine(kAlone));
      }
      return;
    }
    if (phase == kAlone && is_mine) return;
    if (phase == kClaims || is_mine) {
      Change(state, kShared);  // it was not alone yet; or it is this thread, which is in no write
    } else {
      End(state);
    }
  }
}

void WriterGate::MaybeClaim() {
  if (++mine->writes % kClaimAfter != 0) return;
  if (last_seen_.exchange(mine, std::memory_order_relaxed) != mine) return;
  if (!Change(kShared, Mine(kClaims))) return;
  claim_epoch_.store(domain.epoch.fetch_add(1) + 1, std::memory_order_relaxed);
  epoch_internal::PassBarrierOnAllThreads();
}

// Waits without a pin: the other may be waiting for this thread's at another gate.
void WriterGate::End(uint64_t state) {
  const Participant* const other = ParticipantOf(state);
  const uint64_t ending = (state & ~kPhaseBits) | kIsEnded;
  if (state != ending && !Change(state, ending)) return;
  epoch_internal::Unpin();
  epoch_internal::PassBarrierOnAllThreads();
  while (state_.load(std::memory_order_acquire) == ending &&
         other->pinned.load(std::memory_order_seq_cst) != kIdle) {
    std::this_thread::yield();
  }
  Change(ending, kShared);
  epoch_internal::Pin();
}

}  // namespace kvroute
