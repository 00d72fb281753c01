// Events from wire bytes to visible in the index: EventProcessingLatency, EventThroughput,
// BurstLoad.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/named_thread.h"
#include "indexer/index/prefix_index.h"
#include "test/benchmark/support/processor_time.h"
#include "test/benchmark/support/receiver.h"
#include "test/benchmark/support/sampler.h"
#include "test/benchmark/support/wire_events.h"

namespace kvroute {
namespace {

// One event of `blocks` blocks of 16 tokens at a time: half store a chain, half remove the oldest.
void EventProcessingLatency(benchmark::State& state) {
  const WireEvents events(/*seed=*/1, static_cast<size_t>(state.range(0)), /*chains=*/256,
                          /*held=*/128);
  PrefixIndex index;
  IngestCounters counters;
  Receiver receiver(&index, &counters);
  for (size_t i = 0; i < events.cycle_length(); ++i) receiver.Receive(events.Payload(i));
  Sampler removals;
  Sampler stores;
  size_t turn = 0;
  uint64_t failed = 0;
  for (auto _ : state) {
    const std::string& payload = events.Payload(turn);
    (turn++ % 2 == 0 ? removals : stores).Time([&] { failed += !receiver.Receive(payload); });
  }
  const auto blocks = static_cast<double>(state.range(0));
  state.counters["stored_blocks_per_s"] = stores.count() == 0 ? 0 : blocks * 1e9 / stores.MeanNs();
  state.counters["store_ns_per_block"] = stores.MeanNs() / blocks;
  state.counters["remove_ns_per_block"] = removals.MeanNs() / blocks;
  stores.Report(&state, "store_");
  removals.Report(&state, "remove_");
  stores.Merge(removals);
  stores.Report(&state);
  state.counters["ns_per_block"] = stores.MeanNs() / blocks;
  state.counters["events_per_s"] = 1e9 / stores.MeanNs();
  state.counters["failed"] = static_cast<double>(failed);
}
BENCHMARK(EventProcessingLatency)->ArgName("blocks")->Arg(1)->Arg(8)->Arg(64)->Arg(512);

void EventFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(EventFloor);

constexpr size_t kThroughputBlocks = 8;  // an event

// What each lane does with a worker's next payload; false: it was an error.
using Handler = std::function<bool(size_t worker, const std::string& payload)>;

// `workers` streams on `lanes` threads, each lane round its streams.
void DriveLanes(benchmark::State& state, size_t lanes, const std::vector<WireEvents>& events,
                const Handler& handle) {
  constexpr size_t kEventsPerLane = 200'000;
  for (auto _ : state) {
    std::atomic<uint64_t> failed{0};
    std::vector<SpeedProbe> probes(lanes);
    const double processor = ProcessorSeconds();
    const auto start = std::chrono::steady_clock::now();
    {
      std::vector<NamedThread> threads;
      for (size_t lane = 0; lane < lanes; ++lane) {
        threads.emplace_back("lane-" + std::to_string(lane), [&, lane] {
          const size_t mine = (events.size() - lane + lanes - 1) / lanes;
          for (size_t i = 0; i < kEventsPerLane; ++i) {
            if (i % 1024 == 0) probes[lane].Take();
            const size_t worker = lane + i % mine * lanes;
            if (!handle(worker, events[worker].Payload(i / mine))) failed.fetch_add(1);
          }
        });
      }
    }
    const double elapsed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    for (size_t lane = 1; lane < lanes; ++lane) probes[0].Add(probes[lane]);
    benchmark::DoNotOptimize(probes[0].sink());
    state.counters["probe_ns"] = probes[0].MeanNs(Sampler::Clock());
    const auto total = static_cast<double>(lanes * kEventsPerLane);
    state.counters["events_per_s"] = total / elapsed;
    state.counters["blocks_per_s"] = total * kThroughputBlocks / elapsed;
    state.counters["error_rate"] = static_cast<double>(failed.load()) / total;
    const double cores_used = (ProcessorSeconds() - processor) / elapsed;
    state.counters["cores_used"] = cores_used;
    state.counters["cpu_share"] = cores_used / static_cast<double>(lanes);
  }
}

std::vector<WireEvents> EventsOfWorkers(size_t workers) {
  std::vector<WireEvents> events;
  for (size_t i = 0; i < workers; ++i) {
    events.emplace_back(i + 1, kThroughputBlocks, /*chains=*/32, /*held=*/16);
  }
  return events;
}

// Workers publishing at once, all into one index.
void EventThroughput(benchmark::State& state) {
  PrefixIndex index;
  IngestCounters counters;
  const std::vector<WireEvents> events = EventsOfWorkers(static_cast<size_t>(state.range(0)));
  std::vector<std::unique_ptr<Receiver>> receivers;
  for (size_t i = 0; i < events.size(); ++i) {
    receivers.push_back(std::make_unique<Receiver>(&index, &counters));
  }
  DriveLanes(state, static_cast<size_t>(state.range(1)), events,
             [&](size_t worker, const std::string& payload) {
               return receivers[worker]->Receive(payload);
             });
}
BENCHMARK(EventThroughput)
    ->ArgNames({"workers", "lanes"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({16, 1})
    ->Args({16, 2})
    ->Args({256, 1})
    ->Args({256, 2});

void EventThroughputFloor(benchmark::State& state) {
  const std::vector<WireEvents> events = EventsOfWorkers(static_cast<size_t>(state.range(0)));
  DriveLanes(state, static_cast<size_t>(state.range(1)), events,
             [](size_t, const std::string& payload) { return !payload.empty(); });
}
BENCHMARK(EventThroughputFloor)
    ->ArgNames({"workers", "lanes"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({256, 2});

// Events at a fixed rate by the clock into one lane: how late it gets, how long the queue grows,
// and how long after the last event was due it is empty. A lane that is behind finds its next event
// due already: the queue is what is due and not yet done. `peak_events_per_s` is of the busiest
// 10 ms.
class Burst {
 public:
  Burst(size_t total, double seconds) : total_(total), seconds_(seconds) {}

  template <typename Receive>
  void Drive(benchmark::State& state, Receive receive) {
    const double interval_s = seconds_ / static_cast<double>(total_);
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    double now = 0;
    for (size_t i = 0; i < total_; ++i) {
      const double due = interval_s * static_cast<double>(i);
      for (now = elapsed(); now < due; now = elapsed()) {
        if (due - now > 1e-3) std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
      const auto arrived = std::min(total_, static_cast<size_t>(now / interval_s) + 1);
      deepest_ = std::max(deepest_, arrived - i);
      receive(i);
      now = elapsed();
      latency_.AddNanos((now - due) * 1e9);
      CountInWindow(now);
    }
    latency_.Report(&state);
    state.counters["deepest_queue"] = static_cast<double>(deepest_);
    state.counters["recovery_ms"] = std::max(0.0, (now - seconds_) * 1e3);
    state.counters["events_per_s"] = static_cast<double>(total_) / now;
    state.counters["peak_events_per_s"] = static_cast<double>(busiest_) / kWindowS;
  }

 private:
  static constexpr double kWindowS = 0.01;

  void CountInWindow(double now) {
    const auto window = static_cast<uint64_t>(now / kWindowS);
    in_window_ = window == window_ ? in_window_ + 1 : 1;
    window_ = window;
    busiest_ = std::max(busiest_, in_window_);
  }

  const size_t total_;
  const double seconds_;
  Sampler latency_;  // from when an event was due to when it was visible
  size_t deepest_ = 0;
  uint64_t window_ = 0;
  uint64_t in_window_ = 0;
  uint64_t busiest_ = 0;
};

void BurstLoad(benchmark::State& state) {
  const WireEvents events(1, 8, 256, 128);
  for (auto _ : state) {
    PrefixIndex index;
    IngestCounters counters;
    Receiver receiver(&index, &counters);
    Burst burst(static_cast<size_t>(state.range(0)), static_cast<double>(state.range(1)) * 1e-3);
    uint64_t failed = 0;
    burst.Drive(state, [&](size_t i) { failed += !receiver.Receive(events.Payload(i)); });
    state.counters["failed"] = static_cast<double>(failed);
  }
}
void BurstFloor(benchmark::State& state) {
  for (auto _ : state) {
    Burst burst(static_cast<size_t>(state.range(0)), static_cast<double>(state.range(1)) * 1e-3);
    burst.Drive(state, [](size_t i) { benchmark::DoNotOptimize(i); });
  }
}
void BurstShape(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"events", "ms"})->Iterations(1)->Unit(benchmark::kMillisecond);
}
BENCHMARK(BurstLoad)->Apply(BurstShape)->Args({1'000, 100})->Args({100'000, 500});
BENCHMARK(BurstLoad)
    ->Name("BurstLoad/full")
    ->Apply(BurstShape)
    ->Args({10'000, 5'000})
    ->Args({1'000'000, 5'000});
BENCHMARK(BurstFloor)->Apply(BurstShape)->Args({100'000, 500});

}  // namespace
}  // namespace kvroute
