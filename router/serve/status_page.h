#ifndef KVROUTE_ROUTER_SERVE_STATUS_PAGE_H_
#define KVROUTE_ROUTER_SERVE_STATUS_PAGE_H_

#include <string>

#include "indexer/index/prefix_index.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/load/load_tracker.h"
#include "router/serve/live_config.h"
#include "router/serve/readiness.h"

namespace kvroute {

struct StatusSources {
  std::string grpc_address;
  std::string http_address;
  Nanos uptime{0};
  LiveConfig::Report config;
  std::string policy;
  Readiness::Report readiness;
  PrefixIndexStats index;
  LoadTrackerStats loads;
  std::shared_ptr<const FleetSnapshot> fleet;
};

// /status: the whole state a person asks for, as one JSON object; docs/operations.md describes it.
std::string StatusJson(const StatusSources& sources);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_STATUS_PAGE_H_
