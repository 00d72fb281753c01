#ifndef KVROUTE_ROUTER_EDGE_HEALTH_READINESS_H_
#define KVROUTE_ROUTER_EDGE_HEALTH_READINESS_H_

#include <atomic>
#include <string>
#include <vector>

#include "indexer/base/clock.h"
#include "router/fleet/fleet_snapshot.h"

namespace kvroute {

// Whether kvroute should be asked yet: when every stream of the configuration has left cold and
// syncing, or the grace time since the start is over. Once ready it stays so until it ends: a
// worker that joins or restarts later makes its own answers less trusted, which they say, and must
// not take the whole router out of service.
//
// Thread safety: any thread.
class Readiness {
 public:
  explicit Readiness(const Clock* clock) : clock_(clock), start_(clock->Monotonic()) {}

  struct Report {
    bool ready = false;
    // "w0 rank 1: syncing (replaying)", also when the grace time is over
    std::vector<std::string> waiting;
  };
  // `waiting`: what else is waited for, a line each.
  Report Evaluate(const FleetSnapshot& fleet, Nanos grace, std::vector<std::string> waiting = {});
  // From now on not ready, whatever the streams do.
  void End() { ending_.store(true, std::memory_order_relaxed); }

 private:
  const Clock* const clock_;
  const Nanos start_;
  std::atomic<bool> reached_{false};
  std::atomic<bool> ending_{false};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HEALTH_READINESS_H_
