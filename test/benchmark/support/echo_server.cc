#include "test/benchmark/support/echo_server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "indexer/base/check.h"
#include "kvroute/v1/router.grpc.pb.h"

namespace kvroute {
namespace {

class SyncService final : public v1::Router::Service {
 public:
  explicit SyncService(const v1::RouteResponse& answer) : answer_(answer) {
    *stream_answer_.mutable_response() = answer;
  }
  grpc::Status Route(grpc::ServerContext*, const v1::RouteRequest*,
                     v1::RouteResponse* response) override {
    *response = answer_;
    return grpc::Status::OK;
  }
  grpc::Status RouteStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::RouteStreamResponse, v1::RouteRequest>* stream) override {
    v1::RouteRequest request;
    while (stream->Read(&request) && stream->Write(stream_answer_)) {
    }
    return grpc::Status::OK;
  }

 private:
  const v1::RouteResponse answer_;
  v1::RouteStreamResponse stream_answer_;
};

class CallbackService final : public v1::Router::CallbackService {
 public:
  explicit CallbackService(const v1::RouteResponse& answer) : answer_(answer) {
    *stream_answer_.mutable_response() = answer;
  }
  grpc::ServerUnaryReactor* Route(grpc::CallbackServerContext* context, const v1::RouteRequest*,
                                  v1::RouteResponse* response) override {
    *response = answer_;
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerBidiReactor<v1::RouteRequest, v1::RouteStreamResponse>* RouteStream(
      grpc::CallbackServerContext*) override {
    return new Stream(&stream_answer_);
  }

 private:
  class Stream final : public grpc::ServerBidiReactor<v1::RouteRequest, v1::RouteStreamResponse> {
   public:
    explicit Stream(const v1::RouteStreamResponse* answer) : answer_(answer) {
      StartRead(&request_);
    }
    void OnReadDone(bool ok) override {
      if (ok) {
        StartWrite(answer_);
      } else {
        Finish(grpc::Status::OK);
      }
    }
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&request_);
    }
    void OnDone() override { delete this; }

   private:
    const v1::RouteStreamResponse* const answer_;
    v1::RouteRequest request_;
  };

  const v1::RouteResponse answer_;
  v1::RouteStreamResponse stream_answer_;
};

// The same pollers as kvroute's server keeps for its synchronous calls.
void Tune(grpc::ServerBuilder* builder) {
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 2);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 16);
}

template <typename Service>
class ServiceEcho final : public EchoServer {
 public:
  explicit ServiceEcho(const v1::RouteResponse& answer) : service_(answer) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    Tune(&builder);
    server_ = builder.BuildAndStart();
    KVROUTE_CHECK(server_ != nullptr && port_ != 0);
  }

 private:
  Service service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

std::unique_ptr<EchoServer> StartSyncEcho(const v1::RouteResponse& answer) {
  return std::make_unique<ServiceEcho<SyncService>>(answer);
}

std::unique_ptr<EchoServer> StartCallbackEcho(const v1::RouteResponse& answer) {
  return std::make_unique<ServiceEcho<CallbackService>>(answer);
}

}  // namespace kvroute
