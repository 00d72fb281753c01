#ifndef KVROUTE_ROUTER_FLEET_REGISTRATION_RULES_H_
#define KVROUTE_ROUTER_FLEET_REGISTRATION_RULES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/network_list.h"
#include "router/fleet/worker_spec.h"

namespace kvroute {

// Where a worker may be that a client of the API names: kvroute connects there for its events and
// asks it over HTTP, and must not be made to connect anywhere. What a name stands for is known only
// when it is connected to, and is checked again there, by `networks`.
struct RegistrationRules {
  NetworkList networks = NetworkList::Usual(/*with_loopback=*/true);
  std::vector<std::string> names = {};  // suffixes of host names, ".svc"; empty: any

  // ".svc, .example.org, engine-0": with commas, in lower case. INVALID_ARGUMENT names what is
  // none.
  static absl::StatusOr<std::vector<std::string>> ParseNames(const std::string& text);

  // INVALID_ARGUMENT names the field, its value and the list. Sockets of this machine (ipc, inproc)
  // are where loopback is.
  absl::Status Check(const WorkerSpec& spec) const;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_REGISTRATION_RULES_H_
