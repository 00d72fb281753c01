// Copies in slower tiers than gpu: MatchOffloaded, what they cost a query; OffloadShared, what it
// costs to say where they are of a prompt that many hold.
#include <benchmark/benchmark.h>

#include <vector>

#include "test/benchmark/support/cached.h"
#include "test/benchmark/support/held_chains.h"

namespace kvroute {
namespace {

// The same prompts twice: all in gpu, and 40 % of the holdings in slower tiers.
struct HeldTwice {
  HeldTwice(size_t chains, size_t blocks, size_t holders, size_t runs)
      : plain(chains, blocks, holders, false, runs),
        offloaded(chains, blocks, holders, true, runs) {}
  HeldChains<PrefixIndex> plain;
  HeldChains<PrefixIndex> offloaded;
};

void MatchOffloaded(benchmark::State& state) {
  const auto& held =
      Cached<HeldTwice>(static_cast<size_t>(state.range(2)), static_cast<size_t>(state.range(0)),
                        static_cast<size_t>(state.range(1)), static_cast<size_t>(state.range(3)));
  AskBothInTurn(state, held.plain.index, held.offloaded.index, PromptsOf(held.plain.chains));
}
BENCHMARK(MatchOffloaded)
    ->ArgNames({"blocks", "holders", "chains", "runs"})
    ->Args({512, 64, 1, 1})
    ->Args({512, 64, 64, 1})
    ->Args({78, 64, 64, 1})
    ->Args({78, 64, 64, 4})
    ->Args({78, 8, 64, 1})
    ->Args({78, 8, 64, 4})
    ->Args({78, 1, 1, 1})
    ->Args({78, 1, 1024, 1})
    ->Args({78, 1, 1024, 4})
    ->Args({128, 1024, 1, 1});

// A prompt that so many hold, whose tail each of them offloads to cpu and evicts from gpu, and
// loads again. `ns_per_block` is the same however many hold it.
void OffloadShared(benchmark::State& state) {
  constexpr size_t kBlocks = 128;
  PrefixIndex index;
  const std::vector<StreamId> streams = OpenStreams(&index, static_cast<size_t>(state.range(0)));
  const BlockChain chain = MakeChain(1, kBlocks);
  for (const StreamId stream : streams) StoreChain(&index, stream, chain);
  const auto tail = absl::MakeConstSpan(chain.engine_hashes).subspan(kBlocks / 2);
  Sampler sampler;
  for (auto _ : state) {
    for (const StreamId stream : streams) {
      sampler.Time([&] {
        index.AddCopies(stream, tail, Tier::kCpu);
        index.Remove(stream, tail, Tier::kGpu);
      });
    }
    for (const StreamId stream : streams) {
      sampler.Time([&] {
        index.AddCopies(stream, tail, Tier::kGpu);
        index.Remove(stream, tail, Tier::kCpu);
      });
    }
  }
  sampler.Report(&state);
  state.counters["ns_per_block"] = sampler.MeanNs() / static_cast<double>(2 * tail.size());
}
BENCHMARK(OffloadShared)->ArgName("holders")->Arg(1)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace kvroute
