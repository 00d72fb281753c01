#ifndef KVROUTE_ROUTER_CONFIG_REGISTRATION_H_
#define KVROUTE_ROUTER_CONFIG_REGISTRATION_H_

#include "router/config/serve_config.h"
#include "router/fleet/registration_rules.h"

namespace kvroute {

// Where workers may be that clients name. Without `registration.networks` loopback is allowed where
// nobody but this machine reaches the API: 127.0.0.1 is then the client's own.
RegistrationRules RegistrationRulesOf(const ServeConfig& config);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_REGISTRATION_H_
