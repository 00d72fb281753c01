#ifndef KVROUTE_INDEXER_TELEMETRY_PAGE_THREADS_H_
#define KVROUTE_INDEXER_TELEMETRY_PAGE_THREADS_H_

#include <deque>
#include <functional>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"

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
  // Returns when every page that was taken has run.
  void Stop();

 private:
  void Work();

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> pages_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<NamedThread> threads_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_PAGE_THREADS_H_
