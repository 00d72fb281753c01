#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_ROUTER_SERVICE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_ROUTER_SERVICE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "kvroute/v1/router.grpc.pb.h"
#include "router/edge/grpc_v1/event_loop.h"
#include "router/route/router.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// gRPC's part of the service: what gateways call is asynchronous, Explain is not.
using RouterMethods = v1::Router::WithAsyncMethod_Route<v1::Router::WithAsyncMethod_Score<
    v1::Router::WithAsyncMethod_RouteStream<v1::Router::WithAsyncMethod_ScoreStream<
        v1::Router::WithAsyncMethod_Complete<v1::Router::Service>>>>>;

// The Router service over gRPC: answers each call on the thread that received it. Explain, whose
// answer names the whole fleet, runs on gRPC's own threads.
//
// Thread safety: Serve before the loop starts; Explain from any thread. Ownership: the router and
// the stats must outlive the service, and the service the loop. Errors: an RPC stream beyond
// grpc.max_streams is refused with RESOURCE_EXHAUSTED; of each unary method kMaxCallsUnderWay calls
// are served at a time, and further ones wait.
class RouterService final : public RouterMethods {
 public:
  RouterService(Router* router, RoutingStats* stats, uint32_t max_rpc_streams);
  ~RouterService() override;

  // Awaits calls on the loop, once the server runs.
  void Serve(EventLoop* loop);

  grpc::Status Explain(grpc::ServerContext* context, const v1::RouteRequest* request,
                       v1::ExplainResponse* response) override;

 private:
  template <typename Place, typename... Arguments>
  void Await(EventLoop* loop, size_t limit, Arguments... arguments);

  Router* const router_;
  RoutingStats* const stats_;
  const uint32_t max_rpc_streams_;
  std::vector<std::unique_ptr<CallPlaces>> methods_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_ROUTER_SERVICE_H_
