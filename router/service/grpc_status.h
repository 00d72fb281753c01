#ifndef KVROUTE_ROUTER_SERVICE_GRPC_STATUS_H_
#define KVROUTE_ROUTER_SERVICE_GRPC_STATUS_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "router/service/routing_stats.h"

namespace kvroute {

// The one place where an absl::Status becomes a gRPC one: the codes are numbered alike.
inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

// A call that waited for a thread until nobody wants its answer any more is not executed.
template <typename Call>
grpc::Status AnswerInTime(const grpc::ServerContext& context, RpcMethod method, RoutingStats* stats,
                          Call call) {
  if (context.deadline() > std::chrono::system_clock::now()) return ToGrpc(call());
  stats->CountRequest(method, absl::StatusCode::kDeadlineExceeded);
  return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                      "the deadline passed before the call was executed");
}

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVICE_GRPC_STATUS_H_
