// Questions to the index, hashes given: matches by prompt length, holders and number of prompts;
// misses; LargePrefix, from tokens. The flat yardstick beside each.
#include <benchmark/benchmark.h>

#include <vector>

#include "test/benchmark/flat_index.h"
#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/held_chains.h"
#include "tools/workload/random.h"

namespace kvroute {
namespace {

template <typename Index>
void AskHeld(benchmark::State& state) {
  const auto& held = Cached<HeldChains<Index>>(static_cast<size_t>(state.range(2)),
                                               static_cast<size_t>(state.range(0)),
                                               static_cast<size_t>(state.range(1)));
  AskInTurn(state, held.index, PromptsOf(held.chains));
}

void HeldCases(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"blocks", "holders", "chains"})
      ->Args({512, 64, 1})
      ->Args({512, 64, 64})
      ->Args({78, 64, 64})
      ->Args({512, 1, 1})
      ->Args({78, 1, 1})
      ->Args({78, 1, 1024});
}

void Match(benchmark::State& state) { AskHeld<PrefixIndex>(state); }
BENCHMARK(Match)->Apply(HeldCases);
void MatchFlat(benchmark::State& state) { AskHeld<FlatIndex>(state); }
BENCHMARK(MatchFlat)->Apply(HeldCases);

// Prompts nobody holds, asked of an index that holds others.
template <typename Index>
void AskStrangers(benchmark::State& state) {
  const auto& held = Cached<HeldChains<Index>>(size_t{64}, size_t{128}, size_t{8});
  std::vector<BlockChain> strangers;
  for (int64_t i = 0; i < state.range(0); ++i) {
    strangers.push_back(MakeChain(1'000'000 + static_cast<uint64_t>(i), 128));
  }
  AskInTurn(state, held.index, PromptsOf(strangers));
}
void MatchMiss(benchmark::State& state) { AskStrangers<PrefixIndex>(state); }
BENCHMARK(MatchMiss)->ArgName("prompts")->Arg(1)->Arg(1024);
void MatchMissFlat(benchmark::State& state) { AskStrangers<FlatIndex>(state); }
BENCHMARK(MatchMissFlat)->ArgName("prompts")->Arg(1)->Arg(1024);

// The same prompts by their local hashes, as engines' events have them: the index chains them.
void MatchLocals(benchmark::State& state) {
  const auto& held = Cached<HeldChains<PrefixIndex>>(static_cast<size_t>(state.range(2)),
                                                     static_cast<size_t>(state.range(0)),
                                                     static_cast<size_t>(state.range(1)));
  AskLocalsInTurn(state, held.index, held.chains);
}
BENCHMARK(MatchLocals)->Apply(HeldCases);

void MatchFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(MatchFloor);

// One prompt of so many tokens, held whole by eight streams.
struct LongPrompt {
  static constexpr uint32_t kBlockTokens = 16;

  explicit LongPrompt(size_t token_count) : seed(MakeNamespaceSeed("", "")) {
    SeededRandom random(3);
    for (size_t i = 0; i < token_count; ++i) {
      tokens.push_back(static_cast<TokenId>(random.Below(128'000)));
    }
    BlockChain chain;
    for (size_t i = 0; i + kBlockTokens <= token_count; i += kBlockTokens) {
      const auto block = absl::MakeConstSpan(tokens).subspan(i, kBlockTokens);
      chain.locals.push_back(HashBlock(block, seed));
    }
    ChainLocals(chain.locals, &chain.prefixes);
    for (const PrefixHash prefix : chain.prefixes) chain.engine_hashes.emplace_back(prefix.value());
    const std::vector<StreamId> streams = OpenStreams(&index, 8);
    const uint64_t empty = index.Stats().bytes;
    for (const StreamId stream : streams) StoreChain(&index, stream, chain);
    grown_bytes = index.Stats().bytes - empty;
  }

  NamespaceSeed seed;
  std::vector<TokenId> tokens;
  PrefixIndex index;
  uint64_t grown_bytes = 0;
};

// Tokens to matches, and the hashing alone. `prompt_bytes` is what a query works on: its tokens,
// its hashes and the answer; `index_grown_bytes` what storing the prompt took.
void LargePrefix(benchmark::State& state) {
  const auto& prompt = Cached<LongPrompt>(static_cast<size_t>(state.range(0)));
  Sampler sampler;
  Sampler hashing;
  std::vector<LocalHash> locals;
  std::vector<PrefixHash> hashes;
  MatchResult result;
  const auto hash = [&] {
    hashes.clear();
    HashPrompt(prompt.tokens, LongPrompt::kBlockTokens, prompt.seed, &hashes);
  };
  hash();
  prompt.index.Match(hashes, &result);
  for (auto _ : state) {
    sampler.Time([&] {
      PromptChain chain(PromptBlocks(prompt.tokens, LongPrompt::kBlockTokens, prompt.seed),
                        &locals);
      prompt.index.Match(&chain, &result);
    });
    hashing.Time(hash);
    benchmark::DoNotOptimize(result.matches.data());
  }
  sampler.Report(&state);
  hashing.Report(&state, "hash_");
  state.counters["prompt_bytes"] = static_cast<double>(
      prompt.tokens.size() * sizeof(TokenId) + locals.capacity() * sizeof(LocalHash) +
      result.matches.capacity() * sizeof(StreamMatch));
  state.counters["index_grown_bytes"] = static_cast<double>(prompt.grown_bytes);
}
BENCHMARK(LargePrefix)
    ->ArgName("tokens")
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(8'192)
    ->Arg(20'000)
    ->Arg(50'000);

}  // namespace
}  // namespace kvroute
