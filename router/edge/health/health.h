#ifndef KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_H_
#define KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_H_

#include <vector>

#include "indexer/source/event_source.h"
#include "indexer/telemetry/http_server.h"

namespace kvroute {

// /healthz: 200 while every lane takes its turns; 503 naming the lanes that have taken none for
// limits::kLaneStallAfter. Only a restart helps then: a lane is never waiting for anything
// outside the process.
HttpResponse HealthOf(const std::vector<LaneAge>& lanes);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_H_
