#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_ROUTER_SERVICE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_ROUTER_SERVICE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "kvroute/v1/router.grpc.pb.h"
#include "router/edge/grpc_base/unary_place.h"
#include "router/edge/grpc_v1/stream_place.h"
#include "router/route/router.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// gRPC's part of the service.
using RouterMethods = v1::Router::WithRawMethod_Route<
    v1::Router::WithRawMethod_Score<v1::Router::WithRawMethod_RouteStream<
        v1::Router::WithRawMethod_ScoreStream<v1::Router::WithRawMethod_Complete<
            v1::Router::WithRawMethod_Explain<v1::Router::Service>>>>>>;

struct RouterServiceOptions {
  uint32_t max_streams = 0;
  RpcStreams* streams = nullptr;  // of the whole server
  std::chrono::milliseconds stream_idle_timeout{0};
};

// The Router service over gRPC: answers each call on the event loop, but long prompts, and Explain,
// whose answer names the whole fleet, on LongWork's threads.
//
// Thread safety: Serve before the loop starts. Ownership: the router and the streams must outlive
// the service, and the service the loop. Errors: an RPC stream beyond grpc.max_streams is refused
// with RESOURCE_EXHAUSTED; of each unary method kMaxCallsUnderWay calls are served at a time, and
// further ones wait.
class RouterService final : public RouterMethods {
 public:
  RouterService(Router* router, const RouterServiceOptions& options);

  // Awaits calls on the loop, once the server runs. `parts` must outlive the loop.
  void Serve(const EdgeParts& parts);

 private:
  template <typename Request, typename Response>
  using Unary = UnaryMethod<RouterService, Request, Response>;
  template <typename Request, typename Response>
  using Stream = StreamMethod<RouterService, Request, Response>;

  template <typename Method, auto kAwait>
  void SetUpUnary(Method* method, RpcMethod counted_as);
  template <typename Method, auto kAwait>
  void SetUpStream(Method* method, const RouterServiceOptions& options);
  template <typename Place, typename Method>
  void ServeMethod(const Method& method, size_t limit, const EdgeParts& parts);

  Router* const router_;
  RpcStreams* const streams_;
  const size_t max_streams_;
  Unary<v1::RouteRequest, v1::RouteResponse> route_;
  Unary<v1::ScoreRequest, v1::ScoreResponse> score_;
  Unary<v1::CompleteRequest, v1::CompleteResponse> complete_;
  Unary<v1::RouteRequest, v1::ExplainResponse> explain_;
  Stream<v1::RouteRequest, v1::RouteStreamResponse> route_stream_;
  Stream<v1::ScoreRequest, v1::ScoreStreamResponse> score_stream_;
  std::vector<std::unique_ptr<CallPlaces>> methods_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_ROUTER_SERVICE_H_
