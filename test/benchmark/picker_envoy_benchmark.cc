// The same two pickers behind one real Envoy, which has a listener for each: clients and engines
// are as cheap as may be and have a core of their own, Envoy and the pickers the others.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "indexer/base/check.h"
#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/envoy_process.h"
#include "test/benchmark/support/http_side.h"
#include "test/benchmark/support/picker_cases.h"
#include "test/benchmark/support/picker_contest.h"
#include "test/benchmark/support/picker_prompts.h"
#include "test/support/reserved_port.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTurn(60);
constexpr std::chrono::seconds kPatience(60);

// The whole way: clients, Envoy, pickers, engines.
struct Gateways {
  Gateways()
      : pickers(engines.port()),
        envoy({{kvroute_port.number(), pickers.kvroute.port()},
               {floor_port.number(), pickers.floor.port()},
               {quiet_port.number(), pickers.kvroute.port(), /*shows_response=*/false}},
              pickers.client_core.others()) {}

  FakeEngines engines;
  PickerServers pickers;
  ReservedPort kvroute_port, floor_port, quiet_port;
  EnvoyProcess envoy;
};

// False: there is no Envoy, and the benchmark says so.
bool HasEnvoy(benchmark::State* state) {
  if (!EnvoyProcess::Binary().empty()) return true;
  state->SkipWithError("SKIPPED, no Envoy here: scripts/get-envoy puts one into build/envoy");
  return false;
}

std::vector<std::string> BodiesOf(const PickerShape& shape) {
  std::vector<std::string> bodies;
  for (size_t i = 0; i < PickerShape::kPrompts; ++i) bodies.push_back(PickerBody(shape, i));
  return bodies;
}

// Requests through one of Envoy's listeners.
class GatewayLoad {
 public:
  GatewayLoad(int port, const RouteServerProcess& picker, const PickerShape& shape,
              size_t connections)
      : picker_(picker),
        path_(PickerPath(shape.form)),
        bodies_(BodiesOf(shape)),
        clients_(port, connections) {
    for (size_t i = 0; i < connections; ++i) idle_.push_back(i);
    due_.resize(connections);
  }

  // Each prompt once; how many were served by who holds all of it.
  double AskEach(const PickerShape& shape, int engine_port) {
    double right = 0;
    for (size_t i = 0; i < bodies_.size(); ++i) {
      clients_.Ask(0, path_, bodies_[i]);
      const auto answer = clients_.Next(steady_clock::now() + kPatience);
      KVROUTE_CHECK(answer.has_value());
      right += answer->engine == PickerEndpoint(PickerHolder(shape, i), engine_port) ? 1 : 0;
    }
    return right / static_cast<double>(bodies_.size());
  }

  // All connections are busy for `time`.
  PickerTurn Closed(nanoseconds time) {
    return Measured([&](PickerTurn* turn) {
      const auto begin = steady_clock::now();
      while (!idle_.empty()) Begin(steady_clock::now());
      while (steady_clock::now() - begin < time) {
        Await(steady_clock::now() + kPatience, turn);
        Begin(steady_clock::now());
      }
    });
  }

  // So many requests, one each `every` by the clock; one that begins late has waited.
  PickerTurn Open(size_t requests, nanoseconds every) {
    return Measured([&](PickerTurn* turn) {
      auto due = steady_clock::now();
      for (size_t i = 0; i < requests; ++i, due += every) {
        while (steady_clock::now() < due) Await(due, turn);
        while (idle_.empty()) Await(due + kPatience, turn);
        Begin(due);
      }
    });
  }

 private:
  template <typename Asks>
  PickerTurn Measured(Asks asks) {
    PickerTurn turn;
    const auto cpu_before = picker_.CpuTime();
    const auto begin = steady_clock::now();
    asks(&turn);
    while (idle_.size() < due_.size()) Await(steady_clock::now() + kPatience, &turn);
    turn.took = steady_clock::now() - begin;
    turn.cpu = picker_.CpuTime() - cpu_before;
    return turn;
  }
  void Begin(steady_clock::time_point due) {
    const size_t connection = idle_.back();
    idle_.pop_back();
    due_[connection] = due;
    clients_.Ask(connection, path_, bodies_[next_++ % bodies_.size()]);
  }
  void Await(steady_clock::time_point until, PickerTurn* turn) {
    const auto answer = clients_.Next(until);
    if (!answer.has_value()) return;
    turn->pick_ns.push_back(
        static_cast<double>((answer->began - due_[answer->connection]).count()));
    ++turn->requests;
    idle_.push_back(answer->connection);
  }

  const RouteServerProcess& picker_;
  const std::string path_;
  const std::vector<std::string> bodies_;
  HttpClients clients_;
  std::vector<size_t> idle_;
  std::vector<steady_clock::time_point> due_;
  size_t next_ = 0;
};

// Turns of both, forth and back.
template <typename Turn>
void Rounds(benchmark::State& state, Turn turn) {
  PickerRounds kvroute, floor;
  bool forth = true;
  for (auto _ : state) {
    const auto begin = steady_clock::now();
    if (!forth) floor.Add(turn(/*of_kvroute=*/false));
    kvroute.Add(turn(/*of_kvroute=*/true));
    if (forth) floor.Add(turn(/*of_kvroute=*/false));
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - begin).count());
    forth = !forth;
  }
  ReportPickers(kvroute, floor, &state);
  state.counters["added_p50_ns"] =
      state.counters["p50_ns"].value - state.counters["floor_p50_ns"].value;
  state.counters["added_p99_ns"] =
      state.counters["p99_ns"].value - state.counters["floor_p99_ns"].value;
}

struct Loads {
  Loads(Gateways* gateways, const PickerShape& shape, size_t connections)
      : kvroute(gateways->kvroute_port.number(), gateways->pickers.kvroute, shape, connections),
        floor(gateways->floor_port.number(), gateways->pickers.floor, shape, connections) {
    (void)kvroute.AskEach(shape, gateways->engines.port());  // texts are rendered
    (void)floor.AskEach(shape, gateways->engines.port());
    right = kvroute.AskEach(shape, gateways->engines.port());
  }
  GatewayLoad kvroute, floor;
  double right = 0;
};

void PickerBehindEnvoy(benchmark::State& state) {
  if (!HasEnvoy(&state)) return;
  const PickerShape shape{state.range(0) == 0 ? PickerForm::kTokens : PickerForm::kText,
                          static_cast<size_t>(state.range(1))};
  Loads loads(&Cached<Gateways>(), shape, static_cast<size_t>(state.range(2)));
  Rounds(state,
         [&](bool of_kvroute) { return (of_kvroute ? loads.kvroute : loads.floor).Closed(kTurn); });
  state.counters["correct_share"] = loads.right;
}

BENCHMARK(PickerBehindEnvoy)->ArgNames({"text", "bytes", "connections"})->Apply(PickerCases);

// 100 requests a second of 32 KB, whatever the answers take.
void PickerOpenLoop(benchmark::State& state) {
  if (!HasEnvoy(&state)) return;
  const PickerShape shape{state.range(0) == 0 ? PickerForm::kTokens : PickerForm::kText, 32'768};
  Loads loads(&Cached<Gateways>(), shape, 32);
  const auto requests = static_cast<size_t>(state.range(1));
  Rounds(state, [&](bool of_kvroute) {
    return (of_kvroute ? loads.kvroute : loads.floor).Open(requests / 4, milliseconds(10));
  });
}
BENCHMARK(PickerOpenLoop)
    ->Name("PickerOpenLoop/full")
    ->ArgNames({"text", "requests"})
    ->Args({0, 200})
    ->Args({1, 200})
    ->Iterations(4)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Processor time of the picker while `answers` are streamed, 50 events a second each: the requests'
// own is over before it begins.
nanoseconds TokenPhase(int port, const RouteServerProcess& picker, size_t answers, int events) {
  HttpClients clients(port, answers);
  const std::string body = PickerBody({PickerForm::kTokens, 1'024}, 0);
  for (size_t i = 0; i < answers; ++i) clients.Ask(i, "/stream", body);
  const auto begin = steady_clock::now();
  (void)clients.Next(begin + milliseconds(100));
  const nanoseconds before = picker.CpuTime();
  const auto measured_from = steady_clock::now();
  size_t left = answers;
  nanoseconds used{0};
  const auto until = begin + FakeEngines::kEventEvery * (events - 5);
  while (left != 0) {
    const auto now = steady_clock::now();
    if (used.count() == 0 && now >= until) used = picker.CpuTime() - before;
    if (clients.Next(now < until ? until : now + kPatience).has_value()) --left;
  }
  return used * 1'000'000'000 / std::max<int64_t>((until - measured_from).count(), 1);
}

// What a picker uses of a core meanwhile, in nanoseconds a second.
void PickerTokenPhase(benchmark::State& state) {
  if (!HasEnvoy(&state)) return;
  Gateways& gateways = Cached<Gateways>();
  const auto answers = static_cast<size_t>(state.range(0));
  constexpr int kEvents = 35;
  gateways.engines.StreamEvents(kEvents);
  const auto& pickers = gateways.pickers;
  std::vector<double> kvroute, floor, quiet;
  for (auto _ : state) {
    const auto begin = steady_clock::now();
    const auto add = [&](std::vector<double>* to, const ReservedPort& port,
                         const RouteServerProcess& picker) {
      to->push_back(
          static_cast<double>(TokenPhase(port.number(), picker, answers, kEvents).count()));
    };
    add(&kvroute, gateways.kvroute_port, pickers.kvroute);
    add(&floor, gateways.floor_port, pickers.floor);
    add(&quiet, gateways.quiet_port, pickers.kvroute);
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - begin).count());
  }
  const double of_floor = QuantileOf(floor, 0.5);
  state.counters["picker_cpu_ns"] = QuantileOf(kvroute, 0.5);
  state.counters["floor_cpu_ns"] = of_floor;
  state.counters["quiet_cpu_ns"] = QuantileOf(quiet, 0.5);
  state.counters["floor_cpu_ratio"] = MedianRatio(kvroute, floor);
}
BENCHMARK(PickerTokenPhase)
    ->ArgName("answers")
    ->Arg(64)
    ->Iterations(2)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvroute
