// Concurrency: many operations in flight; queries beside a writer. Every figure is of a fixed
// stretch of wall time, so each case runs once.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/named_thread.h"
#include "test/benchmark/support/concurrent_load.h"
#include "test/benchmark/support/processor_time.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

constexpr auto kStretch = std::chrono::milliseconds(100);
constexpr int kTurns = 5;

// Of the whole process so far.
struct Usage {
  static Usage Now() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return {static_cast<double>(usage.ru_nvcsw), static_cast<double>(usage.ru_nivcsw),
            ProcessorSeconds()};
  }
  double waited = 0;     // a thread gave its core up: it waited for a lock
  double preempted = 0;  // its core was taken away
  double processor_s = 0;
};

struct Tally {
  Sampler queries;
  Sampler writes;  // a store and a removal each
  double elapsed_s = 0;
  Usage usage;
  SpeedProbe probe;    // of those added
  double cores_s = 0;  // processor time it could have had

  void AddUsage(const Tally& other) {
    probe.Add(other.queries.probe());
    probe.Add(other.writes.probe());
    usage.processor_s += other.usage.processor_s;
    cores_s += other.cores_s;
  }
  // 1: nothing else ran on the cores; less: the figures say more about the machine.
  double CpuShare() const { return usage.processor_s / cores_s; }
  double QueriesPerS() const { return static_cast<double>(queries.count()) / elapsed_s; }
  double WritesPerS() const { return static_cast<double>(writes.count()) / elapsed_s; }
};

// From the moment when all threads have begun.
Tally RunFor(ConcurrentLoad* load, size_t readers, size_t writers,
             std::chrono::nanoseconds stretch) {
  std::vector<Tally> tallies(readers + writers);
  std::atomic<bool> stop{false};
  std::latch begun(static_cast<ptrdiff_t>(readers + writers + 1));
  Tally total;
  {
    std::vector<NamedThread> threads;
    for (size_t i = 0; i < readers + writers; ++i) {
      threads.emplace_back("load-" + std::to_string(i), [&, i] {
        MatchResult result;
        load->Query(i, &result);  // buffers grow here
        if (i >= readers) load->Write(i - readers, i);
        begun.arrive_and_wait();
        for (uint64_t turn = i; !stop.load(std::memory_order_relaxed); ++turn) {
          if (i < readers) {
            tallies[i].queries.Time([&] { load->Query(turn, &result); });
          } else {
            tallies[i].writes.Time([&] { load->Write(i - readers, turn); });
          }
        }
      });
    }
    begun.arrive_and_wait();
    const Usage before = Usage::Now();
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(stretch);  // the length of the measurement, not a condition
    stop.store(true);
    threads.clear();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const Usage after = Usage::Now();
    total.elapsed_s = elapsed.count();
    total.usage = {after.waited - before.waited, after.preempted - before.preempted,
                   after.processor_s - before.processor_s};
    total.cores_s = total.elapsed_s * static_cast<double>(std::min<size_t>(
                                          readers + writers, std::thread::hardware_concurrency()));
  }
  for (const Tally& tally : tallies) {
    total.queries.Merge(tally.queries);
    total.writes.Merge(tally.writes);
  }
  return total;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// As many threads as operations in flight; one in five writes. Waits are contention: a query takes
// no lock, so only writers have them.
void Concurrency(benchmark::State& state) {
  const auto in_flight = static_cast<size_t>(state.range(0));
  const size_t writers = in_flight / 5;
  ConcurrentLoad load(std::max<size_t>(writers, 1));
  for (auto _ : state) {
    Tally tally = RunFor(&load, in_flight - writers, writers, 2 * kStretch);
    state.counters["ops_per_s"] = tally.QueriesPerS() + tally.WritesPerS();
    tally.queries.Report(&state, "query_");
    tally.writes.Report(&state, "write_");
    const auto operations = static_cast<double>(tally.queries.count() + tally.writes.count());
    state.counters["cpu_share"] = tally.CpuShare();
    state.counters["waits_per_million_ops"] = 1e6 * tally.usage.waited / operations;
    state.counters["preemptions_per_million_ops"] = 1e6 * tally.usage.preempted / operations;
  }
}
BENCHMARK(Concurrency)
    ->ArgName("in_flight")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(2)
    ->Arg(10)
    ->Arg(50)
    ->Arg(100)
    ->Arg(500);

// Queries alone and the same queries with a writer at full speed on another core, in turns, so that
// a disturbance from outside meets both.
void QueriesBesideWriter(benchmark::State& state) {
  ConcurrentLoad load(1);
  for (auto _ : state) {
    Tally idle;
    Tally busy;
    std::vector<double> ratios;
    for (int turn = 0; turn < kTurns; ++turn) {
      Tally alone = RunFor(&load, 1, 0, kStretch);
      Tally beside = RunFor(&load, 1, 1, kStretch);
      ratios.push_back(beside.queries.Quantile(0.99) / alone.queries.Quantile(0.99));
      idle.queries.Merge(alone.queries);
      busy.queries.Merge(beside.queries);
      busy.writes.Merge(beside.writes);
      busy.elapsed_s += beside.elapsed_s;
      busy.AddUsage(alone);
      busy.AddUsage(beside);
    }
    idle.queries.Report(&state, "idle_");
    busy.queries.Report(&state, "busy_");
    state.counters["cpu_share"] = busy.CpuShare();
    state.counters["probe_ns"] = busy.probe.MeanNs(Sampler::Clock());
    state.counters["p99_ratio"] = Median(ratios);
    state.counters["writes_per_s"] = busy.WritesPerS();
  }
}
BENCHMARK(QueriesBesideWriter)->Iterations(1)->Unit(benchmark::kMillisecond);

void ConcurrencyFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(ConcurrencyFloor);

}  // namespace
}  // namespace kvroute
