#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_METRICS_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_METRICS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "indexer/telemetry/exposition.h"
#include "router/edge/ext_proc/picker_stats.h"

namespace kvroute {

// Refused requests by llm-d's words for errors.
std::vector<std::pair<std::string, uint64_t>> LlmdErrorCounts(const PickerStats& stats);

// The picker's part of /metrics.
void AddPickerMetrics(const PickerStats& stats, Exposition* out);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_METRICS_H_
