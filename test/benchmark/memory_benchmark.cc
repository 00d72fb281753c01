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

// Each stream's pool of `blocks` replaced chain by chain, oldest first; cycle 0 fills it.
void Churn(PrefixIndex* index, const std::vector<StreamId>& streams, uint64_t blocks,
           uint64_t first_cycle, uint64_t end_cycle) {
  const uint64_t chains = blocks / kChainBlocks;
  for (uint64_t i = first_cycle * chains; i < end_cycle * chains; ++i) {
    const BlockChain fresh = MakeChain(i, kChainBlocks);
    const BlockChain stale = MakeChain(i - chains, i >= chains ? kChainBlocks : 0);
    for (const StreamId stream : streams) {
      index->Remove(stream, stale.engine_hashes, Tier::kGpu);
      StoreChain(index, stream, fresh);
    }
  }
}

struct ChurnMemory {
  double rss_bytes = 0;
  double holdings = 0;
  double growth_ratio = 0;  // after ten replacements of everything, against after the first fill
};

ChurnMemory MeasureChurn(uint64_t blocks, size_t holders) {
  const ChildNumbers numbers = RunInChild([&](ChildNumbers* out) {
    const auto before = static_cast<double>(ProcessRssBytes());
    PrefixIndex index;
    const std::vector<StreamId> streams = OpenStreams(&index, holders);
    Churn(&index, streams, blocks, 0, 1);
    const double first = static_cast<double>(ProcessRssBytes()) - before;
    Churn(&index, streams, blocks, 1, 11);
    const double last = static_cast<double>(ProcessRssBytes()) - before;
    *out = {last, static_cast<double>(index.Stats().holdings), last / first};
  });
  return {numbers[0], numbers[1], numbers[2]};
}

void MemoryAfterChurn(benchmark::State& state) {
  const auto blocks = static_cast<uint64_t>(state.range(0));
  const auto holders = static_cast<size_t>(state.range(1));
  for (auto _ : state) {
    const ChurnMemory memory = MeasureChurn(blocks, holders);
    state.counters["rss_bytes_per_holding"] = memory.rss_bytes / memory.holdings;
    state.counters["growth_ratio"] = memory.growth_ratio;
    if (holders > 1) {
      const ChurnMemory single = MeasureChurn(blocks, 1);
      state.counters["further_holder_rss_bytes"] =
          (memory.rss_bytes - single.rss_bytes) / (memory.holdings - single.holdings);
    }
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
