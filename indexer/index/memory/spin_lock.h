#ifndef KVROUTE_INDEXER_INDEX_MEMORY_SPIN_LOCK_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_SPIN_LOCK_H_

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "indexer/index/memory/cpu_relax.h"

namespace kvroute {

// For sections of a few nanoseconds that are rarely contended; half the price of a mutex. Yields,
// and in the end sleeps, when its holder seems to have been descheduled.
class ABSL_LOCKABLE SpinLock {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    for (uint32_t tries = 1; locked_.exchange(true, std::memory_order_acquire); ++tries) {
      RelaxFor(tries);
    }
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_{false};
};

class ABSL_SCOPED_LOCKABLE SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock* lock) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock) : lock_(lock) {
    lock_->Lock();
  }
  ~SpinLockHolder() ABSL_UNLOCK_FUNCTION() { lock_->Unlock(); }
  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;

 private:
  SpinLock* const lock_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_SPIN_LOCK_H_
