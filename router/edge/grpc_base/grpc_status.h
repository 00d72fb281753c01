#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_GRPC_STATUS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_GRPC_STATUS_H_

#include <grpc/support/time.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace kvroute {

// The one place where an absl::Status becomes a gRPC one: the codes are numbered alike.
inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

// Whether the call's deadline has passed. Asked in gRPC's time: what a client may send reaches
// 11,000 years ahead, and std::chrono's nanoseconds 292.
inline bool IsTooLate(const grpc::ServerContext& context) {
  const gpr_timespec deadline = context.raw_deadline();
  return gpr_time_cmp(deadline, gpr_now(deadline.clock_type)) <= 0;
}

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_GRPC_STATUS_H_
