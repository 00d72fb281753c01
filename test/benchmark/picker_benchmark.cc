// kvroute's endpoint picker beside the least that a picker can do (support/floor_picker.h): both
// are asked by a client that speaks as a proxy does, in turns, each over one connection with
// in_flight HTTP requests under way. Each picker is a process of its own.
#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "indexer/base/check.h"
#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/picker_cases.h"
#include "test/benchmark/support/picker_client.h"
#include "test/benchmark/support/picker_contest.h"

namespace kvroute {
namespace {

using std::chrono::steady_clock;

constexpr int kEnginePort = 8'000;  // nobody is there: what is picked is not connected to
constexpr std::chrono::milliseconds kTurn(20);
constexpr std::chrono::seconds kPatience(60);

// HTTP requests at one picker, from their headers to the end of a short answer.
class PickerLoad {
 public:
  PickerLoad(const RouteServerProcess& server, const PickerShape& shape,
             size_t prompts = PickerShape::kPrompts)
      : server_(server), client_(std::make_unique<PickerClient>(server.port())) {
    for (size_t i = 0; i < prompts; ++i) messages_.push_back(MessagesOf(shape, i));
  }

  // Each prompt once, one after the other; where each went.
  std::vector<std::string> AskEach() {
    std::vector<std::string> endpoints(messages_.size());
    for (size_t i = 0; i < messages_.size(); ++i) {
      const PickerClient::Call* const call = client_->Begin(messages_[i], i);
      while (!Step(nullptr)) {
      }
      endpoints[i] = call->endpoint;
    }
    return endpoints;
  }

  PickerTurn Turn(size_t in_flight, std::chrono::nanoseconds time) {
    PickerTurn turn;
    const auto cpu_before = server_.CpuTime();
    const auto begin = steady_clock::now();
    for (size_t i = 0; i < in_flight; ++i) BeginNext();
    for (size_t open = in_flight; open != 0;) {
      if (!Step(&turn)) continue;
      ++turn.requests;
      if (steady_clock::now() - begin < time) {
        BeginNext();
      } else {
        --open;
      }
    }
    turn.took = steady_clock::now() - begin;
    turn.cpu = server_.CpuTime() - cpu_before;
    return turn;
  }

 private:
  void BeginNext() {
    const size_t prompt = next_++ % messages_.size();
    client_->Begin(messages_[prompt], prompt);
  }

  // True: a request has ended.
  bool Step(PickerTurn* turn) {
    const auto now = steady_clock::now();
    const auto happened = client_->Next(now + kPatience);
    KVROUTE_CHECK(happened.has_value());
    PickerClient::Call* const call = happened->call;
    switch (happened->what) {
      case PickerClient::What::kPicked:
        if (turn != nullptr) {
          turn->pick_ns.push_back(static_cast<double>((steady_clock::now() - call->begun).count()));
        }
        client_->Respond(call);
        return false;
      case PickerClient::What::kHeadersAnswered:
        client_->SendPiece(call, /*last=*/true);
        return false;
      case PickerClient::What::kPieceAnswered:
        client_->End(call);
        return false;
      case PickerClient::What::kEnded:
        return true;
    }
    return false;
  }

  const RouteServerProcess& server_;
  std::unique_ptr<PickerClient> client_;
  std::vector<PickerMessages> messages_;
  size_t next_ = 0;
};

// Where the prompts went, as a number that differs if one of them does; and how many of them where
// all of the prompt is.
void ReportDecisions(const PickerShape& shape, const std::vector<std::string>& endpoints,
                     benchmark::State* state) {
  uint32_t checksum = 0;
  double right = 0;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    for (const char byte : endpoints[i]) checksum = checksum * 31 + static_cast<uint8_t>(byte);
    right += endpoints[i] == PickerEndpoint(PickerHolder(shape, i), kEnginePort) ? 1 : 0;
  }
  state->counters["decisions_checksum"] = checksum;
  state->counters["correct_share"] = right / static_cast<double>(endpoints.size());
}

void Picker(benchmark::State& state) {
  const auto& servers = Cached<PickerServers>(kEnginePort);
  const PickerShape shape{state.range(0) == 0 ? PickerForm::kTokens : PickerForm::kText,
                          static_cast<size_t>(state.range(1))};
  const auto in_flight = static_cast<size_t>(state.range(2));
  PickerLoad kvroute(servers.kvroute, shape), floor(servers.floor, shape);
  (void)kvroute.AskEach();  // texts are rendered, which the second time are remembered
  const std::vector<std::string> endpoints = kvroute.AskEach();
  (void)kvroute.Turn(in_flight, kTurn);
  (void)floor.Turn(in_flight, kTurn);
  PickerRounds of_kvroute, of_floor;
  bool forth = true;
  for (auto _ : state) {
    const auto begin = steady_clock::now();
    if (!forth) of_floor.Add(floor.Turn(in_flight, kTurn));
    of_kvroute.Add(kvroute.Turn(in_flight, kTurn));
    if (forth) of_floor.Add(floor.Turn(in_flight, kTurn));
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - begin).count());
    forth = !forth;
  }
  ReportPickers(of_kvroute, of_floor, &state);
  ReportDecisions(shape, endpoints, &state);
}

BENCHMARK(Picker)->ArgNames({"text", "bytes", "in_flight"})->Apply(PickerCases);

// One body of 8 MB of token ids after the other, over a connection and on a thread of its own.
class LongBodies {
 public:
  explicit LongBodies(const RouteServerProcess& server)
      : load_(server, {PickerForm::kTokens, size_t{8} << 20}, /*prompts=*/1), thread_([this] {
          while (!ending_) (void)load_.Turn(1, std::chrono::nanoseconds(0));
        }) {}
  ~LongBodies() {
    ending_ = true;
    thread_.join();
  }

 private:
  PickerLoad load_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

// Short requests, one after the other, while another connection sends bodies of 8 MB: to kvroute's
// picker, to the same where the event loop reads every body itself, and to the floor, in turns.
void PickerBesideLongBodies(benchmark::State& state) {
  const ClientCore client_core;
  const auto start = [&](const char* style) {
    return RouteServerProcess({"picker_server", style, std::to_string(kEnginePort)},
                              client_core.others());
  };
  const RouteServerProcess kvroute = start("kvroute"), all_inline = start("inline"),
                           floor = start("floor");
  const PickerShape shape{PickerForm::kTokens, 1'024};
  struct Side {
    const RouteServerProcess& server;
    PickerLoad load;
    std::vector<double> p50, p99;
  };
  Side sides[] = {{kvroute, {kvroute, shape}, {}, {}},
                  {all_inline, {all_inline, shape}, {}, {}},
                  {floor, {floor, shape}, {}, {}}};
  for (auto _ : state) {
    const auto begin = steady_clock::now();
    for (Side& side : sides) {
      const LongBodies beside(side.server);
      const PickerTurn turn = side.load.Turn(1, std::chrono::milliseconds(250));
      side.p50.push_back(QuantileOf(turn.pick_ns, 0.5));
      side.p99.push_back(QuantileOf(turn.pick_ns, 0.99));
    }
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - begin).count());
  }
  const char* const prefixes[] = {"", "inline_", "floor_"};
  for (size_t i = 0; i < std::size(prefixes); ++i) {
    state.counters[std::string(prefixes[i]) + "p50_ns"] = QuantileOf(sides[i].p50, 0.5);
    state.counters[std::string(prefixes[i]) + "p99_ns"] = QuantileOf(sides[i].p99, 0.5);
  }
}
BENCHMARK(PickerBesideLongBodies)
    ->Name("PickerBesideLongBodies/full")
    ->Iterations(4)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvroute
