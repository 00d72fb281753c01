#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_HELD_CHAINS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_HELD_CHAINS_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "test/benchmark/support/chains.h"
#include "test/benchmark/support/sampler.h"
#include "tools/workload/random.h"

namespace kvroute {

// An index in which `chain_count` different prompts of `blocks` blocks are each held whole by the
// same `holders` streams; 40 % of it in slower tiers if it is `offloaded`. With several `runs` each
// prompt came in so many parts, each stored by all holders before the next, as conversations grow.
template <typename Index>
struct HeldChains {
  HeldChains(size_t chain_count, size_t blocks, size_t holders, bool offloaded = false,
             size_t runs = 1) {
    const std::vector<StreamId> streams = OpenStreams(&index, holders);
    SeededRandom random(1);
    for (size_t i = 0; i < chain_count; ++i) chains.push_back(MakeChain(i + 1, blocks));
    for (size_t run = 0; run < runs; ++run) {
      for (const StreamId stream : streams) {
        for (const BlockChain& chain : chains) {
          StoreBlocks(&index, stream, chain, blocks * run / runs, blocks * (run + 1) / runs);
        }
      }
    }
    if constexpr (requires { index.AddCopies(StreamId(), {}, Tier::kCpu); }) {
      if (!offloaded) return;
      for (const StreamId stream : streams) {
        for (const BlockChain& chain : chains) {
          OffloadTail(&index, stream, chain, random.Uniform());
        }
      }
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

// The same, local hashes given.
template <typename Index>
void AskLocalsInTurn(benchmark::State& state, const Index& index,
                     const std::vector<BlockChain>& chains) {
  MatchResult result;
  const auto ask = [&](const BlockChain& chain) {
    PromptChain prompt{absl::MakeConstSpan(chain.locals)};
    index.Match(&prompt, &result);
  };
  for (const BlockChain& chain : chains) ask(chain);
  Sampler sampler;
  size_t next = 0;
  for (auto _ : state) {
    const BlockChain& chain = chains[next];
    next = next + 1 == chains.size() ? 0 : next + 1;
    sampler.Time([&] { ask(chain); });
    benchmark::DoNotOptimize(result.matches.data());
  }
  sampler.Report(&state);
  state.counters["matches"] = static_cast<double>(result.matches.size());
}

// The same of two indexes that hold the same but for the tiers, in turns, so that what the machine
// does meets both; which is asked first changes, for the second finds the prompt in the caches.
// `tiers_ratio`: the median query of the offloaded one, of the plain one's; `tiers_mean_ratio` of
// the means of all but the slowest thousandth, which are the scheduler's.
template <typename Index>
void AskBothInTurn(benchmark::State& state, const Index& plain, const Index& offloaded,
                   const std::vector<std::vector<PrefixHash>>& prompts) {
  MatchResult result;
  for (const std::vector<PrefixHash>& prompt : prompts) {
    plain.Match(prompt, &result);
    offloaded.Match(prompt, &result);
  }
  struct Side {
    const Index& index;
    Sampler sampler;
  };
  Side without{plain, {}};
  Side with{offloaded, {}};
  Side* first = &without;
  Side* second = &with;
  size_t next = 0;
  for (auto _ : state) {
    const std::vector<PrefixHash>& prompt = prompts[next];
    for (Side* side : {first, second}) {
      side->sampler.Time([&] { side->index.Match(prompt, &result); });
      benchmark::DoNotOptimize(result.matches.data());
    }
    std::swap(first, second);
    if (++next == prompts.size()) {
      next = 0;
      if (prompts.size() % 2 == 0) std::swap(first, second);  // each prompt in both orders
    }
  }
  with.sampler.Report(&state);
  without.sampler.Report(&state, "plain_");
  state.counters["tiers_ratio"] = with.sampler.Quantile(0.5) / without.sampler.Quantile(0.5);
  state.counters["tiers_mean_ratio"] =
      with.sampler.MeanNsUpTo(0.999) / without.sampler.MeanNsUpTo(0.999);
  state.counters["matches"] = static_cast<double>(result.matches.size());
}

inline std::vector<std::vector<PrefixHash>> PromptsOf(const std::vector<BlockChain>& chains) {
  std::vector<std::vector<PrefixHash>> prompts;
  for (const BlockChain& chain : chains) prompts.push_back(chain.prefixes);
  return prompts;
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_HELD_CHAINS_H_
