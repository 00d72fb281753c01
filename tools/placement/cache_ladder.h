#ifndef KVROUTE_TOOLS_PLACEMENT_CACHE_LADDER_H_
#define KVROUTE_TOOLS_PLACEMENT_CACHE_LADDER_H_

#include <cstdint>

#include "tools/placement/placement_workload.h"

namespace kvroute {

// What no placement can exceed: the share of a workload's prompt tokens that one cache would have
// held, if requests came one after another, in the workload's order.
struct CacheLadder {
  double infinite = 0;  // nothing is ever evicted
  double one_pool = 0;  // one LRU pool as large as the fleet's together
};

// `fleet_blocks`: of all pools. A request longer than the pool is not looked up in it.
CacheLadder MeasureLadder(const PlacementWorkload& workload, uint64_t fleet_blocks);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_CACHE_LADDER_H_
