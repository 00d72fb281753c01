#ifndef KVROUTE_ROUTER_SERVE_CHECK_SERVE_H_
#define KVROUTE_ROUTER_SERVE_CHECK_SERVE_H_

#include "absl/status/status.h"
#include "router/config/serve_config.h"

namespace kvroute {

// What `kvroute serve` would refuse of a configuration that could be read: certificates and keys
// that are not there or do not belong together, addresses that are not this machine's or that it
// names twice, key files. A port that somebody uses now is none of these: that may be the kvroute
// which is running. Nothing is left open.
//
// Errors: as serve's, one line that names the field.
absl::Status CheckServe(const ServeConfig& config);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_CHECK_SERVE_H_
