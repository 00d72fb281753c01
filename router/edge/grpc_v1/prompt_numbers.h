#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_PROMPT_NUMBERS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_PROMPT_NUMBERS_H_

#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"
#include "router/edge/grpc_base/request_bytes.h"

namespace kvroute {

// Takes a long prompt's token ids and hashes out of a RouteRequest or ScoreRequest (the two have
// them in the same place) and leaves the rest of the message: protobuf would copy them several
// times while it parses, and they are all but the whole of a long request. `numbers` then has all
// of the prompt's token ids in `words`, its hashes in `longs`; either is left in the message,
// whole, if any part of it is too short to be worth it.
//
// Takes, beside the message's own bytes, which are freed as they are copied, next to nothing.
//
// Errors: INVALID_ARGUMENT: it is no such message, or has more token ids, hashes, candidates or
// multimodal inputs than a request may have. Nothing has been allocated for them then.
absl::Status TakePromptNumbers(grpc::ByteBuffer* message, LongNumbers* numbers);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_PROMPT_NUMBERS_H_
