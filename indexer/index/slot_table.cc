#include "indexer/index/slot_table.h"

namespace kvroute {

std::optional<Slot> SlotTable::Take(StreamId owner) {
  MutexLock lock(&mutex_);
  Slot slot = 0;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (used_ < kMaxSlots) {
    slot = static_cast<Slot>(used_++);
  } else {
    return std::nullopt;
  }
  owners_[slot].store(owner.value(), std::memory_order_release);
  return slot;
}

void SlotTable::Retire(Slot slot) {
  owners_[slot].store(0, std::memory_order_release);
  MutexLock lock(&mutex_);
  retired_.push_back(slot);
}

std::vector<uint64_t> SlotTable::BeginScrub() {
  MutexLock lock(&mutex_);
  std::vector<uint64_t> slots;
  for (const Slot slot : retired_) {
    if (slots.size() <= slot / 64u) slots.resize(slot / 64u + 1);
    slots[slot / 64u] |= uint64_t{1} << (slot % 64);
  }
  retired_.clear();
  return slots;
}

void SlotTable::EndScrub(const std::vector<uint64_t>& slots) {
  MutexLock lock(&mutex_);
  // Low slots on top, so that the bits of holders stay short.
  for (size_t word = slots.size(); word-- > 0;) {
    for (uint32_t bit = 64; bit-- > 0;) {
      if ((slots[word] >> bit) & 1) free_.push_back(static_cast<Slot>(word * 64 + bit));
    }
  }
}

}  // namespace kvroute
