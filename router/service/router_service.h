#ifndef KVROUTE_ROUTER_SERVICE_ROUTER_SERVICE_H_
#define KVROUTE_ROUTER_SERVICE_ROUTER_SERVICE_H_

#include <cstdint>

#include "kvroute/v1/router.grpc.pb.h"
#include "router/service/query_handler.h"
#include "router/service/routing_stats.h"

namespace kvroute {

// The Router service over gRPC: hands each call to the QueryHandler on gRPC's own thread.
//
// Thread safety: gRPC calls it from its threads. An open stream holds a thread, so their number is
// bounded: one beyond max_open_streams is refused with RESOURCE_EXHAUSTED. Ownership: the handler
// and the stats must outlive it.
class RouterService final : public v1::Router::Service {
 public:
  RouterService(QueryHandler* queries, RoutingStats* stats, uint32_t max_open_streams)
      : queries_(queries), stats_(stats), max_open_streams_(max_open_streams) {}

  grpc::Status Route(grpc::ServerContext* context, const v1::RouteRequest* request,
                     v1::RouteResponse* response) override;
  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override;
  grpc::Status Complete(grpc::ServerContext* context, const v1::CompleteRequest* request,
                        v1::CompleteResponse* response) override;
  grpc::Status Explain(grpc::ServerContext* context, const v1::RouteRequest* request,
                       v1::ExplainResponse* response) override;
  grpc::Status RouteStream(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::RouteStreamResponse, v1::RouteRequest>* stream) override;
  grpc::Status ScoreStream(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::ScoreStreamResponse, v1::ScoreRequest>* stream) override;

 private:
  template <typename Request, typename Response, typename Answer>
  grpc::Status ServeStream(grpc::ServerContext* context,
                           grpc::ServerReaderWriter<Response, Request>* stream, Answer answer);

  QueryHandler* const queries_;
  RoutingStats* const stats_;
  const uint32_t max_open_streams_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVICE_ROUTER_SERVICE_H_
