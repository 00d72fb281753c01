// RoutingDecision over gRPC: kvroute's server beside servers that do nothing but answer the same
// messages, one in each of gRPC's server styles. Each serves in a process of its own; the client is
// one thread, and one connection to each with in_flight calls (or streams with one request each)
// under way.
#include <benchmark/benchmark.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvroute/v1/router.grpc.pb.h"
#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/route_fleet.h"
#include "test/benchmark/support/route_messages.h"
#include "test/benchmark/support/route_server_process.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

using Clock = std::chrono::steady_clock;

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

// All servers, alive at a time: who is not asked does nothing.
struct RouteServers {
  struct Server {
    std::string style;
    std::unique_ptr<RouteServerProcess> process;
  };
  RouteServers() {
    for (const char* style :
         {"kvroute", "sync_echo", "callback_echo", "async_echo_1", "async_echo_2"}) {
      all.push_back(
          {style, std::make_unique<RouteServerProcess>(
                      std::vector<std::string>{"route_server", style}, client_core.others())});
    }
  }
  const ClientCore client_core;
  std::vector<Server> all;  // kvroute first
};

// Of at least one value, which it reorders.
double Quantile(double q, std::vector<double>* values) {
  const double last = static_cast<double>(values->size() - 1);
  const auto place = values->begin() + static_cast<ptrdiff_t>(std::lround(q * last));
  std::nth_element(values->begin(), place, values->end());
  return *place;
}
double Median(std::vector<double> values) { return Quantile(0.5, &values); }

// A connection to one server with in_flight callers of one kind, and what its answers took.
template <typename Caller>
class Load {
 public:
  Load(const RouteServers::Server& server, const v1::RouteRequest& request, int64_t in_flight)
      : server_(server),
        stub_(v1::Router::NewStub(
            grpc::CreateChannel("127.0.0.1:" + std::to_string(server.process->port()),
                                grpc::InsecureChannelCredentials()))) {
    for (int64_t i = 0; i < in_flight; ++i) {
      callers_.push_back(std::make_unique<Caller>(stub_.get(), &request, &queue_));
    }
  }

  // Keeps all callers busy for `time`, then lets them end; how long that was. The first answers are
  // not counted: the cores were another server's.
  std::chrono::nanoseconds Turn(std::chrono::nanoseconds time) {
    const std::chrono::nanoseconds busy_before = server_.process->CpuTime();
    for (const auto& caller : callers_) caller->Next();
    for (size_t i = 0; i < kUncountedRounds * callers_.size(); ++i) Answered()->Next();
    const Clock::time_point begin = Clock::now();
    turn_ns_.clear();
    Clock::time_point now = begin;
    while (now - begin < time) {
      Caller* const caller = Answered();
      now = Clock::now();
      turn_ns_.push_back(static_cast<double>((now - caller->started()).count()));
      caller->Next();
    }
    for (size_t i = 0; i < callers_.size(); ++i) Answered();
    server_busy_ += server_.process->CpuTime() - busy_before;
    for (const double ns : turn_ns_) sampler_.AddNanos(ns);
    per_second_.push_back(static_cast<double>(turn_ns_.size()) /
                          std::chrono::duration<double>(now - begin).count());
    p99_ns_.push_back(Quantile(0.99, &turn_ns_));
    return now - begin;
  }
  void Forget() {
    sampler_ = Sampler();
    per_second_.clear();
    p99_ns_.clear();
    server_busy_ = {};
    answers_ = 0;
  }

  const std::string& style() const { return server_.style; }
  Sampler& sampler() { return sampler_; }
  // By turn.
  const std::vector<double>& per_second() const { return per_second_; }
  const std::vector<double>& p99_ns() const { return p99_ns_; }
  double ServerCpuNs() const {
    return static_cast<double>(server_busy_.count()) / static_cast<double>(answers_);
  }

 private:
  static constexpr size_t kUncountedRounds = 4;

  Caller* Answered() {
    ++answers_;
    return NextAnswered<Caller>(&queue_);
  }

  const RouteServers::Server& server_;
  const std::unique_ptr<v1::Router::Stub> stub_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Caller>> callers_;
  Sampler sampler_;
  std::vector<double> turn_ns_;
  std::vector<double> per_second_;
  std::vector<double> p99_ns_;
  std::chrono::nanoseconds server_busy_{0};
  uint64_t answers_ = 0;  // counted or not
};

// kvroute and the echoes in turns, forth and back: what the machine does meanwhile it does to all
// of them. Rates are medians of turns, and what kvroute's are of an echo's is the median of rounds:
// a pause meets one of them. What is compared of tails is the median of the turns' p99.
template <typename Caller>
class Contest {
 public:
  explicit Contest(int64_t in_flight) : request_(RouteRequestFor(Tokens(1'025))) {
    for (const RouteServers::Server& server : Cached<RouteServers>().all) {
      loads_.push_back(std::make_unique<Load<Caller>>(server, request_, in_flight));
    }
    Round();  // connections, threads and buffers are there
    for (const auto& load : loads_) load->Forget();
  }

  // One turn of each. How long kvroute's took.
  std::chrono::duration<double> Round() {
    std::chrono::duration<double> kvroute{};
    for (size_t i = 0; i < loads_.size(); ++i) {
      const size_t turn = forth_ ? i : loads_.size() - 1 - i;
      const std::chrono::nanoseconds took = loads_[turn]->Turn(kTurn);
      if (turn == 0) kvroute = took;
    }
    forth_ = !forth_;
    return kvroute;
  }

  void Report(benchmark::State* state) {
    Load<Caller>& kvroute = *loads_[0];
    kvroute.sampler().Report(state);
    for (const auto& load : loads_) {
      const std::string prefix = load == loads_[0] ? "" : load->style() + "_";
      state->counters[prefix + "answers_per_s"] = Median(load->per_second());
      if (load != loads_[0]) state->counters[prefix + "p99_ns"] = load->sampler().Quantile(0.99);
      state->counters[prefix + "server_cpu_ns"] = load->ServerCpuNs();
    }
    Load<Caller>& echo = Fastest();
    std::vector<double> shares;
    for (size_t round = 0; round < echo.per_second().size(); ++round) {
      shares.push_back(kvroute.per_second()[round] / echo.per_second()[round]);
    }
    state->counters["echo_share"] = Median(shares);
    state->counters["echo_p99_ratio"] = Median(kvroute.p99_ns()) / Median(echo.p99_ns());
  }

 private:
  static constexpr std::chrono::milliseconds kTurn{5};

  Load<Caller>& Fastest() {
    return **std::max_element(loads_.begin() + 1, loads_.end(), [](const auto& a, const auto& b) {
      return Median(a->per_second()) < Median(b->per_second());
    });
  }

  const v1::RouteRequest request_;
  std::vector<std::unique_ptr<Load<Caller>>> loads_;
  bool forth_ = true;
};

template <typename Caller>
void Measure(benchmark::State& state) {
  std::optional<AwakeCores> awake;
  if (state.range(1) != 0 && !awake.emplace().permitted()) {
    return state.SkipWithError("/dev/cpu_dma_latency: not permitted");
  }
  Contest<Caller> contest(state.range(0));
  for (auto _ : state) state.SetIterationTime(contest.Round().count());
  contest.Report(&state);
}

void Unary(benchmark::State& state) { Measure<UnaryCaller>(state); }
void Stream(benchmark::State& state) { Measure<StreamCaller>(state); }

void Cases(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"in_flight", "awake"})->UseManualTime()->Unit(benchmark::kMillisecond);
  benchmark->Args({1, 0})->Args({1, 1})->Args({8, 0});
}

BENCHMARK(Unary)->Apply(Cases);
BENCHMARK(Stream)->Apply(Cases);

}  // namespace
}  // namespace kvroute
