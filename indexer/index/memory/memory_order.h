#ifndef KVROUTE_INDEXER_INDEX_MEMORY_MEMORY_ORDER_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_MEMORY_ORDER_H_

#include <atomic>

namespace kvroute {

// The orders of the lock-free core, short enough to stand in every line that needs one.
inline constexpr auto kRelaxed = std::memory_order_relaxed;
inline constexpr auto kAcquire = std::memory_order_acquire;
inline constexpr auto kRelease = std::memory_order_release;

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_MEMORY_ORDER_H_
