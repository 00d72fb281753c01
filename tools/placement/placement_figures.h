#ifndef KVROUTE_TOOLS_PLACEMENT_PLACEMENT_FIGURES_H_
#define KVROUTE_TOOLS_PLACEMENT_PLACEMENT_FIGURES_H_

#include <cstdint>

#include "absl/types/span.h"
#include "tools/fleet/percentiles.h"
#include "tools/placement/placement_simulation.h"

namespace kvroute {

struct FigureOptions {
  double warm_up_share = 0.1;  // of the requests, by their arrival, that no time is measured of
  double ttft_objective_ms = 5'000;
  double tpot_objective_ms = 200;
  double first_token_ms = 0;  // what the server itself takes
};

// What a simulation comes to. Times are of the requests behind the warm-up, hits of all requests,
// so that they can be compared with CacheLadder.
struct PlacementFigures {
  uint64_t requests = 0;  // measured
  double ttft_mean_ms = 0;
  Percentiles ttft_ms;       // from arrival to the first token
  double tpot_mean_ms = 0;   // of the requests with more than one token
  Percentiles tpot_ms;       // time a further token, of each such request
  double goodput_share = 0;  // of the requests, those that met both objectives
  double goodput_rps = 0;    // of those, a second of the time measured
  double hit_rate = 0;       // prompt tokens found in the cache / all
  double imbalance = 1;      // most prompt tokens computed by a worker / mean
  double preemptions = 0;
  double virtual_seconds = 0;
};

PlacementFigures FiguresOf(const PlacementOutcome& outcome, const PlacementWorkload& workload,
                           const FigureOptions& options);

// The mean of several repetitions, figure by figure.
PlacementFigures MeanOf(absl::Span<const PlacementFigures> repetitions);
// (most - least) / mean of one figure; 0 where the mean is.
double SpreadOf(absl::Span<const PlacementFigures> repetitions,
                double (*figure)(const PlacementFigures&));

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_PLACEMENT_FIGURES_H_
