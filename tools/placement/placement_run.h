#ifndef KVROUTE_TOOLS_PLACEMENT_PLACEMENT_RUN_H_
#define KVROUTE_TOOLS_PLACEMENT_PLACEMENT_RUN_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/placement/cache_ladder.h"
#include "tools/placement/placement_figures.h"
#include "tools/placement/placement_policy.h"

namespace kvroute {

struct PlacementRunOptions {
  PlacementSimulationOptions fleet;  // its driving, time_scale and tie_seed are set for each run
  Driving driving = Driving::kOpen;
  std::vector<double> loads = {0.7};  // of the capacity
  double capacity_rps = 0;            // 0: it is measured
  uint32_t repetitions = 1;           // with ties broken differently
  uint64_t seed = 1;                  // of ties, of the first repetition
  FigureOptions figures;
  std::vector<const PolicyEntry*> policies;
};

struct PolicyResult {
  std::string name;
  std::vector<PlacementFigures> repetitions;
};

// All policies at one load.
struct LoadResult {
  double load = 0;
  double offered_rps = 0;
  std::vector<PolicyResult> policies;
};

struct PlacementRun {
  CacheLadder ladder;
  double capacity_rps = 0;
  std::vector<LoadResult> loads;
};

// Runs every policy at every load, from empty pools each time. The capacity is the rate at which
// the fleet ends the whole workload if all of it comes at once and goes to the least loaded.
//
// Errors: INVALID_ARGUMENT names the request that no worker can hold; a workload whose requests all
// come at one moment.
absl::StatusOr<PlacementRun> RunPlacement(
    const PlacementRunOptions& options, const PlacementWorkload& workload,
    const std::function<void(const std::string& what, double seconds)>& progress);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_PLACEMENT_RUN_H_
