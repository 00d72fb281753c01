#ifndef KVROUTE_ROUTER_FLEET_FLEET_SNAPSHOT_H_
#define KVROUTE_ROUTER_FLEET_FLEET_SNAPSHOT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/stream/stream.h"
#include "router/fleet/endpoint.h"
#include "router/fleet/worker_spec.h"
#include "router/load/load_tracker.h"

namespace kvroute {

struct FleetWorker {
  WorkerSpec spec;
  WorkerSource source = WorkerSource::kApi;
  bool draining = false;   // a person says so
  bool not_ready = false;  // its owner says so
  // By rank, of the rank's address, once the fleet knows the worker; nullopt: that is none.
  std::vector<std::optional<Endpoint>> endpoints = {};

  const std::optional<Endpoint>& EndpointOf(uint32_t rank) const { return endpoints[rank]; }
  bool TakesRequests(uint32_t rank) const {
    const RankEndpoints* const at = spec.FindOverride(rank);
    return !draining && !not_ready && (at == nullptr || !at->closed);
  }
};

// Whether what happens on a target's engine can be heard. Where its connection is down, or never
// stood, its events do not arrive: nothing is known of its cache now, and nothing of its health
// either. A stream that is stale although its connection is up again is heard: an idle engine
// publishes nothing until it is given work. Not so a discovered one: it shares its listener's
// connection, which stays up whatever becomes of a single engine.
inline bool IsHeard(Trust trust, bool connected, bool discovered) {
  if (trust == Trust::kStale) return connected && !discovered;
  return trust != Trust::kCold || connected;
}

// One target. Its stream's status and its load are the same objects in every snapshot, and are
// written while the snapshot is read.
struct FleetTarget {
  std::shared_ptr<const FleetWorker> worker;
  uint32_t rank = 0;
  std::shared_ptr<const StreamStatus> stream;
  std::shared_ptr<TargetLoad> load;

  // As configured, or as its stream has learned; 0: not known yet.
  uint32_t block_size_tokens() const {
    const uint32_t configured = worker->spec.block_size_tokens;
    return configured != 0 ? configured : stream->block_size_tokens.load(std::memory_order_relaxed);
  }
  // How many tokens behind a block its engine's hash covers too.
  uint32_t lookahead_tokens() const {
    return worker->spec.bigram ? 1 : stream->lookahead_tokens.load(std::memory_order_relaxed);
  }
  bool heard() const {
    return IsHeard(stream->trust.load(std::memory_order_relaxed),
                   stream->connected.load(std::memory_order_relaxed),
                   worker->source == WorkerSource::kDiscovered);
  }
};

// A worker with its targets, by rank. Immutable.
struct FleetEntry {
  std::shared_ptr<const FleetWorker> worker;
  std::vector<FleetTarget> targets;
  std::shared_ptr<FirstRank> first_rank = nullptr;  // as its streams learn it
};

// What every query reads of a target, packed: a decision goes over all targets of a model, and
// fetching the same from the FleetTarget would touch three more cache lines for each. Its pointers
// are good as long as the FleetTarget.
struct TargetFacts {
  const StreamStatus* stream = nullptr;
  const TargetLoad* load = nullptr;
  uint32_t configured_block_size_tokens = 0;  // 0: as the stream has learned
  uint32_t max_requests_in_flight = 0;        // 0: no limit
  bool bigram = false;
  bool draining = false;  // gets no new requests, whoever says so
  bool discovered = false;
  WorkerRole role = WorkerRole::kDecode;

  // The same as FleetTarget's, like lookahead_tokens().
  uint32_t block_size_tokens() const {
    return configured_block_size_tokens != 0
               ? configured_block_size_tokens
               : stream->block_size_tokens.load(std::memory_order_relaxed);
  }
  uint32_t lookahead_tokens() const {
    return bigram ? 1 : stream->lookahead_tokens.load(std::memory_order_relaxed);
  }
};

// What is kept for a model from one snapshot to the next.
struct ModelState {
  std::atomic<uint64_t> turn{0};       // decisions of round_robin
  std::atomic<uint64_t> decisions{0};  // of every policy
  std::atomic<uint64_t> routed{0};     // requests that were sent somewhere
};

// The targets of one model: [begin, end) of FleetSnapshot::targets.
struct ModelTargets {
  std::string model;
  uint32_t begin = 0;
  uint32_t end = 0;
  std::shared_ptr<ModelState> state;
  bool has_prefillers = false;  // workers that compute prompts for others
};

// Everything a query needs to know of the fleet, at one moment. Immutable.
struct FleetSnapshot {
  uint64_t version = 0;              // unique in the process; grows
  uint64_t change_number = 0;        // of the fleet's changes, up to which they are in it
  std::vector<FleetTarget> targets;  // by model, worker id and rank
  std::vector<TargetFacts> facts;    // the i-th: of targets[i]
  std::vector<ModelTargets> models;  // by name
  ModelTargets all;                  // targets of every model, as those of one without a name

  // An empty name means the only model there is. nullptr: none such.
  const ModelTargets* FindModel(std::string_view model) const;
  // The model that this LoRA adapter is of. nullptr: no worker says it has such an adapter.
  const ModelTargets* FindAdapter(std::string_view adapter) const;
  std::optional<uint32_t> FindTarget(std::string_view worker_id, uint32_t rank) const;
  // nullopt: not of this snapshot (its worker is new, or gone).
  std::optional<uint32_t> TargetOf(StreamId stream) const {
    const size_t mask = streams_.size() - 1;
    for (size_t i = stream.value() & mask;; i = (i + 1) & mask) {
      const StreamSlot& slot = streams_[i];
      if (slot.target == kNoTarget) return std::nullopt;
      if (slot.stream == stream.value()) return slot.target;
    }
  }

  // Makes all else from `targets`, which must be in order. `states` holds the ModelState of every
  // model of the snapshot before; afterwards, of every model of this one.
  void BuildLookups(absl::flat_hash_map<std::string, std::shared_ptr<ModelState>>* states);

 private:
  struct WorkerRange {
    uint32_t begin = 0;
    uint32_t ranks = 0;
  };
  struct StreamSlot {
    uint64_t stream = 0;
    uint32_t target = kNoTarget;
  };
  static constexpr uint32_t kNoTarget = UINT32_MAX;

  // keys point into the targets' workers
  absl::flat_hash_map<std::string_view, uint32_t> adapters_;      // to models
  absl::flat_hash_map<std::string_view, uint32_t> served_names_;  // the same
  absl::flat_hash_map<std::string_view, WorkerRange> workers_;
  // A hash table with open addressing, at most half full, whose hash is the stream's number itself:
  // numbers are handed out in sequence, so a fleet that seldom changes has no collisions and a
  // lookup is one load.
  std::vector<StreamSlot> streams_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_FLEET_SNAPSHOT_H_
