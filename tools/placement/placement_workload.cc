#include "tools/placement/placement_workload.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "tools/workload/random.h"

namespace kvroute {
namespace {

// The top bit is set in ids that no trace has: of outputs that no later prompt contains.
constexpr uint64_t kUnique = uint64_t{1} << 63;

BlockKey KeyOf(uint64_t id, uint32_t part) { return BlockKey(MixBits(MixBits(id) + part)); }

}  // namespace

absl::StatusOr<PlacementWorkload> PlacementWorkload::Make(absl::Span<const TraceRequest> trace,
                                                          uint32_t block_size_tokens,
                                                          const WorkloadCut& cut) {
  if (block_size_tokens == 0 || kTraceBlockTokens % block_size_tokens != 0) {
    return absl::InvalidArgumentError(absl::StrCat("block size: ", block_size_tokens,
                                                   " tokens; must divide ", kTraceBlockTokens));
  }
  PlacementWorkload workload;
  workload.block_size_tokens_ = block_size_tokens;
  for (const TraceRequest& traced : trace) workload.Cut(traced, cut);
  workload.FindConversations(trace, cut);
  return workload;
}

void PlacementWorkload::Cut(const TraceRequest& traced, const WorkloadCut& cut) {
  WorkloadRequest request;
  request.arrival = std::chrono::milliseconds(traced.timestamp_ms);
  request.prompt_tokens = std::min(traced.input_length, cut.max_prompt_tokens);
  request.output_tokens = std::min(traced.output_length, cut.max_output_tokens);
  // What follows a prompt that was cut is not what the trace has there.
  const bool continues = traced.output_continues && request.prompt_tokens == traced.input_length;
  const uint32_t parts = kTraceBlockTokens / block_size_tokens_;
  const uint64_t unique = kUnique | requests_.size();
  std::vector<BlockKey>& keys = keys_.emplace_back();
  const uint32_t full = (request.prompt_tokens + request.output_tokens) / block_size_tokens_;
  const uint32_t of_prompt = request.prompt_tokens / block_size_tokens_;
  keys.reserve(full);
  for (uint32_t block = 0; block < full; ++block) {
    const size_t at = block / parts;
    const bool in_prompt = at < traced.hash_ids.size();
    if (block >= of_prompt && !continues) {
      keys.push_back(KeyOf(unique, block));
    } else {
      const TraceBlockId id =
          in_prompt ? traced.hash_ids[at] : traced.continuation_ids[at - traced.hash_ids.size()];
      keys.push_back(KeyOf(id.value(), block % parts));
    }
  }
  request.blocks = keys;
  request.prompt_blocks = request.blocks.first(of_prompt);
  prompt_tokens_ += request.prompt_tokens;
  requests_.push_back(request);
}

void PlacementWorkload::FindConversations(absl::Span<const TraceRequest> trace,
                                          const WorkloadCut& cut) {
  absl::flat_hash_map<TraceBlockId, uint32_t> first_seen;  // by whom
  absl::flat_hash_map<TraceBlockId, uint32_t> ended_by;    // full blocks that were some turn's last
  for (uint32_t i = 0; i < trace.size(); ++i) {
    const std::vector<TraceBlockId>& ids = trace[i].hash_ids;
    const size_t full = trace[i].input_length / kTraceBlockTokens;
    requests_[i].conversation = i;
    for (size_t block = full; block-- > 0;) {
      const auto turn = ended_by.find(ids[block]);
      if (turn == ended_by.end()) continue;
      const WorkloadRequest& before = requests_[turn->second];
      const auto answering = std::chrono::duration_cast<Nanos>(
          std::chrono::duration<double>(before.output_tokens * cut.seconds_per_output_token));
      requests_[i].previous_turn = turn->second;
      requests_[i].conversation = before.conversation;
      requests_[i].think = std::max(Nanos(0), requests_[i].arrival - before.arrival - answering);
      break;
    }
    for (size_t block = 0; block < full; ++block) first_seen.try_emplace(ids[block], i);
    if (full > 0 && first_seen[ids[full - 1]] == i) {
      ended_by[ids[full - 1]] = i;
    } else if (full > 0 && ended_by.contains(ids[full - 1])) {
      ended_by[ids[full - 1]] = i;  // the same turn once more: the next one follows this
    }
  }
}

Nanos PlacementWorkload::duration() const {
  return requests_.empty() ? Nanos(0) : requests_.back().arrival - requests_.front().arrival;
}

}  // namespace kvroute
