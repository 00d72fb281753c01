#ifndef KVROUTE_ROUTER_EDGE_PAGE_LLMD_METRICS_H_
#define KVROUTE_ROUTER_EDGE_PAGE_LLMD_METRICS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "indexer/stream/ingest_counters.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// What the metrics of llm-d's picker are made of.
struct LlmdSources {
  std::string pool;  // the label `name`
  const FleetSnapshot* fleet = nullptr;
  const RoutingStats* routing = nullptr;
  const IngestCounters* ingest = nullptr;
  // Requests that were refused, by llm-d's word for the error.
  std::vector<std::pair<std::string, uint64_t>> errors;
};

// Those of kvroute's figures that llm-d's picker has as well, under its names (llm_d_epp_*,
// kvcache_index_*), so that dashboards made for it go on; to be put behind kvroute's own page. What
// kvroute does not know has no line rather than a zero. docs/metrics.md lists them.
std::string LlmdMetricsText(const LlmdSources& sources);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_PAGE_LLMD_METRICS_H_
