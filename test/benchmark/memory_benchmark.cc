// MemoryUsage: bytes per item at rest and after churn. Each case fills an index in a child process,
// so that what is measured is that case's memory alone.
#include <benchmark/benchmark.h>

#include <vector>

#include "test/benchmark/support/chains.h"
#include "test/benchmark/support/process_memory.h"
#include "tools/replay/replay_report.h"

namespace kvroute {
namespace {

constexpr size_t kChainBlocks = 100;

double PerItem(uint64_t after, uint64_t before, uint64_t items) {
  const double grown = static_cast<double>(after) - static_cast<double>(before);
  return items == 0 ? 0 : grown / static_cast<double>(items);
}

void MemoryUsage(benchmark::State& state) {
  const auto distinct = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    const ChildNumbers numbers = RunInChild([&](ChildNumbers* out) {
      const uint64_t rss = ProcessRssBytes();
      const uint64_t heap = HeapBytes();
      PrefixIndex index;
      const StreamId stream = OpenStreams(&index, 1)[0];
      for (uint64_t i = 0; i * kChainBlocks < distinct; ++i) {
        StoreChain(&index, stream, MakeChain(i, kChainBlocks));
      }
      const PrefixIndexStats stats = index.Stats();
      *out = {PerItem(ProcessRssBytes(), rss, stats.distinct_blocks),
              PerItem(HeapBytes(), heap, stats.distinct_blocks),
              PerItem(stats.bytes, 0, stats.distinct_blocks),
              static_cast<double>(ProcessRssBytes() - rss)};
    });
    state.counters["rss_bytes_per_block"] = numbers[0];
    state.counters["heap_bytes_per_block"] = numbers[1];
    state.counters["index_bytes_per_block"] = numbers[2];
    state.counters["rss_bytes"] = numbers[3];
  }
}
BENCHMARK(MemoryUsage)
    ->ArgName("distinct")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000);
BENCHMARK(MemoryUsage)
    ->Name("MemoryUsage/full")
    ->ArgName("distinct")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Arg(10'000'000);

// A worker's pool of `blocks` that is replaced chain by chain, oldest first, `cycles` times over.
void Churn(PrefixIndex* index, const std::vector<StreamId>& streams, uint64_t blocks, int cycles) {
  const uint64_t chains = blocks / kChainBlocks;
  for (uint64_t i = 0; i < chains * static_cast<uint64_t>(cycles); ++i) {
    const BlockChain fresh = MakeChain(i, kChainBlocks);
    const BlockChain stale = MakeChain(i - chains, kChainBlocks);
    for (const StreamId stream : streams) {
      if (i >= chains) index->Remove(stream, stale.engine_hashes, Tier::kGpu);
      StoreChain(index, stream, fresh);
    }
  }
}

void MemoryAfterChurn(benchmark::State& state) {
  const auto blocks = static_cast<uint64_t>(state.range(0));
  const auto holders = static_cast<size_t>(state.range(1));
  for (auto _ : state) {
    const ChildNumbers numbers = RunInChild([&](ChildNumbers* out) {
      const uint64_t rss = ProcessRssBytes();
      PrefixIndex index;
      const std::vector<StreamId> streams = OpenStreams(&index, holders);
      Churn(&index, streams, blocks, 1);
      const uint64_t first = ProcessRssBytes();
      Churn(&index, streams, blocks, 10);  // begins with the chains that are there
      const uint64_t last = ProcessRssBytes();
      const PrefixIndexStats stats = index.Stats();
      *out = {PerItem(last, rss, stats.holdings), PerItem(last, rss, stats.distinct_blocks),
              static_cast<double>(last - rss) / static_cast<double>(first - rss)};
    });
    state.counters["rss_bytes_per_holding"] = numbers[0];
    state.counters["rss_bytes_per_block"] = numbers[1];
    state.counters["growth_ratio"] = numbers[2];
  }
}
BENCHMARK(MemoryAfterChurn)
    ->ArgNames({"blocks", "holders"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({100'000, 1})
    ->Args({100'000, 8});
BENCHMARK(MemoryAfterChurn)
    ->Name("MemoryAfterChurn/full")
    ->ArgNames({"blocks", "holders"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({2'000'000, 1})
    ->Args({2'000'000, 8});

}  // namespace
}  // namespace kvroute
