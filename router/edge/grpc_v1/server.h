#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_SERVER_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_SERVER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/base/limits.h"
#include "indexer/base/memory_budget.h"
#include "router/edge/grpc_base/connection_times.h"
#include "router/fleet/fleet.h"
#include "router/route/routing_stats.h"

namespace grpc {
class ServerCredentials;
}

namespace kvroute {

class Router;

struct GrpcServerOptions {
  std::string address = "0.0.0.0:50051";                 // port 0: any free one, see port()
  std::shared_ptr<grpc::ServerCredentials> credentials;  // nullptr: plain text
  // For calls that take long: long prompts, Explain, Fleet. All other calls are served by one
  // further thread.
  int max_threads = limits::kMaxGrpcThreads;
  size_t max_connections = limits::kMaxGrpcConnections;     // a new one takes the place of another
  size_t max_memory_bytes = limits::kMaxGrpcMemoryBytes;    // of gRPC's own buffers
  MemoryBudget* requests = nullptr;                         // of long ones; nullptr: no limit
  size_t max_message_bytes = limits::kMaxGrpcMessageBytes;  // a longer request: RESOURCE_EXHAUSTED
  uint32_t max_streams = limits::kMaxGrpcStreams;           // RouteStream and ScoreStream
  // A client that does not take an answer for so long is cut off.
  std::chrono::milliseconds write_timeout = std::chrono::seconds(10);
  // A RouteStream or ScoreStream without a request for so long ends.
  std::chrono::milliseconds stream_idle_timeout = std::chrono::minutes(30);
  ConnectionTimes times = {};
};

// The gRPC edge: Router, Fleet, health and reflection on one port.
//
// Thread safety: every method from any thread. Ownership: everything given to Start must outlive
// it; ends with Shutdown.
class GrpcServer {
 public:
  // UNAVAILABLE when the address cannot be bound (in use, not local); INVALID_ARGUMENT names an
  // option out of range.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                           Router* router, Fleet* fleet,
                                                           RoutingStats* stats);
  ~GrpcServer();

  int port() const;
  // What the health service answers; serving from the start.
  void SetServing(bool serving);
  // How long no call, or no new connection, has come on: a few hundred milliseconds unless
  // something is wrong.
  Nanos SinceProgress() const;
  // Refuses new calls and lets those under way end until `grace` has passed, then cancels them.
  // Returns as soon as none is left, whatever connections are open. Idempotent.
  void Shutdown(std::chrono::milliseconds grace = std::chrono::milliseconds(2'000));

 private:
  class Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_SERVER_H_
