// RoutingDecision over gRPC: kvroute's server beside servers that do nothing but answer the same
// messages, one in each of gRPC's server styles. Each serves in a process of its own; the client is
// one thread and one connection with in_flight calls (or streams with one request each) under way.
#include <benchmark/benchmark.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvroute/v1/router.grpc.pb.h"
#include "test/benchmark/support/route_fleet.h"
#include "test/benchmark/support/route_server_process.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUp = 500;  // answers: connection, threads and buffers are there

// One request after the other, in a place of its own; tags of one queue. Next starts a request;
// Proceed takes an event of it and says whether it is answered.
class UnaryCaller {
 public:
  UnaryCaller(v1::Router::Stub* stub, const v1::RouteRequest* request, grpc::CompletionQueue* queue)
      : stub_(stub), request_(request), queue_(queue) {}
  void Next() {
    started_ = Clock::now();
    reader_.reset();
    context_.emplace();
    reader_ = stub_->AsyncRoute(&*context_, *request_, queue_);
    reader_->Finish(&response_, &status_, this);
  }
  bool Proceed(bool ok) {
    KVROUTE_CHECK(ok && status_.ok() && response_.has_chosen());
    return true;
  }
  Clock::time_point started() const { return started_; }

 private:
  v1::Router::Stub* const stub_;
  const v1::RouteRequest* const request_;
  grpc::CompletionQueue* const queue_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::RouteResponse>> reader_;
  v1::RouteResponse response_;
  grpc::Status status_;
  Clock::time_point started_;
};

class StreamCaller {
 public:
  StreamCaller(v1::Router::Stub* stub, const v1::RouteRequest* request,
               grpc::CompletionQueue* queue)
      : request_(request) {
    stream_ = stub->AsyncRouteStream(&context_, queue, this);
    void* tag = nullptr;
    bool ok = false;
    KVROUTE_CHECK(queue->Next(&tag, &ok) && tag == this && ok);
  }
  ~StreamCaller() { context_.TryCancel(); }
  void Next() {
    started_ = Clock::now();
    events_ = 2;
    stream_->Write(*request_, this);
    stream_->Read(&response_, this);
  }
  bool Proceed(bool ok) {
    if (--events_ != 0) return false;  // the written request or its answer: both have to come
    KVROUTE_CHECK(ok && response_.response().has_chosen());
    return true;
  }
  Clock::time_point started() const { return started_; }

 private:
  const v1::RouteRequest* const request_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::RouteRequest, v1::RouteStreamResponse>> stream_;
  v1::RouteStreamResponse response_;
  Clock::time_point started_;
  int events_ = 0;
};

template <typename Caller>
Caller* NextAnswered(grpc::CompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  for (;;) {
    KVROUTE_CHECK(queue->Next(&tag, &ok));
    auto* const caller = static_cast<Caller*>(tag);
    if (caller->Proceed(ok)) return caller;
  }
}

template <typename Caller>
void Measure(benchmark::State& state, const std::string& server_style) {
  const RouteServerProcess server(server_style);
  const v1::RouteRequest request = RouteRequestFor(Tokens(1'025));
  const auto stub = v1::Router::NewStub(grpc::CreateChannel(
      "127.0.0.1:" + std::to_string(server.port()), grpc::InsecureChannelCredentials()));
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<Caller>> callers;
  for (int64_t i = 0; i < state.range(0); ++i) {
    callers.push_back(std::make_unique<Caller>(stub.get(), &request, &queue));
  }
  for (const auto& caller : callers) caller->Next();
  for (int i = 0; i < kWarmUp; ++i) NextAnswered<Caller>(&queue)->Next();
  Sampler sampler;
  const std::chrono::nanoseconds busy_before = server.CpuTime();
  for (auto _ : state) {
    Caller* const caller = NextAnswered<Caller>(&queue);
    sampler.AddNanos(static_cast<double>((Clock::now() - caller->started()).count()));
    caller->Next();
  }
  const std::chrono::nanoseconds busy = server.CpuTime() - busy_before;
  for (size_t i = 0; i < callers.size(); ++i) NextAnswered<Caller>(&queue);
  callers.clear();
  sampler.Report(&state);
  state.counters["server_cpu_ns"] =
      static_cast<double>(busy.count()) / static_cast<double>(state.iterations());
  state.SetItemsProcessed(state.iterations());
}

void Unary(benchmark::State& state, const char* server) { Measure<UnaryCaller>(state, server); }
void Stream(benchmark::State& state, const char* server) { Measure<StreamCaller>(state, server); }

void Loads(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("in_flight")->Arg(1)->Arg(8)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(Unary, kvroute, "kvroute")->Apply(Loads);
BENCHMARK_CAPTURE(Unary, sync_echo, "sync_echo")->Apply(Loads);
BENCHMARK_CAPTURE(Unary, callback_echo, "callback_echo")->Apply(Loads);
BENCHMARK_CAPTURE(Unary, async_echo_1, "async_echo_1")->Apply(Loads);
BENCHMARK_CAPTURE(Unary, async_echo_2, "async_echo_2")->Apply(Loads);
BENCHMARK_CAPTURE(Stream, kvroute, "kvroute")->Apply(Loads);
BENCHMARK_CAPTURE(Stream, sync_echo, "sync_echo")->Apply(Loads);
BENCHMARK_CAPTURE(Stream, callback_echo, "callback_echo")->Apply(Loads);
BENCHMARK_CAPTURE(Stream, async_echo_1, "async_echo_1")->Apply(Loads);
BENCHMARK_CAPTURE(Stream, async_echo_2, "async_echo_2")->Apply(Loads);

}  // namespace
}  // namespace kvroute
