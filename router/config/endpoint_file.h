#ifndef KVROUTE_ROUTER_CONFIG_ENDPOINT_FILE_H_
#define KVROUTE_ROUTER_CONFIG_ENDPOINT_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router/fleet/discovery/found_engine.h"

namespace kvroute {

struct EndpointFile {
  std::vector<OwnedWorker> workers;
  std::vector<std::string> skipped;  // one line for each entry that cannot be used, with its place
};

// A file of engines in llm-d's form, YAML or JSON:
//
//   endpoints:
//   - {name: a, namespace: default, address: 10.0.0.7, port: "8000", labels: {llm-d.ai/role:
//   decode}}
//
// Workers are named <namespace>/<name>. A bad entry is skipped; INVALID_ARGUMENT: the text is no
// such file at all. `name` goes into the places.
absl::StatusOr<EndpointFile> ReadEndpointFile(const std::string& text, const std::string& name,
                                              const EngineDefaults& defaults);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_ENDPOINT_FILE_H_
