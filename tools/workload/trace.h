#ifndef KVROUTE_TOOLS_WORKLOAD_TRACE_H_
#define KVROUTE_TOOLS_WORKLOAD_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/strong_int.h"
#include "indexer/event/event.h"

namespace kvroute {

// One block of a trace: equal ids mean equal prompts up to and including that block.
using TraceBlockId = StrongInt<struct TraceBlockIdTag, uint64_t>;

inline constexpr uint32_t kTraceBlockTokens = 512;
inline constexpr uint32_t kVocabularyTokens = 128'000;  // token ids are below it

// One request of a workload in the Mooncake format.
struct TraceRequest {
  int64_t timestamp_ms = 0;
  uint32_t input_length = 0;   // tokens, at least 1
  uint32_t output_length = 0;  // tokens, at least 1
  // ceil(input_length / kTraceBlockTokens) ids; the last block may be partial: input_length
  // decides.
  std::vector<TraceBlockId> hash_ids = {};
  // Generated workloads only (the format has no place for it): the output goes on in the prompt's
  // last block and then in continuation_ids, so that the next turn of the conversation finds it
  // cached. Otherwise every output is unique.
  bool output_continues = false;
  std::vector<TraceBlockId> continuation_ids = {};
};

// Reads a Mooncake-format trace: one JSON object a line with `timestamp` (ms, not decreasing),
// `input_length`, `output_length` (tokens) and `hash_ids`; further members are ignored.
// `max_requests` stops early; 0 reads all. Errors: NOT_FOUND when the file cannot be opened;
// INVALID_ARGUMENT as "file:line: field: value and what was expected".
absl::StatusOr<std::vector<TraceRequest>> ReadTrace(const std::string& path,
                                                    size_t max_requests = 0);

// The token at `position` (below kTraceBlockTokens) of a block: a fixed function of the two.
TokenId TraceToken(TraceBlockId id, uint32_t position);

// Appends the request's input_length prompt tokens.
void ExpandPrompt(const TraceRequest& request, std::vector<TokenId>* tokens);
// Appends its output_length output tokens; `request_number` makes those of equal requests differ.
void ExpandOutput(const TraceRequest& request, uint64_t request_number,
                  std::vector<TokenId>* tokens);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_WORKLOAD_TRACE_H_
