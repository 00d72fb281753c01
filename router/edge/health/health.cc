#include "router/edge/health/health.h"

#include <fmt/core.h>

#include <chrono>

#include "indexer/base/limits.h"

namespace kvroute {

HttpResponse HealthOf(const std::vector<LaneAge>& lanes) {
  std::string stalled;
  for (const LaneAge& lane : lanes) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lane.since_last_turn);
    if (seconds < limits::kLaneStallAfter) continue;
    stalled += fmt::format("{}: no progress for {} s\n", lane.name, seconds.count());
  }
  if (stalled.empty()) return {.body = "ok\n"};
  return {.status = 503, .body = std::move(stalled)};
}

}  // namespace kvroute
