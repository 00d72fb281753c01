#ifndef KVROUTE_INDEXER_INDEX_MEMORY_MEMORY_ORDER_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_MEMORY_ORDER_H_

#include <atomic>

namespace kvroute {

// The orders of the lock-free core, short enough to stand in every line that needs one.
inline constexpr auto kRelaxed = std::memory_order_relaxed;
inline constexpr auto kAcquire = std::memory_order_acquire;
inline constexpr auto kRelease = std::memory_order_release;

// No load after it is done before all stores in front of it are visible to everybody: the one order
// that neither acquire nor release gives, on no processor.
inline void FullBarrier() {
#ifdef __SANITIZE_THREAD__
  __sync_synchronize();  // the compiler refuses the fence below under ThreadSanitizer
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// The same, where a lock has been taken since the store. On x86 taking it was a full barrier, since
// every locked instruction is one. On ARM it is not: a store from before may become visible after a
// load from behind.
inline void FullBarrierAfterLock() {
#ifndef __x86_64__
  FullBarrier();
#endif
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_MEMORY_ORDER_H_
