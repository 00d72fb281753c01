#ifndef KVROUTE_ROUTER_RIGHTS_HTTP_RIGHTS_H_
#define KVROUTE_ROUTER_RIGHTS_HTTP_RIGHTS_H_

#include "indexer/telemetry/http_server.h"
#include "router/rights/rights.h"

namespace kvroute {

// For pages that do `action`: 401 with WWW-Authenticate where nothing good was shown, 403 where the
// role is missing, nullopt where the caller may. Empty where there are no rights (nullptr).
std::function<std::optional<HttpResponse>(const HttpCaller&)> RefusalOf(Rights* rights,
                                                                        Action action);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_RIGHTS_HTTP_RIGHTS_H_
