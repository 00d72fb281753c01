#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_EVENT_SOURCES_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_EVENT_SOURCES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "router/fleet/worker_spec.h"

namespace kvroute {

// Where one rank of an engine publishes, as the engine itself says (vLLM from 0.33 on).
struct RankPublisher {
  uint32_t rank = 0;  // as the engine counts them
  std::string endpoint;
  std::string replay_endpoint;  // empty: none

  bool operator==(const RankPublisher&) const = default;
};

// What GET /kv_event_sources says, by rank; empty: it publishes nothing. Errors: INVALID_ARGUMENT:
// it is no such list, a rank is there twice or beyond the limit, or an endpoint is no tcp address:
// names are not taken, as whoever answers would have kvroute ask name servers for them.
absl::StatusOr<std::vector<RankPublisher>> ReadEventSources(std::string_view text);

// Puts them into the worker: endpoints of every rank, and the number of ranks where it was not
// known (it has one address). An address that stands for all of its host is the worker's own. What
// was said of ports before gives way: the engine knows where it has bound. False: they are not of
// this worker (another number of ranks, or ranks that do not follow one another), and it stays.
bool TakeEventSources(const std::vector<RankPublisher>& sources, WorkerSpec* spec);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_EVENT_SOURCES_H_
