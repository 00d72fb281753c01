#include "router/service/router_service.h"

#include "indexer/base/error.h"
#include "router/service/grpc_status.h"

namespace kvroute {
namespace {

// One of the streams that may be open at a time.
class StreamSlot {
 public:
  StreamSlot(RoutingStats* stats, uint32_t limit) : stats_(stats) {
    taken_ = stats_->open_streams.fetch_add(1, std::memory_order_relaxed) < limit;
    if (!taken_) {
      stats_->open_streams.fetch_sub(1, std::memory_order_relaxed);
      stats_->refused_streams.fetch_add(1, std::memory_order_relaxed);
    }
  }
  ~StreamSlot() {
    if (taken_) stats_->open_streams.fetch_sub(1, std::memory_order_relaxed);
  }
  StreamSlot(const StreamSlot&) = delete;
  StreamSlot& operator=(const StreamSlot&) = delete;
  bool taken() const { return taken_; }

 private:
  RoutingStats* const stats_;
  bool taken_;
};

void SetError(const absl::Status& status, v1::StreamError* error) {
  error->set_code(static_cast<int>(status.code()));
  error->set_message(std::string(status.message()));
}

}  // namespace

grpc::Status RouterService::Route(grpc::ServerContext* context, const v1::RouteRequest* request,
                                  v1::RouteResponse* response) {
  return AnswerInTime(*context, RpcMethod::kRoute, stats_,
                      [&] { return queries_->Route(*request, response); });
}

grpc::Status RouterService::Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                                  v1::ScoreResponse* response) {
  return AnswerInTime(*context, RpcMethod::kScore, stats_,
                      [&] { return queries_->Score(*request, response); });
}

grpc::Status RouterService::Complete(grpc::ServerContext* context,
                                     const v1::CompleteRequest* request,
                                     v1::CompleteResponse* response) {
  return AnswerInTime(*context, RpcMethod::kComplete, stats_,
                      [&] { return queries_->Complete(*request, response); });
}

grpc::Status RouterService::Explain(grpc::ServerContext* context, const v1::RouteRequest* request,
                                    v1::ExplainResponse* response) {
  return AnswerInTime(*context, RpcMethod::kExplain, stats_,
                      [&] { return queries_->Explain(*request, response); });
}

template <typename Request, typename Response, typename Answer>
grpc::Status RouterService::ServeStream(grpc::ServerContext* context,
                                        grpc::ServerReaderWriter<Response, Request>* stream,
                                        Answer answer) {
  const StreamSlot slot(stats_, max_open_streams_);
  if (!slot.taken()) {
    return ToGrpc(Error(absl::StatusCode::kResourceExhausted,
                        "max_open_streams: {} are open already", max_open_streams_));
  }
  Request request;
  Response response;
  while (stream->Read(&request)) {  // false: half-closed, cancelled or past its deadline
    response.Clear();
    const absl::Status status = answer(request, response.mutable_response());
    if (!status.ok()) SetError(status, response.mutable_error());
    if (!stream->Write(response)) break;
  }
  if (!context->IsCancelled()) return grpc::Status::OK;
  return grpc::Status(grpc::StatusCode::CANCELLED,
                      "the stream was cancelled or its deadline passed");
}

grpc::Status RouterService::RouteStream(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::RouteStreamResponse, v1::RouteRequest>* stream) {
  return ServeStream(context, stream,
                     [this](const v1::RouteRequest& request, v1::RouteResponse* response) {
                       return queries_->Route(request, response);
                     });
}

grpc::Status RouterService::ScoreStream(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::ScoreStreamResponse, v1::ScoreRequest>* stream) {
  return ServeStream(context, stream,
                     [this](const v1::ScoreRequest& request, v1::ScoreResponse* response) {
                       return queries_->Score(request, response);
                     });
}

}  // namespace kvroute
