// What a routing decision costs: in process, and over gRPC beside servers that do nothing but
// answer the same messages.
//
// The name's parameters: prompt tokens (block size 16), workers; over gRPC the number of calls in
// flight is /threads:N.
#include <benchmark/benchmark.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "kvroute/v1/router.grpc.pb.h"
#include "router/service/server.h"
#include "test/support/routing_fixture.h"

namespace kvroute {
namespace {

constexpr uint32_t kBlockSize = 16;

// A fleet in which half of the workers hold half of the prompt and one holds nearly all of it.
struct Fleet64 : RoutingFixture {
  Fleet64(size_t prompt_tokens, size_t workers) {
    const std::vector<TokenId> prompt = Tokens(prompt_tokens);
    const std::vector<TokenId> half(prompt.begin(),
                                    prompt.begin() + static_cast<ptrdiff_t>(prompt_tokens / 2));
    for (size_t i = 0; i < workers; ++i) {
      const std::string id = "worker-" + std::to_string(i);
      AddWorker(Spec(id, 1, kBlockSize));
      if (i % 2 == 0) Store(id, i == 0 ? prompt : half, kBlockSize);
    }
    request.set_model("m");
    for (const TokenId token : prompt) request.mutable_prompt()->add_token_ids(token);
    request.mutable_prompt()->add_token_ids(7);  // a partial last block
  }
  v1::RouteRequest request;
};

// As a gateway does: a route, and its end.
void RouteInProcess(benchmark::State& state) {
  Fleet64 fleet(static_cast<size_t>(state.range(0)), static_cast<size_t>(state.range(1)));
  v1::RouteResponse response;
  v1::CompleteRequest complete;
  v1::CompleteResponse ended;
  complete.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
  for (auto _ : state) {
    response.Clear();
    KVROUTE_CHECK(fleet.queries_.Route(fleet.request, &response).ok());
    complete.set_request_id(response.request_id());
    KVROUTE_CHECK(fleet.queries_.Complete(complete, &ended).ok());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(RouteInProcess)
    ->Args({1'024, 64})
    ->Args({8'192, 64})
    ->Args({1'024, 512})
    ->ArgNames({"tokens", "workers"});

class SyncEcho final : public v1::Router::Service {
 public:
  grpc::Status Route(grpc::ServerContext*, const v1::RouteRequest*,
                     v1::RouteResponse* response) override {
    *response = answer;
    return grpc::Status::OK;
  }
  grpc::Status RouteStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::RouteStreamResponse, v1::RouteRequest>* stream) override {
    v1::RouteRequest request;
    v1::RouteStreamResponse response;
    while (stream->Read(&request)) {
      *response.mutable_response() = answer;
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
  v1::RouteResponse answer;
};

class CallbackEcho final : public v1::Router::CallbackService {
 public:
  grpc::ServerUnaryReactor* Route(grpc::CallbackServerContext* context, const v1::RouteRequest*,
                                  v1::RouteResponse* response) override {
    *response = answer;
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  v1::RouteResponse answer;
};

enum Server { kKvroute, kSyncEcho, kCallbackEcho };

// The fleet, kvroute's server and both echoes, started once.
struct Servers : Fleet64 {
  Servers() : Fleet64(1'024, 64) {
    KVROUTE_CHECK(queries_.Route(request, &sync_.answer).ok());
    callback_.answer = sync_.answer;
    GrpcServerOptions options;
    options.address = "127.0.0.1:0";
    kvroute_ = *GrpcServer::Start(options, &queries_, &fleet_, &stats_);
    ports[kKvroute] = kvroute_->port();
    sync_server_ = StartEcho(&sync_, &ports[kSyncEcho]);
    callback_server_ = StartEcho(&callback_, &ports[kCallbackEcho]);
  }
  static std::unique_ptr<grpc::Server> StartEcho(grpc::Service* service, int* port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), port);
    builder.RegisterService(service);
    return builder.BuildAndStart();
  }
  std::unique_ptr<v1::Router::Stub> Connect(Server server) const {
    return v1::Router::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(ports[server]),
                                                   grpc::InsecureChannelCredentials()));
  }
  static Servers& Get() {
    static auto* const servers = new Servers;
    return *servers;
  }

  int ports[3] = {};

 private:
  SyncEcho sync_;
  CallbackEcho callback_;
  std::unique_ptr<GrpcServer> kvroute_;
  std::unique_ptr<grpc::Server> sync_server_, callback_server_;
};

void Unary(benchmark::State& state, Server server) {
  const std::unique_ptr<v1::Router::Stub> stub = Servers::Get().Connect(server);
  const v1::RouteRequest& request = Servers::Get().request;
  v1::RouteResponse response;
  for (auto _ : state) {
    grpc::ClientContext context;
    KVROUTE_CHECK(stub->Route(&context, request, &response).ok());
    if (server == kKvroute) Servers::Get().loads_.End(response.request_id());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(Unary, kvroute, kKvroute)->Threads(1)->Threads(8)->UseRealTime();
BENCHMARK_CAPTURE(Unary, sync_echo, kSyncEcho)->Threads(1)->Threads(8)->UseRealTime();
BENCHMARK_CAPTURE(Unary, callback_echo, kCallbackEcho)->Threads(1)->Threads(8)->UseRealTime();

void Stream(benchmark::State& state, Server server) {
  const std::unique_ptr<v1::Router::Stub> stub = Servers::Get().Connect(server);
  const v1::RouteRequest& request = Servers::Get().request;
  grpc::ClientContext context;
  const auto stream = stub->RouteStream(&context);
  v1::RouteStreamResponse response;
  for (auto _ : state) {
    KVROUTE_CHECK(stream->Write(request) && stream->Read(&response) && response.has_response());
    if (server == kKvroute) Servers::Get().loads_.End(response.response().request_id());
  }
  stream->WritesDone();
  KVROUTE_CHECK(stream->Finish().ok());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(Stream, kvroute, kKvroute)->Threads(1)->Threads(8)->UseRealTime();
BENCHMARK_CAPTURE(Stream, sync_echo, kSyncEcho)->Threads(1)->Threads(8)->UseRealTime();

}  // namespace
}  // namespace kvroute
