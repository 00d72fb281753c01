#ifndef KVROUTE_TOOLS_PLACEMENT_PLACEMENT_REPORT_H_
#define KVROUTE_TOOLS_PLACEMENT_PLACEMENT_REPORT_H_

#include <string>

#include "tools/placement/placement_run.h"

namespace kvroute {

// What a run was of, for its readers.
struct PlacementSubject {
  std::string workload;
  std::string profile;
  std::string driving;
  size_t requests = 0;
  size_t workers = 0;
  uint64_t blocks_per_worker = 0;
  uint32_t block_size_tokens = 0;
  uint32_t repetitions = 1;
  double lag_ms = 0;
  FigureOptions figures;
};

// What nothing but another order of ties does to a figure: the median over the policies of
// (most - least) / mean over the repetitions. Differences below it are none.
struct PlacementNoise {
  double ttft_mean = 0, ttft_p99 = 0, hit_rate = 0;
};
PlacementNoise NoiseOf(const LoadResult& result);

std::string PlacementTable(const PlacementSubject& subject, const PlacementRun& run);
std::string PlacementJson(const PlacementSubject& subject, const PlacementRun& run);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_PLACEMENT_REPORT_H_
