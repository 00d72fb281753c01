#include "indexer/base/memory_budget.h"

#include <algorithm>
#include <utility>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

// One part's share of what is left beside the process itself.
uint64_t ShareOf(uint64_t limit, size_t part, const MemoryCeilings& most) {
  const uint64_t rest = limit - std::min(kProcessBytes, limit / 8 * 3);
  return std::min(rest / 100 * kMemoryHundredths[part], most[part]);
}

// The index has what the others leave of theirs.
uint64_t LimitOf(uint64_t limit, size_t part, const MemoryCeilings& most) {
  uint64_t bytes = ShareOf(limit, part, most);
  if (part != static_cast<size_t>(MemoryPart::kIndex)) return bytes;
  for (size_t other = 0; other < kMemoryPartCount; ++other) {
    bytes += ShareOf(limit, other, UnlimitedCeilings()) - ShareOf(limit, other, most);
  }
  return bytes;
}

template <size_t... kPart>
std::array<MemoryBudget, kMemoryPartCount> Divide(uint64_t limit, const MemoryCeilings& most,
                                                  std::index_sequence<kPart...>) {
  return {MemoryBudget(LimitOf(limit, kPart, most))...};
}

}  // namespace

bool MemoryBudget::TryTake(uint64_t bytes) {
  uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (used > limit_ || bytes > limit_ - used) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

bool MemoryShare::TryTake(uint64_t bytes) {
  if (bytes > limit_ - bytes_) return false;
  if (budget_ != nullptr && !budget_->TryTake(bytes)) return false;
  bytes_ += bytes;
  return true;
}

void MemoryShare::GiveBack(uint64_t bytes) {
  KVROUTE_DCHECK(bytes <= bytes_);
  bytes_ -= bytes;
  if (budget_ != nullptr) budget_->GiveBack(bytes);
}

MemoryBudgets::MemoryBudgets(uint64_t limit_bytes, const MemoryCeilings& most)
    : limit_(limit_bytes),
      parts_(Divide(limit_bytes, most, std::make_index_sequence<kMemoryPartCount>())) {}

uint64_t MemoryBudgets::used() const {
  uint64_t sum = 0;
  for (const MemoryBudget& part : parts_) sum += part.used();
  return sum;
}

}  // namespace kvroute
