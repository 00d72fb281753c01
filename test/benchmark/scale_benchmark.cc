// Questions to big indexes: the pinned fleet profile with its gate cell, and scale by streams and
// holdings.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "indexer/base/named_thread.h"
#include "indexer/index/tables/engine_hash_table.h"
#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/fleet_profile.h"
#include "test/benchmark/support/held_chains.h"
#include "test/benchmark/support/longest_wait.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

template <typename Index>
void ReportMemory(benchmark::State& state, const Index& index) {
  const PrefixIndexStats stats = index.Stats();
  state.counters["holdings"] = static_cast<double>(stats.holdings);
  state.counters["index_bytes_per_holding"] =
      static_cast<double>(stats.bytes) / static_cast<double>(stats.holdings);
}

template <typename Index>
void AskFleetMix(benchmark::State& state) {
  const auto& fleet = Cached<FleetState<Index>>(static_cast<uint64_t>(state.range(0)));
  AskInTurn(state, fleet.index(), fleet.queries());
  ReportMemory(state, fleet.index());
}
template <typename Index>
void AskGateCell(benchmark::State& state) {
  const auto& fleet = Cached<FleetState<Index>>(static_cast<uint64_t>(state.range(0)));
  AskInTurn(state, fleet.index(), fleet.gate_queries());
}

void FleetMix(benchmark::State& state) { AskFleetMix<PrefixIndex>(state); }
void FleetGateCell(benchmark::State& state) { AskGateCell<PrefixIndex>(state); }
void FleetMixFlat(benchmark::State& state) { AskFleetMix<FlatIndex>(state); }
void FleetGateCellFlat(benchmark::State& state) { AskGateCell<FlatIndex>(state); }

// The fleet twice: all in gpu, and 40 % of the holdings in slower tiers.
struct FleetOfBoth {
  explicit FleetOfBoth(uint64_t holdings) : plain(holdings), offloaded(holdings, true) {}
  FleetState<PrefixIndex> plain;
  FleetState<PrefixIndex> offloaded;
};
void FleetMixOffloaded(benchmark::State& state) {
  const auto& both = Cached<FleetOfBoth>(static_cast<uint64_t>(state.range(0)));
  AskBothInTurn(state, both.plain.index(), both.offloaded.index(), both.plain.queries());
  ReportMemory(state, both.offloaded.index());
}
void FleetGateCellOffloaded(benchmark::State& state) {
  const auto& both = Cached<FleetOfBoth>(static_cast<uint64_t>(state.range(0)));
  AskBothInTurn(state, both.plain.index(), both.offloaded.index(), both.plain.gate_queries());
}

// In an order that builds each fleet once; the gate cell is depth 78 with 64 holders.
BENCHMARK(FleetMix)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetGateCell)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetMix)->Name("FleetMix/full")->ArgName("holdings")->Arg(10'000'000);
BENCHMARK(FleetGateCell)->Name("FleetGateCell/full")->ArgName("holdings")->Arg(10'000'000);
BENCHMARK(FleetMixFlat)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetGateCellFlat)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetMixFlat)->Name("FleetMixFlat/full")->ArgName("holdings")->Arg(10'000'000);
BENCHMARK(FleetGateCellFlat)->Name("FleetGateCellFlat/full")->ArgName("holdings")->Arg(10'000'000);

BENCHMARK(FleetMixOffloaded)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetGateCellOffloaded)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetMixOffloaded)->Name("FleetMixOffloaded/full")->ArgName("holdings")->Arg(10'000'000);

// So many holdings spread over so many streams; every chain of 128 blocks has one holder.
struct SpreadHoldings {
  static constexpr size_t kChainBlocks = 128;
  static constexpr size_t kPrompts = 20'000;

  SpreadHoldings(size_t stream_count, size_t holdings)
      : streams(OpenStreams(&index, stream_count)) {
    const size_t chains = (holdings + kChainBlocks - 1) / kChainBlocks;
    const size_t keep_every = std::max<size_t>(1, chains / kPrompts);
    for (size_t i = 0; i < chains; ++i) {
      const BlockChain chain = MakeChain(i, kChainBlocks);
      store.Time([&] { StoreChain(&index, streams[i % streams.size()], chain); });
      if (i % keep_every == 0) prompts.push_back(chain.prefixes);
    }
  }

  PrefixIndex index;
  std::vector<StreamId> streams;
  Sampler store;
  std::vector<std::vector<PrefixHash>> prompts;  // evenly over what is held
};

void Scale(benchmark::State& state) {
  auto& spread = Cached<SpreadHoldings>(static_cast<size_t>(state.range(0)),
                                        static_cast<size_t>(state.range(1)));
  AskInTurn(state, spread.index, spread.prompts);
  ReportMemory(state, spread.index);
  state.counters["store_ns_per_block"] =
      spread.store.MeanNs() / static_cast<double>(SpreadHoldings::kChainBlocks);
}
BENCHMARK(Scale)
    ->ArgNames({"streams", "holdings"})
    ->Args({1, 100'000})
    ->Args({100, 100'000})
    ->Args({10'000, 100'000});
BENCHMARK(Scale)
    ->Name("Scale/full")
    ->ArgNames({"streams", "holdings"})
    ->Args({1, 1'000'000})
    ->Args({10'000, 1'000'000})
    ->Args({1, 10'000'000})
    ->Args({100, 10'000'000})
    ->Args({1'000, 10'000'000})
    ->Args({10'000, 10'000'000});
BENCHMARK(Scale)
    ->Name("Scale/huge")
    ->ArgNames({"streams", "holdings"})
    ->Args({1'000, 100'000'000})
    ->Args({1'000, 300'000'000});

// The longest that anybody waits while an index grows: a writer that fills it, and beside it first
// another one, which stores and removes a chain of its own in turn, then a reader. Two threads at a
// time, because a third would take a core from one of them, who may hold a lock.
constexpr size_t kGrownChain = 128;

// beside(index, turn) again and again while the index is filled, on a thread whose operations
// `other` times; the index as it is then.
template <typename Operation>
std::unique_ptr<PrefixIndex> GrowBeside(size_t holdings, LongestWait* filler, LongestWait* other,
                                        Operation beside) {
  auto index = std::make_unique<PrefixIndex>();
  const std::vector<StreamId> streams = OpenStreams(index.get(), 1'000);
  std::atomic<bool> done{false};
  std::atomic<pthread_t> other_thread{0};
  other->Beside(pthread_self());
  NamedThread thread("beside", [&] {
    other_thread.store(pthread_self());
    for (uint64_t turn = 0; !done.load(std::memory_order_relaxed); ++turn) {
      beside(index.get(), turn);
    }
  });
  while (other_thread.load() == 0) std::this_thread::yield();
  filler->Beside(other_thread.load());
  for (size_t i = 0; i < holdings / kGrownChain; ++i) {
    const BlockChain chain = MakeChain(i, kGrownChain);
    filler->Time([&] { StoreChain(index.get(), streams[i % streams.size()], chain); });
  }
  done.store(true);
  thread.Join();
  return index;
}

void GrowthWaits(benchmark::State& state) {
  const auto holdings = static_cast<size_t>(state.range(0));
  std::vector<BlockChain> prompts;
  for (uint64_t i = 0; i < 64; ++i) prompts.push_back(MakeChain(i, kGrownChain));
  for (auto _ : state) {
    LongestWait filler, writer, reader;
    StreamId own;
    GrowBeside(holdings, &filler, &writer, [&](PrefixIndex* index, uint64_t turn) {
      if (turn == 0) own = OpenStreams(index, 1).front();
      const BlockChain chain = MakeChain(1'000'000'000 + turn, kGrownChain);
      writer.Time([&] { StoreChain(index, own, chain); });
      writer.Time([&] { index->Remove(own, chain.engine_hashes, Tier::kGpu); });
    });
    MatchResult result;
    const auto index =
        GrowBeside(holdings, &filler, &reader, [&](const PrefixIndex* grown, uint64_t turn) {
          reader.Time([&] { grown->Match(prompts[turn % prompts.size()].prefixes, &result); });
        });
    filler.Report(&state, "filler_");
    writer.Report(&state, "writer_");
    reader.Report(&state, "reader_");
    ReportMemory(state, *index);
  }
}
BENCHMARK(GrowthWaits)->ArgName("holdings")->Iterations(1)->Arg(200'000);
BENCHMARK(GrowthWaits)
    ->Name("GrowthWaits/full")
    ->ArgName("holdings")
    ->Iterations(1)
    ->Arg(10'000'000);
BENCHMARK(GrowthWaits)
    ->Name("GrowthWaits/huge")
    ->ArgName("holdings")
    ->Iterations(1)
    ->Arg(100'000'000)
    ->Arg(300'000'000);

// One table of engine hashes alone, as large as a shard's at 300 M holdings.
void TableGrowth(benchmark::State& state) {
  const auto entries = static_cast<uint32_t>(state.range(0));
  for (auto _ : state) {
    Arena arena;
    Reclaimer reclaimer(&arena);
    EngineHashTable table;
    table.Init(&arena, &reclaimer, 77);
    SeededRandom random(1);
    LongestWait insertion;
    for (uint32_t i = 0; i < entries; ++i) {
      const auto fragment = static_cast<uint32_t>(random.Below(1u << Cell::kFragmentBits));
      const Place place{i / kMaxRunBlocks + 1, static_cast<uint16_t>(i % kMaxRunBlocks)};
      insertion.Time([&] { table.Insert(table.Fetch(fragment), place); });
    }
    insertion.Report(&state, "");
  }
}
BENCHMARK(TableGrowth)->ArgName("entries")->Iterations(1)->Arg(1'200'000);

void ScaleFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(ScaleFloor);

}  // namespace
}  // namespace kvroute
