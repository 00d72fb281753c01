#ifndef KVROUTE_INDEXER_TELEMETRY_PAGE_THREADS_H_
#define KVROUTE_INDEXER_TELEMETRY_PAGE_THREADS_H_

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "indexer/base/thread_pulse.h"

namespace kvroute {

// Threads that put pages together, in the order they were asked for. The queue is bounded by the
// connections, of which each waits for one page at most.
//
// Thread safety: every method from any thread.
class PageThreads {
 public:
  explicit PageThreads(int threads);
  ~PageThreads() { Stop(); }

  // False once Stop has begun: `page` will not run.
  bool Run(std::function<void()> page);
  // The same for a page that is made once for everybody who has asked for it by then: a pair of a
  // connection and its request each. `page` is that of the first.
  using Waiting = std::vector<std::pair<void*, void*>>;
  bool RunOnce(const std::string& name, std::pair<void*, void*> who,
               std::function<void(const Waiting&)> page);
  // Returns when every page that was taken has run.
  void Stop();
  // One a thread.
  const std::deque<ThreadPulse>& pulses() const { return pulses_; }

 private:
  void Work(ThreadPulse* pulse);

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> pages_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // for pages not yet begun
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<ThreadPulse> pulses_;
  std::vector<NamedThread> threads_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_PAGE_THREADS_H_
