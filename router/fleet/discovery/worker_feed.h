#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_WORKER_FEED_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_WORKER_FEED_H_

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "indexer/base/log.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "indexer/base/thread_pulse.h"
#include "router/fleet/fleet.h"

namespace kvroute {

struct WorkerFeedStats {
  uint64_t changes = 0;     // sets that were given to the fleet
  uint64_t refused = 0;     // workers now that the fleet does not take
  std::string last_reason;  // why one was refused
  bool pending = false;     // what was set last is not in the fleet yet
};

// Gives the fleet what somebody has found, on a thread of its own: a change of the fleet takes as
// long as the slowest lane, and who finds engines must not wait for that. Of several sets of one
// owner the newest counts. One with refused workers is tried again after a while: who was in their
// way may be gone.
//
// Thread safety: every method from any thread. Ownership: the fleet outlives it.
class WorkerFeed {
 public:
  explicit WorkerFeed(Fleet* fleet,
                      std::chrono::milliseconds try_refused_again = std::chrono::seconds(5));
  ~WorkerFeed();  // what was not given yet is not given any more
  WorkerFeed(const WorkerFeed&) = delete;
  WorkerFeed& operator=(const WorkerFeed&) = delete;

  // Does not wait.
  void Set(WorkerSource owner, std::vector<OwnedWorker> workers);

  WorkerFeedStats Stats(WorkerSource owner) const;
  const ThreadPulse& pulse() const { return pulse_; }

 private:
  struct Owner {
    std::optional<std::vector<OwnedWorker>> next;
    bool giving = false;
    std::vector<OwnedWorker> last;  // kept while some of it is refused
    WorkerFeedStats stats;
  };

  void Run();
  // False: it ends. Waits for a set, or until refused ones are to be tried again.
  bool Next(std::map<WorkerSource, std::vector<OwnedWorker>>* sets);
  void Give(WorkerSource owner, std::vector<OwnedWorker> workers);

  Fleet* const fleet_;
  const std::chrono::milliseconds try_refused_again_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<WorkerSource, Owner> owners_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  LogLimiter refused_{std::chrono::seconds(10)};
  ThreadPulse pulse_;
  NamedThread thread_;  // last
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_WORKER_FEED_H_
