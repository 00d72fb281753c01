#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_FOUND_ENGINE_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_FOUND_ENGINE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "router/fleet/worker_spec.h"

namespace kvroute {

// What holds of every engine that is found, unless where it was found says otherwise.
struct EngineDefaults {
  std::string model = {};  // empty: the engine is asked
  EngineKind engine = EngineKind::kAuto;
  uint32_t event_port = 5557;  // of rank 0; rank r is at port + r
  uint32_t replay_port = 0;    // 0: none
  std::string topic = {};      // subscription prefix; empty: all
};

// An engine as somebody found it.
struct FoundEngine {
  std::string worker_id;
  std::string host;             // address or name
  std::vector<uint32_t> ports;  // of HTTP, by rank; 0: the rank gets no requests
  std::string engine_type;      // as llm-d writes it; empty: not said
  WorkerRole role = WorkerRole::kDecode;
  std::string instance;
  // What it says of itself; empty or 0: as for all.
  std::string model = {};
  uint32_t event_port = 0;
  uint32_t replay_port = 0;
};

// Runs whenever the set may have changed, with all of it.
using OnWorkers = std::function<void(std::vector<OwnedWorker>)>;

// At least one of its ports is not 0.
WorkerSpec WorkerOf(const FoundEngine& found, const EngineDefaults& defaults);

// "host:port", or "[v6]:port".
std::string AddressText(std::string_view host, uint32_t port);

// Of the label llm-d.ai/role; without one an engine takes whole requests. nullopt: it does nothing
// for us (one that only encodes), or the word is nobody's.
std::optional<WorkerRole> RoleOfLabel(std::string_view role);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_FOUND_ENGINE_H_
