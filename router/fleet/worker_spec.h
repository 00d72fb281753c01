#ifndef KVROUTE_ROUTER_FLEET_WORKER_SPEC_H_
#define KVROUTE_ROUTER_FLEET_WORKER_SPEC_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/enum_names.h"
#include "indexer/event/event.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/stream.h"

namespace kvroute {

// Who named a worker: its owner.
enum class WorkerSource : uint8_t { kConfig, kApi, kDiscovered, kKubernetes, kFile, kDns };
inline constexpr auto kWorkerSourceNames =
    NamesUpTo<WorkerSource::kDns>("config", "api", "discovered", "kubernetes", "file", "dns");
inline constexpr size_t kWorkerSourceCount = kWorkerSourceNames.size();
inline std::string_view WorkerSourceName(WorkerSource source) { return kWorkerSourceNames[source]; }

// What a worker does of a request: all of it, or its first half for others (their prompts' KV
// cache, which they fetch), or both.
enum class WorkerRole : uint8_t { kDecode, kPrefill, kBoth };
inline constexpr auto kWorkerRoleNames = NamesUpTo<WorkerRole::kBoth>("decode", "prefill", "both");

// Where one rank is, if not where the worker's own fields say.
struct RankEndpoints {
  uint32_t rank = 0;
  std::string event_endpoint = {};   // empty: both are as the rule says, rank 0's port + rank
  std::string replay_endpoint = {};  // empty beside an event_endpoint: none
  std::string address = {};          // for the gateway; empty: the worker's
  bool closed = false;               // gets no requests

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
  // What its engines call rank 0 in what they publish; nullopt: learned from it.
  std::optional<uint32_t> first_rank;
  std::vector<RankEndpoints> rank_overrides;
  std::optional<CopyMode> copies;  // nullopt: by engine
  bool bigram = false;
  uint32_t max_requests_in_flight = 0;  // of each rank; 0: no limit
  WorkerRole role = WorkerRole::kDecode;
  CurveKeys curve;
  // Tells the engine from another one of the same name and endpoints: what is known of the one is
  // not so of the other. Only who finds workers by himself gives it.
  std::string instance;
  // Grows with each start of the worker, for who registers it over the API: see Fleet. 0: not told.
  uint64_t incarnation = 0;
  std::map<std::string, std::string> labels;  // for people and filters
  std::vector<std::string> served_names;      // other names of its model
  std::vector<std::string> adapters;          // names of LoRA adapters that it serves

  bool operator==(const WorkerSpec& other) const;

  const RankEndpoints* FindOverride(uint32_t rank) const;  // nullptr: there is none
  std::string_view AddressOf(uint32_t rank) const;
};

// A worker as one owner names it.
struct OwnedWorker {
  WorkerSpec spec;
  bool not_ready = false;  // keeps what it has and gets no new requests
};

struct RefusedWorker {
  std::string worker_id;
  absl::Status why;
};

// The one check of a worker, whoever named it: what it is called reaches every answer, label and
// log line. One that was discovered has connected to kvroute: it has no endpoints, and they are not
// checked. INVALID_ARGUMENT names the field, its value and the limit.
absl::Status ValidateWorker(const WorkerSpec& spec, WorkerSource source);

// Of labels, wherever they are named. Errors as above.
absl::Status ValidateLabels(const std::map<std::string, std::string>& labels);

// Of a valid spec: what to subscribe to for one rank.
StreamConfig StreamConfigOf(const WorkerSpec& spec, uint32_t rank);

// "tcp://host:port" of rank 0 -> port + rank; "inproc://name" -> "name_dp<rank>" as the engines do.
// INVALID_ARGUMENT for any other scheme when rank > 0, and for a port beyond 65,535.
absl::StatusOr<std::string> OffsetEndpoint(std::string_view endpoint, uint32_t rank);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_WORKER_SPEC_H_
