// BesideTwins: what an engine with a broken hash scheme, which has one hash for several blocks,
// costs the streams of others.
#include <benchmark/benchmark.h>

#include <vector>

#include "test/benchmark/support/chains.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

constexpr size_t kBlocks = 64;  // an event
constexpr size_t kChains = 512;

// Two streams with one sound scheme, which store and remove prompts in turn: the first of them the
// new blocks, the second what is there already.
class SoundStreams {
 public:
  explicit SoundStreams(PrefixIndex* index) : index_(index), streams_(OpenStreams(index, 2)) {
    for (size_t i = 0; i < kChains; ++i) chains_.push_back(MakeChain(i + 1, kBlocks));
  }
  void Next() {
    const BlockChain& chain = chains_[turn_++ % kChains];
    for (const StreamId stream : streams_) StoreChain(index_, stream, chain);
    for (const StreamId stream : streams_) {
      index_->Remove(stream, chain.engine_hashes, Tier::kGpu);
    }
  }

 private:
  PrefixIndex* const index_;
  const std::vector<StreamId> streams_;
  std::vector<BlockChain> chains_;
  size_t turn_ = 0;
};

// An engine each of whose prompts has the engine hashes of the one before.
class BrokenStream {
 public:
  explicit BrokenStream(PrefixIndex* index)
      : index_(index), stream_(OpenStreams(index, 1).front()) {}
  void Next() {
    BlockChain chain = MakeChain(1'000'000 + turn_++, kBlocks);
    const BlockChain hashes = MakeChain(999'999, kBlocks);
    chain.engine_hashes = hashes.engine_hashes;
    sampler_.Time([&] { StoreChain(index_, stream_, chain); });
  }
  const Sampler& sampler() const { return sampler_; }

 private:
  PrefixIndex* const index_;
  const StreamId stream_;
  Sampler sampler_;
  uint64_t turn_ = 0;
};

void BesideTwins(benchmark::State& state) {
  PrefixIndex clean;
  PrefixIndex shared;
  SoundStreams alone(&clean);
  SoundStreams beside(&shared);
  BrokenStream broken(&shared);
  for (size_t i = 0; i < kChains; ++i) {
    alone.Next();
    broken.Next();
    beside.Next();
  }
  Sampler alone_sampler;
  Sampler beside_sampler;
  for (auto _ : state) {
    alone_sampler.Time([&] { alone.Next(); });
    broken.Next();
    beside_sampler.Time([&] { beside.Next(); });
  }
  beside_sampler.Report(&state);
  alone_sampler.Report(&state, "alone_");
  state.counters["beside_ratio"] = beside_sampler.Quantile(0.5) / alone_sampler.Quantile(0.5);
  state.counters["broken_ns_per_block"] = broken.sampler().MeanNs() / static_cast<double>(kBlocks);
}
BENCHMARK(BesideTwins);

// One event whose blocks all have one engine hash. `ns_per_block` does not grow with its length.
void RepeatedHash(benchmark::State& state) {
  const auto blocks = static_cast<size_t>(state.range(0));
  PrefixIndex index;
  const StreamId stream = OpenStreams(&index, 1).front();
  BlockChain chain = MakeChain(1, blocks);
  for (EngineHash& hash : chain.engine_hashes) hash = EngineHash(7);
  Sampler sampler;
  for (auto _ : state) {
    sampler.Time([&] { StoreChain(&index, stream, chain); });
    index.Clear(stream);
    index.WaitForScrub();
  }
  sampler.Report(&state);
  state.counters["ns_per_block"] = sampler.MeanNs() / static_cast<double>(blocks);
}
BENCHMARK(RepeatedHash)->ArgName("blocks")->Arg(64)->Arg(512)->Arg(16'384);

}  // namespace
}  // namespace kvroute
