#ifndef KVROUTE_ROUTER_CONFIG_ENVIRONMENT_H_
#define KVROUTE_ROUTER_CONFIG_ENVIRONMENT_H_

#include <string>
#include <string_view>
#include <vector>

#include "router/config/parse_config.h"

namespace kvroute {

// The environment variable of a field: "grpc.tls.key_file" is KVROUTE_GRPC_TLS_KEY_FILE. Lists and
// what is in them have none.
std::string EnvironmentNameOf(std::string_view path);

// Fields that have a variable, in the order of the reference page.
std::vector<std::string> EnvironmentFields();

// Takes the variables of fields out of `environment` ("NAME=value", as environ has them) into the
// overrides: call it before the command line's are, which outrank them. Empty variables say
// nothing. Returns a line for each KVROUTE_ variable that no field has, with the one that was
// probably meant; those that scripts and tests read, and those that Kubernetes sets for a service
// of that name, are passed over.
std::vector<std::string> TakeEnvironment(const std::vector<std::string>& environment,
                                         ConfigOverrides* overrides);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_ENVIRONMENT_H_
