// Questions to big indexes: the pinned fleet profile with its gate cell, and scale by streams and
// holdings.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/fleet_profile.h"
#include "test/benchmark/support/held_chains.h"
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

// In an order that builds each fleet once; the gate cell is depth 78 with 64 holders.
BENCHMARK(FleetMix)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetGateCell)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetMix)->Name("FleetMix/full")->ArgName("holdings")->Arg(10'000'000);
BENCHMARK(FleetGateCell)->Name("FleetGateCell/full")->ArgName("holdings")->Arg(10'000'000);
BENCHMARK(FleetMixFlat)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetGateCellFlat)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetMixFlat)->Name("FleetMixFlat/full")->ArgName("holdings")->Arg(10'000'000);
BENCHMARK(FleetGateCellFlat)->Name("FleetGateCellFlat/full")->ArgName("holdings")->Arg(10'000'000);

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

void ScaleFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(ScaleFloor);

}  // namespace
}  // namespace kvroute
