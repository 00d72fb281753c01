#ifndef KVROUTE_INDEXER_BASE_HEAP_H_
#define KVROUTE_INDEXER_BASE_HEAP_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "indexer/base/clock.h"

namespace kvroute {

// To be called before there are threads. From now on everything of kOwnMappingBytes and more is
// mapped by itself, and goes back to the system as soon as it is freed: the C library's own rule
// keeps up to 32 MiB of each heap once something so large was freed. And there are few heaps: what
// is free in one is of no use to the others.
void ConfigureHeap();
inline constexpr int kOwnMappingBytes = 262'144;

// When the C library's heaps are to be searched for pages that are free, so that they go back to
// the system. It does not do so itself, but at their very end, and what was allocated by one thread
// and freed by another in another order lies anywhere.
//
// Thread safety: one thread.
class HeapReturn {
 public:
  static constexpr uint64_t kLeastWaste = uint64_t{12} << 20;
  static constexpr std::chrono::seconds kBetween{2};
  static constexpr std::chrono::seconds kBetweenInVain{60};  // at most, where it brings nothing
  static constexpr std::chrono::milliseconds kBetweenNearTheLimit{400};

  // `resident` says how much the process has, `trim` gives back what is free.
  HeapReturn(uint64_t limit_bytes, std::function<uint64_t()> resident, std::function<void()> trim)
      : limit_(limit_bytes), resident_(std::move(resident)), trim_(std::move(trim)) {}
  explicit HeapReturn(uint64_t limit_bytes);  // of this process

  // To be called every now and then. `needed`: what is known to be in use. True: it was done.
  bool Look(uint64_t needed, Nanos now);

 private:
  const uint64_t limit_;
  const std::function<uint64_t()> resident_;
  const std::function<void()> trim_;
  Nanos between_ = kBetween;
  Nanos next_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_HEAP_H_
