#ifndef KVROUTE_TOOLS_FLEET_PLACER_H_
#define KVROUTE_TOOLS_FLEET_PLACER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/event/block_hasher.h"
#include "indexer/event/event.h"
#include "tools/fleet/decision_record.h"

namespace kvroute {

// A request that has to go somewhere.
struct PlacementRequest {
  uint64_t number = 0;
  absl::Span<const TokenId> prompt;
  absl::Span<const Digest> hashes;  // of its full blocks, in the fleet's scheme; empty when engines
                                    // of several schemes serve
  uint32_t output_tokens = 0;
};

// How far the match of the target that kvroute chose may be believed.
struct PredictionBasis {
  bool exact = false;     // the stream's trust was TRUST_EXACT
  uint64_t next_seq = 0;  // all batches below it are reflected
};

struct RequestPlacement {
  DecisionRecord decision;
  std::optional<PredictionBasis>
      prediction;  // nullopt: the match was read from the pools themselves
};

// Who decides where requests go: the border between the simulation and whatever is compared.
//
// Thread safety: one thread at a time. Errors: those of Place are final for the run.
class Placer {
 public:
  virtual ~Placer() = default;
  virtual absl::StatusOr<RequestPlacement> Place(const PlacementRequest& request) = 0;
  // One after another, in this order.
  virtual absl::StatusOr<std::vector<RequestPlacement>> PlaceAll(
      absl::Span<const PlacementRequest> requests) {
    std::vector<RequestPlacement> placements;
    for (const PlacementRequest& request : requests) {
      absl::StatusOr<RequestPlacement> placement = Place(request);
      if (!placement.ok()) return placement.status();
      placements.push_back(*std::move(placement));
    }
    return placements;
  }
  // The request's first token is out; it ended. Prefilled may come again after an engine's restart.
  virtual absl::Status Prefilled(uint64_t number) = 0;
  virtual absl::Status Ended(uint64_t number) = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_PLACER_H_
