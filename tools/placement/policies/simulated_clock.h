#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_SIMULATED_CLOCK_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_SIMULATED_CLOCK_H_

#include "indexer/base/clock.h"

namespace kvroute {

// The virtual time of a simulation. Thread safety: set by one thread while no other reads it.
class SimulatedClock final : public Clock {
 public:
  Nanos Monotonic() const override { return kStart + now_; }
  Nanos Wall() const override { return kStart + now_; }
  void Set(Nanos now) { now_ = now; }

 private:
  static constexpr Nanos kStart = std::chrono::hours(24);  // moment 0 would be "never" to some

  Nanos now_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_SIMULATED_CLOCK_H_
