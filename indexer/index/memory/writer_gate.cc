#include "indexer/index/memory/writer_gate.h"

#include <thread>

namespace kvroute {

using epoch_internal::domain;
using epoch_internal::kIdle;
using epoch_internal::mine;
using epoch_internal::Participant;

namespace {

const Participant* ParticipantWith(uint64_t number) {
  const Participant* p = domain.participants.load(std::memory_order_acquire);
  while (p->number != number) p = p->next;  // never freed
  return p;
}

}  // namespace

void WriterGate::EnterBesideOthers() {
  for (;;) {
    const uint64_t state = state_.load(std::memory_order_seq_cst);
    const auto phase = static_cast<Phase>(state & kPhaseMask);
    const bool is_mine = (state & kWhoMask) == Mine(phase);
    if (phase == kShared) return MaybeClaim();
    if (phase == kClaims && is_mine) {
      // Whoever entered since the claim took it back. Who entered before is gone if its pin is.
      if (epoch_internal::OldestPin() >= state >> kEpochShift) {
        Change(state, (state & ~kPhaseMask) | kAlone);
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
  if (++mine->writes % kClaimAfter != 0 || mine->number >= kNumbers) return;
  if (last_seen_.exchange(mine, std::memory_order_relaxed) != mine) return;
  if (Change(kShared, Mine(kClaims))) DateClaim();
}

void WriterGate::DateClaim() {
  const uint64_t epoch = domain.epoch.fetch_add(1) + 1;
  const uint64_t claim = Mine(kClaims);
  if (!Change(claim, epoch < kEpochs ? epoch << kEpochShift | claim : kShared)) return;
  epoch_internal::PassBarrierOnAllThreads();
}

// Waits without a pin: the other may be waiting for this thread's at another gate.
void WriterGate::End(uint64_t state) {
  const Participant* const other = ParticipantWith((state & kWhoMask) >> kNumberShift);
  const uint64_t ending = state | kIsEnded;
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
