#ifndef KVROUTE_TOOLS_PLACEMENT_PLACEMENT_WORKLOAD_H_
#define KVROUTE_TOOLS_PLACEMENT_PLACEMENT_WORKLOAD_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/base/clock.h"
#include "tools/fleet/block_key.h"
#include "tools/workload/trace.h"

namespace kvroute {

// One request of a workload, cut into an engine's blocks.
struct WorkloadRequest {
  Nanos arrival{0};  // as the workload has it
  uint32_t prompt_tokens = 0;
  uint32_t output_tokens = 0;
  absl::Span<const BlockKey> prompt_blocks;  // full ones
  absl::Span<const BlockKey> blocks;         // of prompt and output together
  std::optional<uint32_t> previous_turn;     // of the same conversation; its index
  Nanos think{0};                            // between that one's end and this
  uint32_t conversation = 0;                 // the index of its first turn
};

struct WorkloadCut {
  uint32_t max_prompt_tokens = UINT32_MAX;  // longer prompts end there
  uint32_t max_output_tokens = UINT32_MAX;
  double seconds_per_output_token = 0.03;  // how long the workload's own engines took
};

// A trace as simulated engines need it. Turns of a conversation are found by containment: a request
// follows the last one before it whose full blocks it begins with, if the last of those blocks was
// new with that one (so that a shared system prompt makes no conversation). What passed between the
// two, less the time that the output took, was spent thinking.
//
// Thread safety: immutable once made. Ownership: requests point into the workload's own memory, 8
// bytes a block.
class PlacementWorkload {
 public:
  // INVALID_ARGUMENT: blocks of so many tokens do not divide a trace's blocks.
  static absl::StatusOr<PlacementWorkload> Make(absl::Span<const TraceRequest> trace,
                                                uint32_t block_size_tokens, const WorkloadCut& cut);
  PlacementWorkload(PlacementWorkload&&) = default;
  PlacementWorkload& operator=(PlacementWorkload&&) = default;

  absl::Span<const WorkloadRequest> requests() const { return requests_; }
  uint32_t block_size_tokens() const { return block_size_tokens_; }
  uint64_t prompt_tokens() const { return prompt_tokens_; }
  // From the first arrival to the last.
  Nanos duration() const;

 private:
  PlacementWorkload() = default;
  void Cut(const TraceRequest& traced, const WorkloadCut& cut);
  void FindConversations(absl::Span<const TraceRequest> trace, const WorkloadCut& cut);

  uint32_t block_size_tokens_ = 0;
  uint64_t prompt_tokens_ = 0;
  std::vector<std::vector<BlockKey>> keys_;  // by request
  std::vector<WorkloadRequest> requests_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_PLACEMENT_WORKLOAD_H_
