#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_SERVER_SETTINGS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_SERVER_SETTINGS_H_

#include <chrono>
#include <cstddef>

#include "router/edge/grpc_base/connection_times.h"
#include "router/edge/grpc_base/event_loop.h"

namespace grpc {
class Server;
class ServerBuilder;
}  // namespace grpc

namespace kvroute {

struct ServerLimits {
  size_t max_message_bytes = 0;  // a longer request: RESOURCE_EXHAUSTED
  size_t max_memory_bytes = 0;   // of gRPC's own buffers
  int calls_of_a_connection = 0;
  ConnectionTimes times = {};
};

// What every gRPC server of ours has in common.
void SetServerLimits(const ServerLimits& limits, grpc::ServerBuilder* builder);

// Refuses new calls and lets those under way end until `grace` has passed, then cancels them.
// Returns as soon as none is left, whatever connections are open.
void ShutDownServer(grpc::Server* server, EventLoop* loop, std::chrono::milliseconds grace);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_SERVER_SETTINGS_H_
