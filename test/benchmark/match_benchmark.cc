// Questions to the index: RoutingDecision's lookup, LargePrefix, the gate cell of the fleet
// profile.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "test/benchmark/support/chains.h"
#include "test/benchmark/support/fleet_profile.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

// `chains` different prompts of `blocks` blocks, each held whole by the same `holders` streams.
struct HeldChains {
  HeldChains(size_t chain_count, size_t blocks, size_t holders) {
    const std::vector<StreamId> streams = OpenStreams(&index, holders);
    for (size_t i = 0; i < chain_count; ++i) chains.push_back(MakeChain(i + 1, blocks));
    for (const StreamId stream : streams) {
      for (const BlockChain& chain : chains) StoreChain(&index, stream, chain);
    }
  }
  PrefixIndex index;
  std::vector<BlockChain> chains;
};

void AskInTurn(benchmark::State& state, const PrefixIndex& index,
               const std::vector<BlockChain>& chains) {
  MatchResult result;
  for (const BlockChain& chain : chains) index.Match(chain.prefixes, &result);
  Sampler sampler;
  size_t next = 0;
  for (auto _ : state) {
    const BlockChain& chain = chains[next++ % chains.size()];
    sampler.Time([&] { index.Match(chain.prefixes, &result); });
    benchmark::DoNotOptimize(result.matches.data());
  }
  sampler.Report(&state);
  state.counters["matches"] = static_cast<double>(result.matches.size());
}

void Match(benchmark::State& state) {
  const HeldChains held(static_cast<size_t>(state.range(2)), static_cast<size_t>(state.range(0)),
                        static_cast<size_t>(state.range(1)));
  AskInTurn(state, held.index, held.chains);
}
BENCHMARK(Match)
    ->ArgNames({"blocks", "holders", "chains"})
    ->Args({512, 64, 1})
    ->Args({512, 64, 64})
    ->Args({78, 64, 64})
    ->Args({512, 1, 1})
    ->Args({78, 1, 1})
    ->Args({78, 1, 1024});

// Prompts nobody holds, asked of an index that holds others.
void MatchMiss(benchmark::State& state) {
  const HeldChains held(64, 128, 8);
  std::vector<BlockChain> strangers;
  for (int64_t i = 0; i < state.range(0); ++i) {
    strangers.push_back(MakeChain(1'000'000 + static_cast<uint64_t>(i), 128));
  }
  AskInTurn(state, held.index, strangers);
}
BENCHMARK(MatchMiss)->ArgName("prompts")->Arg(1)->Arg(1024);

void MatchFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(MatchFloor);

// A prompt as tokens: hashed, then matched on 8 holders.
void LargePrefix(benchmark::State& state) {
  constexpr uint32_t kBlockTokens = 16;
  const auto token_count = static_cast<size_t>(state.range(0));
  std::vector<TokenId> tokens(token_count);
  SeededRandom random(3);
  for (TokenId& token : tokens) token = static_cast<TokenId>(random.Below(128'000));
  const NamespaceSeed seed = MakeNamespaceSeed("", "");

  BlockChain chain;
  for (size_t i = 0; i + kBlockTokens <= token_count; i += kBlockTokens) {
    chain.locals.push_back(HashBlock(absl::MakeConstSpan(tokens).subspan(i, kBlockTokens), seed));
  }
  ChainLocals(chain.locals, &chain.prefixes);
  for (const PrefixHash prefix : chain.prefixes) chain.engine_hashes.emplace_back(prefix.value());
  PrefixIndex index;
  for (const StreamId stream : OpenStreams(&index, 8)) StoreChain(&index, stream, chain);

  Sampler sampler;
  Sampler hashing;
  std::vector<PrefixHash> prompt;
  MatchResult result;
  for (auto _ : state) {
    const auto hash = [&] {
      prompt.clear();
      HashPrompt(tokens, kBlockTokens, seed, &prompt);
    };
    sampler.Time([&] {
      hash();
      index.Match(prompt, &result);
    });
    hashing.Time(hash);
    benchmark::DoNotOptimize(result.matches.data());
  }
  sampler.Report(&state);
  state.counters["hash_p50_ns"] = hashing.Quantile(0.5);
  state.counters["index_bytes_per_block"] =
      static_cast<double>(index.Stats().bytes) / static_cast<double>(chain.size());
}
BENCHMARK(LargePrefix)
    ->ArgName("tokens")
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(8'192)
    ->Arg(20'000)
    ->Arg(50'000);

// The pinned fleet profile with its mix of queries, and its gate cell: depth 78, 64 holders, on top
// of it.
const FleetState& Fleet(int64_t holdings) {
  static int64_t built = 0;
  static std::unique_ptr<FleetState> fleet;
  if (built != holdings) {
    fleet.reset();
    FleetProfile profile;
    profile.target_holdings = static_cast<uint64_t>(holdings);
    fleet = std::make_unique<FleetState>(profile);
    built = holdings;
  }
  return *fleet;
}

void FleetMix(benchmark::State& state) {
  const FleetState& fleet = Fleet(state.range(0));
  MatchResult result;
  for (const auto& prompt : fleet.queries()) fleet.index()->Match(prompt, &result);
  Sampler sampler;
  size_t next = 0;
  for (auto _ : state) {
    const std::vector<PrefixHash>& prompt = fleet.queries()[next++ % fleet.queries().size()];
    sampler.Time([&] { fleet.index()->Match(prompt, &result); });
    benchmark::DoNotOptimize(result.matches.data());
  }
  sampler.Report(&state);
  const PrefixIndexStats stats = fleet.index()->Stats();
  state.counters["bytes_per_holding"] =
      static_cast<double>(stats.bytes) / static_cast<double>(stats.holdings);
}

void FleetGateCell(benchmark::State& state) {
  const FleetState& fleet = Fleet(state.range(0));
  std::vector<BlockChain> chains;
  for (uint64_t i = 0; i < 64; ++i) chains.push_back(MakeChain(5'000'000 + i, 78));
  for (size_t i = 0; i < 64; ++i) {
    for (const BlockChain& chain : chains) StoreChain(fleet.index(), fleet.streams()[i], chain);
  }
  AskInTurn(state, *fleet.index(), chains);
  for (size_t i = 0; i < 64; ++i) {
    for (const BlockChain& chain : chains) {
      fleet.index()->Remove(fleet.streams()[i], chain.engine_hashes, Tier::kGpu);
    }
  }
}
BENCHMARK(FleetMix)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetGateCell)->ArgName("holdings")->Arg(200'000);
BENCHMARK(FleetMix)->Name("FleetMix/full")->ArgName("holdings")->Arg(10'000'000);
BENCHMARK(FleetGateCell)->Name("FleetGateCell/full")->ArgName("holdings")->Arg(10'000'000);

// One long-lived set of holdings spread over more and more streams.
void Scale(benchmark::State& state) {
  const auto stream_count = static_cast<size_t>(state.range(0));
  const auto holdings = static_cast<size_t>(state.range(1));
  constexpr size_t kChainBlocks = 128;
  PrefixIndex index;
  const std::vector<StreamId> streams = OpenStreams(&index, stream_count);
  std::vector<BlockChain> chains;
  Sampler store;
  for (size_t i = 0; i * kChainBlocks < holdings; ++i) {
    BlockChain chain = MakeChain(i, kChainBlocks);
    store.Time([&] { StoreChain(&index, streams[i % stream_count], chain); });
    if (chains.size() < 20'000) chains.push_back(std::move(chain));
  }
  AskInTurn(state, index, chains);
  state.counters["store_ns_per_block"] = store.MeanNs() / static_cast<double>(kChainBlocks);
  const PrefixIndexStats stats = index.Stats();
  state.counters["bytes_per_holding"] =
      static_cast<double>(stats.bytes) / static_cast<double>(stats.holdings);
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
    ->Args({100, 10'000'000})
    ->Args({1'000, 10'000'000})
    ->Args({10'000, 10'000'000})
    ->Args({1'000, 100'000'000});
BENCHMARK(Scale)->Name("Scale/huge")->ArgNames({"streams", "holdings"})->Args({1'000, 300'000'000});

}  // namespace
}  // namespace kvroute
