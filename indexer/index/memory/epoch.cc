#include "indexer/index/memory/epoch.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "indexer/base/check.h"
#include "indexer/index/runs/run.h"

namespace kvroute {
namespace epoch_internal {
namespace {

Participant* TakeParticipant() {
  for (Participant* p = domain.participants.load(std::memory_order_acquire); p != nullptr;
       p = p->next) {
    bool taken = false;
    if (p->taken.compare_exchange_strong(taken, true)) return p;
  }
  auto* fresh = new Participant;
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

namespace {

using epoch_internal::domain;
using epoch_internal::OldestPin;
using epoch_internal::PassBarrierOnAllThreads;

constexpr uint64_t kBatchWeight = 8'192;  // granules; an item counts as 64 at least

}  // namespace

void WaitForPins() {
  const uint64_t epoch = domain.epoch.fetch_add(1) + 1;
  PassBarrierOnAllThreads();
  while (OldestPin() < epoch) std::this_thread::yield();
}

Reclaimer::~Reclaimer() {
  // The index is being destroyed: nobody is inside it.
  MutexLock lock(&mutex_);
  for (; head_ != tail_; ++head_) delete ring_[head_ & (ring_.size() - 1)].tiers;
}

void Reclaimer::Add(const Item& item) {
  if (tail_ - head_ == ring_.size()) {
    std::vector<Item> larger(std::max<size_t>(1'024, ring_.size() * 2));
    for (uint64_t i = head_; i != tail_; ++i) {
      larger[i & (larger.size() - 1)] = ring_[i & (ring_.size() - 1)];
    }
    ring_ = std::move(larger);
  }
  ring_[tail_++ & (ring_.size() - 1)] = item;
  weight_ += std::max<uint64_t>(64, item.granules);
  if (weight_ < kBatchWeight) return;
  weight_ = 0;
  domain.epoch.fetch_add(1);
  FreeSettled();
}

void Reclaimer::FreeSettled() {
  PassBarrierOnAllThreads();
  const uint64_t oldest = OldestPin();
  const uint64_t now = domain.epoch.load();
  while (head_ != tail_) {
    const Item& item = ring_[head_ & (ring_.size() - 1)];
    if (item.epoch > oldest || item.epoch > now) return;
    if (item.granules != 0) arena_->Free(item.start, item.granules);
    delete item.tiers;
    ++head_;
  }
}

void Reclaimer::Retire(Granule start, uint32_t granules) {
  MutexLock lock(&mutex_);
  Add(Item{domain.epoch.load() + 1, start, granules, nullptr});
}

void Reclaimer::Retire(const RunTiers* tiers) {
  if (tiers == nullptr) return;
  MutexLock lock(&mutex_);
  Add(Item{domain.epoch.load() + 1, 0, 0, tiers});
}

void Reclaimer::Collect() {
  MutexLock lock(&mutex_);
  weight_ = 0;
  domain.epoch.fetch_add(1);
  FreeSettled();
}

uint64_t Reclaimer::WaitingBytes() const {
  MutexLock lock(&mutex_);
  return ring_.size() * sizeof(Item);
}

}  // namespace kvroute
