#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_GRPC_STATUS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_GRPC_STATUS_H_

#include <grpc/support/time.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <chrono>

#include "absl/status/status.h"

namespace kvroute {

// The one place where an absl::Status becomes a gRPC one: the codes are numbered alike. An error
// has its reason as a google.rpc.ErrorInfo in its details, unless they would be longer than
// kMaxErrorDetailBytes.
grpc::Status ToGrpc(const absl::Status& status);

// Whether the call's deadline has passed, or is less than `ahead` away. Asked in gRPC's time: what
// a client may send reaches 11,000 years ahead, and std::chrono's nanoseconds 292.
inline bool IsTooLate(const grpc::ServerContext& context,
                      std::chrono::milliseconds ahead = std::chrono::milliseconds(0)) {
  const gpr_timespec deadline = context.raw_deadline();
  const gpr_timespec then =
      gpr_time_add(gpr_now(deadline.clock_type), gpr_time_from_millis(ahead.count(), GPR_TIMESPAN));
  return gpr_time_cmp(deadline, then) <= 0;
}

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_GRPC_STATUS_H_
