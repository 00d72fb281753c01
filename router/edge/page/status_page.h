#ifndef KVROUTE_ROUTER_EDGE_PAGE_STATUS_PAGE_H_
#define KVROUTE_ROUTER_EDGE_PAGE_STATUS_PAGE_H_

#include <string>
#include <vector>

#include "indexer/index/prefix_index.h"
#include "router/edge/health/readiness.h"
#include "router/edge/page/config_report.h"
#include "router/edge/page/discovery_report.h"
#include "router/edge/page/memory_report.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/load/load_tracker.h"
#include "router/prompt/render/http_renderer.h"
#include "router/rights/rights.h"

namespace kvroute {

struct StatusSources {
  std::string grpc_address;
  std::string http_address;
  std::string picker_address;   // empty: no endpoint picker
  uint64_t picker_streams = 0;  // HTTP requests under way there
  Nanos uptime{0};
  ConfigReport config;
  Rights::Report rights;
  std::vector<std::string> plaintext = {};  // what is served so to other machines
  std::string policy;
  Readiness::Report readiness;
  PrefixIndexStats index;
  MemoryReport memory;
  LoadTrackerStats loads;
  DiscoveryReport discovery;
  std::vector<RendererReport> renderers = {};  // empty: prompts as text are not rendered
  std::shared_ptr<const FleetSnapshot> fleet;
};

// /status: the whole state a person asks for, as one JSON object; docs/operations.md describes it.
std::string StatusJson(const StatusSources& sources);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_PAGE_STATUS_PAGE_H_
