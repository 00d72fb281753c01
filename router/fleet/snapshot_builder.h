#ifndef KVROUTE_ROUTER_FLEET_SNAPSHOT_BUILDER_H_
#define KVROUTE_ROUTER_FLEET_SNAPSHOT_BUILDER_H_

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "router/fleet/fleet_snapshot.h"

namespace kvroute {

// Makes snapshots of a fleet from what has changed since the last one. A snapshot costs as much as
// the fleet is large.
//
// Thread safety: one thread.
class SnapshotBuilder {
 public:
  // nullptr: there is no such worker any more.
  void Set(const std::string& worker_id, std::shared_ptr<const FleetEntry> entry);

  std::shared_ptr<const FleetSnapshot> Build(uint64_t change_number);

 private:
  // In the order of a snapshot: by model and worker id.
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const FleetEntry>> entries_;
  absl::flat_hash_map<std::string, std::string> model_of_;  // by worker id
  absl::flat_hash_map<std::string, std::shared_ptr<ModelState>> models_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_SNAPSHOT_BUILDER_H_
