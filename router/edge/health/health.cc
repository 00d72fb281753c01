#include "router/edge/health/health.h"

#include <fmt/core.h>

#include <chrono>

#include "indexer/base/limits.h"

namespace kvroute {

HttpResponse HealthOf(const std::vector<ThreadAge>& threads) {
  std::string stalled;
  for (const ThreadAge& thread : threads) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(thread.without_progress);
    if (seconds < limits::kThreadStallAfter) continue;
    stalled += fmt::format("{}: no progress for {} s\n", thread.name, seconds.count());
  }
  if (stalled.empty()) return {.body = "ok\n"};
  return {.status = 503, .body = std::move(stalled)};
}

}  // namespace kvroute
