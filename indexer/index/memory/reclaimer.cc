#include "indexer/index/memory/reclaimer.h"

#include <algorithm>

#include "indexer/index/memory/epoch.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

using epoch_internal::domain;

constexpr uint64_t kEpochWeight = 8'192;  // granules; an item counts as 64 at least
constexpr uint64_t kLeastItemWeight = 64;
// Items freed at a time under the lock: more than are added between two times, so nothing piles up.
constexpr uint64_t kMostFreed = 4 * kEpochWeight / kLeastItemWeight;

}  // namespace

void Reclaimer::Grow() {
  std::vector<Item> larger(std::max<size_t>(1'024, ring_.size() * 2));
  for (uint64_t i = head_; i != tail_; ++i) {
    larger[i & (larger.size() - 1)] = ring_[i & (ring_.size() - 1)];
  }
  ring_ = std::move(larger);
}

void Reclaimer::Retire(Granule start, uint32_t granules) {
  MutexLock lock(&mutex_);
  FullBarrierAfterLock();  // the unlinking before the load of the epoch: E2
  const uint64_t epoch = domain.epoch.load() + 1;
  if (tail_ - head_ == ring_.size()) Grow();
  ring_[tail_++ & (ring_.size() - 1)] = Item{epoch, start, granules};
  retired_.store(retired_.load(kRelaxed) + granules, kRelaxed);
  weight_ += std::max<uint64_t>(kLeastItemWeight, granules);
  if (weight_ < kEpochWeight) return;
  weight_ = 0;
  domain.epoch.fetch_add(1);
  FreeSettled(kMostFreed);
}

bool Reclaimer::FreeSettled(uint64_t most) {
  epoch_internal::PassBarrierOnAllThreads();
  const uint64_t oldest = epoch_internal::OldestPin();
  const uint64_t now = domain.epoch.load();
  for (uint64_t freed = 0; head_ != tail_; ++freed) {
    const Item& item = ring_[head_ & (ring_.size() - 1)];
    if (item.epoch > oldest || item.epoch > now) return false;
    if (freed == most) return true;
    arena_->Free(item.start, item.granules);
    retired_.store(retired_.load(kRelaxed) - item.granules, kRelaxed);
    ++head_;
  }
  return false;
}

void Reclaimer::Collect() {
  for (bool more = true; more;) {
    MutexLock lock(&mutex_);
    weight_ = 0;
    domain.epoch.fetch_add(1);
    more = FreeSettled(kMostFreed);
  }
}

uint64_t Reclaimer::WaitingBytes() const {
  MutexLock lock(&mutex_);
  return ring_.size() * sizeof(Item);
}

}  // namespace kvroute
