#ifndef KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_H_
#define KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_H_

#include <vector>

#include "indexer/base/thread_age.h"
#include "indexer/telemetry/http_server.h"

namespace kvroute {

// /healthz: 200 while every thread that has work goes on with it; 503 naming those that have made
// no progress for limits::kThreadStallAfter. Only a restart helps then: none of them ever waits for
// anything outside the process.
HttpResponse HealthOf(const std::vector<ThreadAge>& threads);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_H_
