#ifndef KVROUTE_INDEXER_BASE_WATCHDOG_H_
#define KVROUTE_INDEXER_BASE_WATCHDOG_H_

#include <string>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/base/thread_age.h"
#include "indexer/base/thread_pulse.h"

namespace kvroute {

// For how long threads have been at one and the same piece of work.
//
// Thread safety: every method from any thread. Ownership: a pulse outlives it, or is forgotten
// first.
class Watchdog {
 public:
  void Watch(std::string name, const ThreadPulse* pulse);
  void Forget(const ThreadPulse* pulse);

  // Looks at every pulse; to be called every second or so.
  void Sample(Nanos now);
  // An age is as exact as Sample is often called, and never too high.
  std::vector<ThreadAge> Ages(Nanos now) const;

 private:
  struct Watched {
    std::string name;
    const ThreadPulse* pulse;
    uint64_t beats;
    Nanos since;  // seen first
  };

  mutable Mutex mutex_;
  std::vector<Watched> watched_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_WATCHDOG_H_
