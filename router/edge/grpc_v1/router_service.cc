#include "router/edge/grpc_v1/router_service.h"

#include "indexer/base/limits.h"
#include "router/edge/grpc_v1/async_calls.h"
#include "router/edge/grpc_v1/grpc_status.h"

namespace kvroute {
namespace {

template <typename Request, typename Response, auto kAwait, RpcMethod kCountedAs>
using Unary = UnaryPlace<RouterService, AsyncMethod<Request, Response, kAwait, kCountedAs>>;
template <typename Request, typename Response, auto kAwait, RpcMethod kCountedAs>
using Stream = StreamPlace<RouterService, AsyncMethod<Request, Response, kAwait, kCountedAs>>;

using RoutePlace =
    Unary<v1::RouteRequest, v1::RouteResponse, &RouterService::RequestRoute, RpcMethod::kRoute>;
using ScorePlace =
    Unary<v1::ScoreRequest, v1::ScoreResponse, &RouterService::RequestScore, RpcMethod::kScore>;
using CompletePlace = Unary<v1::CompleteRequest, v1::CompleteResponse,
                            &RouterService::RequestComplete, RpcMethod::kComplete>;
using RouteStreamPlace = Stream<v1::RouteRequest, v1::RouteStreamResponse,
                                &RouterService::RequestRouteStream, RpcMethod::kRoute>;
using ScoreStreamPlace = Stream<v1::ScoreRequest, v1::ScoreStreamResponse,
                                &RouterService::RequestScoreStream, RpcMethod::kScore>;

}  // namespace

RouterService::RouterService(Router* router, RoutingStats* stats, uint32_t max_rpc_streams)
    : router_(router), stats_(stats), max_rpc_streams_(max_rpc_streams) {}

RouterService::~RouterService() = default;

template <typename Place, typename... Arguments>
void RouterService::Await(EventLoop* loop, size_t limit, Arguments... arguments) {
  const auto make = [this, arguments...](CallPlaces* places, EventLoop* on) {
    const PlaceParts<RouterService> parts{this, router_, stats_, places, on};
    return std::make_unique<Place>(parts, arguments...);
  };
  methods_.push_back(std::make_unique<CallPlaces>(limit, make));
  methods_.back()->AddTo(loop);
}

void RouterService::Serve(EventLoop* loop) {
  Await<RoutePlace>(loop, limits::kMaxCallsUnderWay);
  Await<ScorePlace>(loop, limits::kMaxCallsUnderWay);
  Await<CompletePlace>(loop, limits::kMaxCallsUnderWay);
  // One more than may be open: it takes and refuses what comes beyond them.
  Await<RouteStreamPlace>(loop, size_t{max_rpc_streams_} + 1, max_rpc_streams_);
  Await<ScoreStreamPlace>(loop, size_t{max_rpc_streams_} + 1, max_rpc_streams_);
}

grpc::Status RouterService::Explain(grpc::ServerContext* context, const v1::RouteRequest* request,
                                    v1::ExplainResponse* response) {
  return AnswerInTime(*context, RpcMethod::kExplain, stats_,
                      [&] { return Answer(router_, *request, response); });
}

}  // namespace kvroute
