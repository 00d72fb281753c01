#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_GRPC_STATUS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_GRPC_STATUS_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// The one place where an absl::Status becomes a gRPC one: the codes are numbered alike.
inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

// A call counts as running as long as this lives.
class RunningCall {
 public:
  explicit RunningCall(RoutingStats* stats) : stats_(stats) {
    stats_->running_calls.fetch_add(1, std::memory_order_relaxed);
  }
  ~RunningCall() {
    if (stats_->running_calls.fetch_sub(1, std::memory_order_relaxed) != 1) return;
    stats_->running_calls.notify_all();  // a shutdown may wait for it
  }
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;

 private:
  RoutingStats* const stats_;
};

// Answers a call unless its deadline has passed while it waited for a thread: nobody wants the
// answer any more.
template <typename Call>
grpc::Status AnswerInTime(const grpc::ServerContext& context, RpcMethod method, RoutingStats* stats,
                          Call call) {
  const RunningCall running(stats);
  if (context.deadline() > std::chrono::system_clock::now()) return ToGrpc(call());
  stats->CountRequest(method, absl::StatusCode::kDeadlineExceeded);
  return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED,
                      "the deadline passed before the call was executed");
}

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_GRPC_STATUS_H_
