#include "indexer/index/memory/reclaimer.h"

#include <algorithm>

#include "indexer/index/memory/epoch.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

using epoch_internal::domain;

constexpr uint64_t kEpochWeight = 8'192;  // granules; an item counts as 64 at least
constexpr uint64_t kLeastItemWeight = 64;

}  // namespace

Reclaimer::~Reclaimer() {
  // The index is being destroyed: nobody is inside it.
  MutexLock lock(&mutex_);
  for (; head_ != tail_; ++head_) delete ring_[head_ & (ring_.size() - 1)].object;
}

void Reclaimer::Grow() {
  std::vector<Item> larger(std::max<size_t>(1'024, ring_.size() * 2));
  for (uint64_t i = head_; i != tail_; ++i) {
    larger[i & (larger.size() - 1)] = ring_[i & (ring_.size() - 1)];
  }
  ring_ = std::move(larger);
}

void Reclaimer::Add(Granule start, uint32_t granules, const Retirable* object) {
  MutexLock lock(&mutex_);
  FullBarrierAfterLock();  // the unlinking before the load of the epoch: E2
  const uint64_t epoch = domain.epoch.load() + 1;
  if (tail_ - head_ == ring_.size()) Grow();
  ring_[tail_++ & (ring_.size() - 1)] = Item{epoch, start, granules, object};
  weight_ += std::max<uint64_t>(kLeastItemWeight, granules);
  if (weight_ < kEpochWeight) return;
  weight_ = 0;
  domain.epoch.fetch_add(1);
  FreeSettled();
}

void Reclaimer::FreeSettled() {
  epoch_internal::PassBarrierOnAllThreads();
  const uint64_t oldest = epoch_internal::OldestPin();
  const uint64_t now = domain.epoch.load();
  while (head_ != tail_) {
    const Item& item = ring_[head_ & (ring_.size() - 1)];
    if (item.epoch > oldest || item.epoch > now) return;
    if (item.granules != 0) arena_->Free(item.start, item.granules);
    delete item.object;
    ++head_;
  }
}

void Reclaimer::Retire(Granule start, uint32_t granules) { Add(start, granules, nullptr); }

void Reclaimer::Retire(const Retirable* object) {
  if (object != nullptr) Add(0, 0, object);
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
