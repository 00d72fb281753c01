#include "indexer/index/memory/epoch.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "indexer/base/check.h"

namespace kvroute {
namespace epoch_internal {
namespace {

std::atomic<uint32_t> participants_made{0};

Participant* TakeParticipant() {
  for (Participant* p = domain.participants.load(std::memory_order_acquire); p != nullptr;
       p = p->next) {
    bool taken = false;
    if (p->taken.compare_exchange_strong(taken, true)) return p;
  }
  auto* fresh = new Participant;
  fresh->number = participants_made.fetch_add(1);
  fresh->next = domain.participants.load(std::memory_order_relaxed);
  while (!domain.participants.compare_exchange_weak(fresh->next, fresh)) {
  }
  return fresh;
}

struct ParticipantHandle {
  Participant* participant = TakeParticipant();
  ~ParticipantHandle() {
    mine = nullptr;
    participant->taken.store(false);
  }
};

// ThreadSanitizer knows neither fences nor what the system does to threads: there, a pin is an
// exchange.
bool RegisterBarrier() {
#ifdef __SANITIZE_THREAD__
  return false;
#else
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

}  // namespace

constinit Domain domain;
constinit thread_local Participant* mine = nullptr;

void Join() {
  thread_local ParticipantHandle handle;
  mine = handle.participant;
}

void PassBarrierOnAllThreads() {
  if (domain.barrier_free_pins) {
    KVROUTE_CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
  } else {
    FullBarrier();  // every pin ends with one: this thread's is all that is missing
  }
}

uint64_t OldestPin() {
  uint64_t oldest = kIdle;
  for (Participant* p = domain.participants.load(std::memory_order_acquire); p != nullptr;
       p = p->next) {
    oldest = std::min(oldest, p->pinned.load(std::memory_order_seq_cst));
  }
  return oldest;
}

namespace {
[[maybe_unused]] const bool registered = domain.barrier_free_pins = RegisterBarrier();
}  // namespace

}  // namespace epoch_internal

void WaitForPins() {
  const uint64_t epoch = epoch_internal::domain.epoch.fetch_add(1) + 1;
  epoch_internal::PassBarrierOnAllThreads();
  while (epoch_internal::OldestPin() < epoch) std::this_thread::yield();
}

}  // namespace kvroute
