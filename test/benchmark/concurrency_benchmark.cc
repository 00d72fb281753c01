// Concurrency: many operations in flight; queries beside a writer; what a second core adds. Every
// figure is of a fixed stretch of wall time, so each case runs once.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/named_thread.h"
#include "test/benchmark/support/chains.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

constexpr size_t kChains = 2'000;
constexpr size_t kBlocks = 78;
constexpr size_t kStreams = 64;
constexpr auto kStretch = std::chrono::milliseconds(200);

// An index in which each stream holds a part of the chains, and writers that keep replacing chains
// of their own.
class Load {
 public:
  explicit Load(size_t writers) {
    const std::vector<StreamId> readers_streams = OpenStreams(&index_, kStreams);
    writer_streams_ = OpenStreams(&index_, writers);
    for (size_t i = 0; i < kChains; ++i) {
      chains_.push_back(MakeChain(i, kBlocks));
      StoreChain(&index_, readers_streams[i % kStreams], chains_.back());
    }
  }

  void Query(uint64_t turn, MatchResult* result) const {
    index_.Match(chains_[turn * 7 % kChains].prefixes, result);
  }
  // One chain stored and removed by a writer's own stream.
  void Write(size_t writer, uint64_t turn) {
    const BlockChain& chain = chains_[(turn * 13 + writer) % kChains];
    StoreChain(&index_, writer_streams_[writer], chain);
    index_.Remove(writer_streams_[writer], chain.engine_hashes, Tier::kGpu);
  }

 private:
  PrefixIndex index_;
  std::vector<BlockChain> chains_;
  std::vector<StreamId> writer_streams_;
};

struct Tally {
  Sampler queries;
  Sampler writes;  // a store and a removal each
  double elapsed_s = 0;

  double QueriesPerS() const { return static_cast<double>(queries.count()) / elapsed_s; }
  double WritesPerS() const { return static_cast<double>(writes.count()) / elapsed_s; }
};

Tally RunFor(Load* load, size_t readers, size_t writers, std::chrono::nanoseconds stretch) {
  std::vector<Tally> tallies(readers + writers);
  std::atomic<bool> stop{false};
  const auto start = std::chrono::steady_clock::now();
  {
    std::vector<NamedThread> threads;
    for (size_t i = 0; i < readers + writers; ++i) {
      threads.emplace_back("load-" + std::to_string(i), [&, i] {
        MatchResult result;
        for (uint64_t turn = i; !stop.load(std::memory_order_relaxed); ++turn) {
          if (i < readers) {
            tallies[i].queries.Time([&] { load->Query(turn, &result); });
          } else {
            tallies[i].writes.Time([&] { load->Write(i - readers, turn); });
          }
        }
      });
    }
    std::this_thread::sleep_for(stretch);  // the length of the measurement, not a condition
    stop.store(true);
  }
  Tally total;
  total.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const Tally& tally : tallies) {
    total.queries.Merge(tally.queries);
    total.writes.Merge(tally.writes);
  }
  return total;
}

// As many threads as operations in flight; one in five writes.
void Concurrency(benchmark::State& state) {
  const auto in_flight = static_cast<size_t>(state.range(0));
  const size_t writers = in_flight / 5;
  Load load(std::max<size_t>(writers, 1));
  for (auto _ : state) {
    Tally tally = RunFor(&load, in_flight - writers, writers, kStretch);
    state.counters["ops_per_s"] = tally.QueriesPerS() + tally.WritesPerS();
    tally.queries.Report(&state, "query_");
    tally.writes.Report(&state, "write_");
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

// Queries alone, then the same queries with a writer at full speed on another core.
void QueriesBesideWriter(benchmark::State& state) {
  Load load(1);
  for (auto _ : state) {
    Tally idle = RunFor(&load, 1, 0, kStretch);
    Tally busy = RunFor(&load, 1, 1, kStretch);
    idle.queries.Report(&state, "idle_");
    busy.queries.Report(&state, "busy_");
    state.counters["p99_ratio"] = busy.queries.Quantile(0.99) / idle.queries.Quantile(0.99);
    state.counters["writes_per_s"] = busy.WritesPerS();
  }
}
BENCHMARK(QueriesBesideWriter)->Iterations(1)->Unit(benchmark::kMillisecond);

// What two threads do against what each does alone: 2 is perfect. Needs two idle cores.
void SecondCore(benchmark::State& state) {
  Load load(1);
  for (auto _ : state) {
    const Tally reader = RunFor(&load, 1, 0, kStretch);
    const Tally writer = RunFor(&load, 0, 1, kStretch);
    const Tally readers = RunFor(&load, 2, 0, kStretch);
    const Tally mixed = RunFor(&load, 1, 1, kStretch);
    state.counters["two_readers_speedup"] = readers.QueriesPerS() / reader.QueriesPerS();
    state.counters["reader_and_writer_speedup"] =
        mixed.QueriesPerS() / reader.QueriesPerS() + mixed.WritesPerS() / writer.WritesPerS();
    state.counters["queries_per_s"] = reader.QueriesPerS();
    state.counters["writes_per_s"] = writer.WritesPerS();
  }
}
BENCHMARK(SecondCore)->Iterations(1)->Unit(benchmark::kMillisecond);

void ConcurrencyFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(ConcurrencyFloor);

}  // namespace
}  // namespace kvroute
