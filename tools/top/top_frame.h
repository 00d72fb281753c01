#ifndef KVROUTE_TOOLS_TOP_TOP_FRAME_H_
#define KVROUTE_TOOLS_TOP_TOP_FRAME_H_

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "tools/client/scrape.h"

namespace kvroute {

// One reading of a running kvroute.
struct TopReading {
  std::string status_json;
  Scrape metrics;
};

// What `kvroute top` shows: totals, then a line a stream. Rates, latencies and the hit rate are of
// the time since `before`, `seconds` ago; for a first frame that is the start of the process and an
// empty reading. Errors: INVALID_ARGUMENT when the status is not JSON as kvroute writes it.
absl::StatusOr<std::string> TopFrame(const TopReading& now, const Scrape& before, double seconds);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_TOP_TOP_FRAME_H_
