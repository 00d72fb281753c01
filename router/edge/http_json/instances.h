#ifndef KVROUTE_ROUTER_EDGE_HTTP_JSON_INSTANCES_H_
#define KVROUTE_ROUTER_EDGE_HTTP_JSON_INSTANCES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/mutex.h"
#include "router/fleet/fleet.h"

namespace kvroute {

// What other indexers call an instance: an engine whose ranks are registered one by one, in a group
// (Dynamo's routing group, Mooncake's tenant) that keeps equal prompts of one model apart.
//
// A rank is a worker of ours. Its id is the instance's, then "@GROUP" unless that is "default",
// then ".dpRANK" unless that is 0; its model is the model's name, then ":GROUP" likewise.
struct InstanceRank {
  std::string instance = "";
  std::string group = "default";
  std::string model = "";
  uint32_t rank = 0;

  std::string WorkerId() const;
};
inline constexpr std::string_view kDefaultGroup = "default";

// What a model of a group is called in the fleet.
std::string ModelOfGroup(std::string_view model, std::string_view group);

// The instance that a target is part of. One that was named in another way is an instance of its
// worker's id, in the default group.
InstanceRank InstanceOf(const FleetTarget& target);

// The number that stands for an instance where only numbers may: its own, or FNV-1a of its name.
uint64_t InstanceNumber(std::string_view instance);

struct Registration {
  InstanceRank at;
  std::string event_endpoint;
  std::string replay_endpoint;
  uint32_t block_size_tokens = 0;
  EngineKind engine = EngineKind::kAuto;
};

// Which instances go when one is unregistered: those of every value that is not given.
struct Removal {
  std::string instance;
  std::optional<std::string> model;
  std::optional<std::string> group;
  std::optional<uint32_t> rank;
};

// Registers ranks at the fleet, as workers named by the API: those of the configuration cannot be
// touched.
//
// Thread safety: every method from any thread. Ownership: the fleet must outlive it. Errors: the
// fleet's; ALREADY_EXISTS also for a rank that is registered and for another block size than the
// model's other instances have.
class Instances {
 public:
  explicit Instances(Fleet* fleet) : fleet_(fleet) {}

  // `one_place`: an instance may be in one model and group only.
  absl::Status Register(const Registration& registration, bool one_place);
  // What went; NOT_FOUND when there was none.
  absl::StatusOr<std::vector<InstanceRank>> Unregister(const Removal& removal);

 private:
  absl::Status CheckPlace(const Registration& registration, bool one_place) const;

  Fleet* const fleet_;
  Mutex mutex_;  // one change at a time: what is checked must hold when it is made
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HTTP_JSON_INSTANCES_H_
