#ifndef KVROUTE_TOOLS_PLACEMENT_EXAMPLE_TRACE_H_
#define KVROUTE_TOOLS_PLACEMENT_EXAMPLE_TRACE_H_

#include <vector>

#include "tools/workload/trace.h"

namespace kvroute {

// For tests: a line of a trace.
inline TraceRequest Traced(int64_t ms, uint32_t input, uint32_t output, std::vector<uint64_t> ids) {
  TraceRequest request{.timestamp_ms = ms, .input_length = input, .output_length = output};
  for (const uint64_t id : ids) request.hash_ids.push_back(TraceBlockId(id));
  return request;
}

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_EXAMPLE_TRACE_H_
