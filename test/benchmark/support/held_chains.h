#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_HELD_CHAINS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_HELD_CHAINS_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <vector>

#include "test/benchmark/support/chains.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {

// An index in which `chain_count` different prompts of `blocks` blocks are each held whole by the
// same `holders` streams.
template <typename Index>
struct HeldChains {
  HeldChains(size_t chain_count, size_t blocks, size_t holders) {
    const std::vector<StreamId> streams = OpenStreams(&index, holders);
    for (size_t i = 0; i < chain_count; ++i) chains.push_back(MakeChain(i + 1, blocks));
    for (const StreamId stream : streams) {
      for (const BlockChain& chain : chains) StoreChain(&index, stream, chain);
    }
  }
  Index index;
  std::vector<BlockChain> chains;
};

// Asks for the prompts in turn, hashes given, and reports; `matches` is of the last answer.
template <typename Index>
void AskInTurn(benchmark::State& state, const Index& index,
               const std::vector<std::vector<PrefixHash>>& prompts) {
  MatchResult result;
  for (const std::vector<PrefixHash>& prompt : prompts) index.Match(prompt, &result);
  Sampler sampler;
  size_t next = 0;
  for (auto _ : state) {
    const std::vector<PrefixHash>& prompt = prompts[next];
    next = next + 1 == prompts.size() ? 0 : next + 1;
    sampler.Time([&] { index.Match(prompt, &result); });
    benchmark::DoNotOptimize(result.matches.data());
  }
  sampler.Report(&state);
  state.counters["matches"] = static_cast<double>(result.matches.size());
}

inline std::vector<std::vector<PrefixHash>> PromptsOf(const std::vector<BlockChain>& chains) {
  std::vector<std::vector<PrefixHash>> prompts;
  for (const BlockChain& chain : chains) prompts.push_back(chain.prefixes);
  return prompts;
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_HELD_CHAINS_H_
