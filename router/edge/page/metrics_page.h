#ifndef KVROUTE_ROUTER_EDGE_PAGE_METRICS_PAGE_H_
#define KVROUTE_ROUTER_EDGE_PAGE_METRICS_PAGE_H_

#include "indexer/index/prefix_index.h"
#include "indexer/stream/ingest_counters.h"
#include "indexer/telemetry/exposition.h"
#include "router/edge/page/discovery_report.h"
#include "router/edge/page/memory_report.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/load/load_tracker.h"
#include "router/prompt/render/http_renderer.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// What /metrics is made of, a part of the program each. They read atomics only; nothing waits for a
// scrape.
void AddBuildInfo(Exposition* out);
void AddIngestMetrics(const IngestCounters& counters, Exposition* out);
void AddIndexMetrics(const PrefixIndexStats& stats, Exposition* out);
void AddMemoryMetrics(const MemoryReport& memory, Exposition* out);
void AddRoutingMetrics(const RoutingStats& stats, const LoadTrackerStats& loads, Exposition* out);
void AddDiscoveryMetrics(const DiscoveryReport& report, Exposition* out);
void AddRenderMetrics(const HttpRenderer& renderer, Exposition* out);
// `per_stream`: also the metrics labelled by worker and rank.
void AddFleetMetrics(const FleetSnapshot& fleet, bool per_stream, Exposition* out);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_PAGE_METRICS_PAGE_H_
