#ifndef KVROUTE_ROUTER_FLEET_WORKER_FILTER_H_
#define KVROUTE_ROUTER_FLEET_WORKER_FILTER_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/fleet/worker_spec.h"

namespace kvroute {

// Which workers somebody wants to hear of; what is empty lets all pass.
struct WorkerFilter {
  std::string model = {};  // its model, or another name of it
  std::map<std::string, std::string> labels = {};
  std::vector<WorkerSource> sources = {};
  std::string worker_id_prefix = {};

  // INVALID_ARGUMENT names the field.
  absl::Status Validate() const;
  bool Matches(const FleetWorker& worker) const;
};

// Some of a snapshot's workers, each by where its targets begin.
struct WorkerPage {
  std::vector<uint32_t> workers;
  std::string next_token;  // empty: there are no more
};

// The workers of a snapshot that come behind those of `token`, `limit` of them at most (0: all). A
// token is the last worker's place in the order of model and worker id, not its number: whatever
// comes and goes between two pages, nobody is named twice and nobody who stays is left out.
// INVALID_ARGUMENT: `token` is none.
absl::StatusOr<WorkerPage> PageOfWorkers(const FleetSnapshot& fleet, const WorkerFilter& filter,
                                         size_t limit, std::string_view token);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_WORKER_FILTER_H_
