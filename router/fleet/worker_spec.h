#ifndef KVROUTE_ROUTER_FLEET_WORKER_SPEC_H_
#define KVROUTE_ROUTER_FLEET_WORKER_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/event/event.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/stream.h"

namespace kvroute {

// The endpoints of a rank that are not those of rank 0 with the rank added to the port.
struct RankEndpoints {
  uint32_t rank = 0;
  std::string event_endpoint;
  std::string replay_endpoint;  // empty: none

  bool operator==(const RankEndpoints&) const = default;
};

// One worker, as the configuration file or Fleet.Register names it. Only the configuration may give
// it keys.
struct WorkerSpec {
  std::string worker_id;
  std::string address;  // for the gateway; opaque to kvroute
  std::string model;
  EngineKind engine = EngineKind::kAuto;
  uint32_t block_size_tokens = 0;  // 0: learned from the first event
  std::string event_endpoint;      // of rank 0
  std::string replay_endpoint;     // of rank 0; empty: none
  std::string topic;               // empty: all
  uint32_t data_parallel_size = 1;
  std::vector<RankEndpoints> rank_overrides;
  std::optional<CopyMode> copies;  // nullopt: by engine
  bool bigram = false;
  uint32_t max_requests_in_flight = 0;  // of each rank; 0: no limit
  CurveKeys curve;

  bool operator==(const WorkerSpec& other) const;
};

// INVALID_ARGUMENT names the field, its value and the limit.
absl::Status ValidateWorker(const WorkerSpec& spec);

// Of a valid spec: what to subscribe to for one rank.
StreamConfig StreamConfigOf(const WorkerSpec& spec, uint32_t rank);

// "tcp://host:port" of rank 0 -> port + rank; "inproc://name" -> "name_dp<rank>" as the engines do.
// INVALID_ARGUMENT for any other scheme when rank > 0, and for a port beyond 65,535.
absl::StatusOr<std::string> OffsetEndpoint(std::string_view endpoint, uint32_t rank);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_WORKER_SPEC_H_
