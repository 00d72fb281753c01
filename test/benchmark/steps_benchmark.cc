// What it costs that engines store a prompt in steps and what they decode block by block, many
// prompts at once: StoredInSteps.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "indexer/base/check.h"
#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/held_chains.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

constexpr size_t kStreams = 256;
constexpr size_t kPromptBlocks = 128;  // of each chain, stored `step` at a time
constexpr size_t kDecodedBlocks = 32;  // behind it, one by one
constexpr size_t kChainBlocks = kPromptBlocks + kDecodedBlocks;
constexpr size_t kPrompts = 4'096;

// Every stream has one chain that grows at a time; they take turns, an event each.
struct SteppedChains {
  // step 0: each chain is stored whole, by one event
  SteppedChains(size_t chains, size_t step) : streams(OpenStreams(&index, kStreams)) {
    const size_t keep_every = std::max<size_t>(1, chains / kPrompts);
    for (size_t first = 0; first < chains; first += kStreams) {
      std::vector<BlockChain> growing;
      for (size_t i = 0; i < kStreams; ++i) growing.push_back(MakeChain(first + i, kChainBlocks));
      const auto start = std::chrono::steady_clock::now();
      for (size_t at = 0; at < kChainBlocks;) {
        const size_t end = step == 0 ? kChainBlocks : at < kPromptBlocks ? at + step : at + 1;
        for (size_t i = 0; i < kStreams; ++i) {
          StoreBlocks(&index, streams[i], growing[i], at, std::min(end, kChainBlocks));
        }
        at = end;
      }
      store_ns += std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
                      .count();
      for (size_t i = 0; i < kStreams; ++i) {
        if ((first + i) % keep_every == 0) prompts.push_back(growing[i].prefixes);
      }
    }
  }

  PrefixIndex index;
  std::vector<StreamId> streams;
  double store_ns = 0;
  std::vector<std::vector<PrefixHash>> prompts;
};

void StoredInSteps(benchmark::State& state) {
  const auto chains = static_cast<size_t>(state.range(0)) / kChainBlocks;
  const auto& stepped = Cached<SteppedChains>(chains, static_cast<size_t>(state.range(1)));
  AskInTurn(state, stepped.index, stepped.prompts);
  const PrefixIndexStats stats = stepped.index.Stats();
  const auto holdings = static_cast<double>(stats.holdings);
  state.counters["holdings"] = holdings;
  state.counters["store_ns_per_block"] = stepped.store_ns / holdings;
  state.counters["runs_per_chain"] = static_cast<double>(stats.runs) * kChainBlocks / holdings;
  state.counters["index_bytes_per_holding"] = static_cast<double>(stats.bytes) / holdings;
  state.counters["used_bytes_per_holding"] = static_cast<double>(stats.used_bytes) / holdings;
}
BENCHMARK(StoredInSteps)
    ->ArgNames({"holdings", "step"})
    ->Args({200'000, 0})
    ->Args({200'000, 8})
    ->Args({200'000, 1});
BENCHMARK(StoredInSteps)
    ->Name("StoredInSteps/full")
    ->ArgNames({"holdings", "step"})
    ->Args({4'000'000, 0})
    ->Args({4'000'000, 64})
    ->Args({4'000'000, 8})
    ->Args({4'000'000, 1});

}  // namespace
}  // namespace kvroute
