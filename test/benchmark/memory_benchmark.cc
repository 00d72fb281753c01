// MemoryUsage: bytes per item at rest and after churn. Each case fills an index in a child process
// that has made and dropped a small one before, so that what is measured is that case's index: not
// the harness, not code that is paged in, not what another case left behind.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "test/benchmark/support/chains.h"
#include "test/benchmark/support/process_memory.h"
#include "tools/replay/replay_report.h"
#include "tools/workload/random.h"

namespace kvroute {
namespace {

constexpr size_t kChainBlocks = 100;

double Difference(uint64_t after, uint64_t before) {
  return static_cast<double>(after) - static_cast<double>(before);
}

void Fill(PrefixIndex* index, StreamId stream, uint64_t distinct) {
  for (uint64_t i = 0; i * kChainBlocks < distinct; ++i) {
    const uint64_t length = std::min<uint64_t>(kChainBlocks, distinct - i * kChainBlocks);
    StoreChain(index, stream, MakeChain(i, length));
  }
}

// Log-uniform, 4 to 512.
uint32_t PromptLength(SeededRandom* random) {
  return static_cast<uint32_t>(4 * std::pow(128, random->Uniform()));
}

// In the child, before the first reading. Also what only the harness uses: the C library's pow()
// takes 400 kB.
void WarmUp() {
  const volatile uint64_t seed = 1;  // a known seed would have pow() called by the compiler
  SeededRandom random(seed);
  benchmark::DoNotOptimize(PromptLength(&random));
  {
    PrefixIndex index;
    const StreamId stream = OpenStreams(&index, 1)[0];
    Fill(&index, stream, 10'000);
    index.Clear(stream);
    index.WaitForScrub();
  }
  malloc_trim(0);
}

void MemoryUsage(benchmark::State& state) {
  const auto distinct = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    const ChildNumbers numbers = RunInChild([&](ChildNumbers* out) {
      WarmUp();
      const uint64_t rss = ProcessRssBytes();
      const uint64_t heap = HeapBytes();
      PrefixIndex index;
      const StreamId stream = OpenStreams(&index, 1)[0];
      const double empty = Difference(ProcessRssBytes(), rss);
      Fill(&index, stream, distinct);
      const PrefixIndexStats stats = index.Stats();
      *out = {Difference(ProcessRssBytes(), rss), Difference(HeapBytes(), heap),
              static_cast<double>(stats.bytes), static_cast<double>(stats.distinct_blocks), empty};
    });
    state.counters["rss_bytes"] = numbers[0];
    state.counters["heap_bytes"] = numbers[1];
    state.counters["index_bytes"] = numbers[2];
    state.counters["rss_bytes_per_block"] = numbers[0] / numbers[3];
    state.counters["heap_bytes_per_block"] = numbers[1] / numbers[3];
    state.counters["index_bytes_per_block"] = numbers[2] / numbers[3];
    state.counters["empty_rss_bytes"] = numbers[4];
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

// What engines' block pools do to an index: prompts of 4 to 512 blocks (log-uniform), stored in
// events of up to 64 blocks; room is made by evicting a random prompt, wholly or only its tail.
// Every stream does the same, so that every block has as many holders as there are streams.
class Pool {
 public:
  // kOwn: each stream has a hash scheme of its own for the blocks. kSteps: prompts grow many at a
  // time, three quarters of each in events of 8 blocks and the rest, decoded, block by block.
  enum class Form { kShared, kOwn, kSteps };
  Pool(uint64_t blocks, size_t streams, Form form)
      : blocks_(blocks), stream_count_(streams), form_(form) {
    // Touched before memory is read for the first time: the harness's own.
    held_.assign(blocks / 16, {});
    held_.clear();
  }

  void Fill(PrefixIndex* index) {
    streams_ = OpenStreams(index, stream_count_);
    StoreOneTurnOver(index);
  }
  // Replaces as many blocks as the pool has.
  void StoreOneTurnOver(PrefixIndex* index) {
    for (uint64_t stored = 0; stored < blocks_;) {
      if (growing_.size() == kGrowing) {
        StoreOneStep(index);
        continue;
      }
      const uint32_t length = PromptLength(&random_);
      const Prompt prompt{next_seed_++, length};
      while (held_blocks_ + length > blocks_) EvictSome(index);
      const BlockChain chain = MakeChain(prompt.seed, length);
      held_blocks_ += length;
      stored += length;
      if (form_ == Form::kSteps) {
        growing_.push_back({prompt, chain, 0});
        continue;
      }
      for (size_t s = 0; s < streams_.size(); ++s) Store(index, s, chain);
      held_.push_back(prompt);
    }
  }

 private:
  struct Prompt {
    uint64_t seed;
    uint32_t length;
  };

  struct Growing {
    Prompt prompt;
    BlockChain chain;
    size_t stored;
  };
  static constexpr size_t kGrowing = 256;

  void StoreOneStep(PrefixIndex* index) {
    turn_ = (turn_ + 1) % growing_.size();
    Growing& growing = growing_[turn_];
    const size_t length = growing.chain.size();
    const size_t step = growing.stored < length * 3 / 4 ? 8 : 1;
    const size_t end = std::min(length, growing.stored + step);
    for (const StreamId stream : streams_) {
      StoreBlocks(index, stream, growing.chain, growing.stored, end);
    }
    growing.stored = end;
    if (end < length) return;
    held_.push_back(growing.prompt);
    growing = std::move(growing_.back());
    growing_.pop_back();
  }

  BlockChain HashedBy(size_t stream, BlockChain chain) const {
    if (form_ != Form::kOwn) return chain;
    for (EngineHash& hash : chain.engine_hashes) {
      hash = EngineHash(hash.value() * (2 * stream + 1) + stream);
    }
    return chain;
  }
  void Store(PrefixIndex* index, size_t stream, const BlockChain& chain) const {
    const BlockChain hashed = HashedBy(stream, chain);
    for (size_t first = 0; first < hashed.size(); first += 64) {
      StoreBlocks(index, streams_[stream], hashed, first, std::min(hashed.size(), first + 64));
    }
  }
  void EvictSome(PrefixIndex* index) {
    Prompt& prompt = held_[random_.Below(held_.size())];
    const uint32_t kept = random_.Below(2) == 0 ? 0 : prompt.length / 2;
    const BlockChain chain = MakeChain(prompt.seed, prompt.length);
    for (size_t s = 0; s < streams_.size(); ++s) {
      const BlockChain hashed = HashedBy(s, chain);
      index->Remove(streams_[s], absl::MakeConstSpan(hashed.engine_hashes).subspan(kept),
                    Tier::kGpu);
    }
    held_blocks_ -= prompt.length - kept;
    prompt.length = kept;
    if (kept > 0) return;
    prompt = held_.back();
    held_.pop_back();
  }

  const uint64_t blocks_;
  const size_t stream_count_;
  const Form form_;
  SeededRandom random_{1};
  std::vector<StreamId> streams_;
  std::vector<Prompt> held_;
  std::vector<Growing> growing_;
  size_t turn_ = 0;  // whose step came last
  uint64_t held_blocks_ = 0;
  uint64_t next_seed_ = 1;
};

struct ChurnMemory {
  double rss_bytes = 0;
  double index_bytes = 0;  // by its own count: not rounded to huge pages
  double holdings = 0;
  double growth_ratio = 0;       // after ten turn-overs, against after the first fill
  double late_growth_ratio = 0;  // after ten, against after five
  double run_blocks = 0;         // on average
};

ChurnMemory MeasureChurn(uint64_t blocks, size_t holders, Pool::Form form) {
  const ChildNumbers numbers = RunInChild([&](ChildNumbers* out) {
    WarmUp();
    Pool pool(blocks, holders, form);
    const uint64_t before = ProcessRssBytes();
    PrefixIndex index;
    pool.Fill(&index);
    const double filled = Difference(ProcessRssBytes(), before);
    for (int cycle = 0; cycle < 5; ++cycle) pool.StoreOneTurnOver(&index);
    const double half_way = Difference(ProcessRssBytes(), before);
    for (int cycle = 5; cycle < 10; ++cycle) pool.StoreOneTurnOver(&index);
    const double last = Difference(ProcessRssBytes(), before);
    const PrefixIndexStats stats = index.Stats();
    *out = {last,
            static_cast<double>(stats.bytes),
            static_cast<double>(stats.holdings),
            last / filled,
            last / half_way,
            static_cast<double>(stats.distinct_blocks) / static_cast<double>(stats.runs)};
  });
  return {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]};
}

void ReportChurn(benchmark::State& state, Pool::Form form) {
  const auto blocks = static_cast<uint64_t>(state.range(0));
  const auto holders = static_cast<size_t>(state.range(1));
  for (auto _ : state) {
    const ChurnMemory memory = MeasureChurn(blocks, holders, form);
    state.counters["holdings"] = memory.holdings;
    state.counters["rss_bytes"] = memory.rss_bytes;
    state.counters["rss_bytes_per_holding"] = memory.rss_bytes / memory.holdings;
    state.counters["growth_ratio"] = memory.growth_ratio;
    state.counters["late_growth_ratio"] = memory.late_growth_ratio;
    state.counters["index_bytes_per_holding"] = memory.index_bytes / memory.holdings;
    state.counters["run_blocks"] = memory.run_blocks;
    if (holders > 1) {
      const ChurnMemory single = MeasureChurn(blocks, 1, form);
      state.counters["further_holder_rss_bytes"] =
          (memory.rss_bytes - single.rss_bytes) / (memory.holdings - single.holdings);
      state.counters["further_holder_index_bytes"] =
          (memory.index_bytes - single.index_bytes) / (memory.holdings - single.holdings);
    }
  }
}
void MemoryAfterChurn(benchmark::State& state) { ReportChurn(state, Pool::Form::kShared); }
void MemoryAfterChurnOwnHashes(benchmark::State& state) { ReportChurn(state, Pool::Form::kOwn); }
void MemoryAfterChurnInSteps(benchmark::State& state) { ReportChurn(state, Pool::Form::kSteps); }

void ChurnSizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"blocks", "holders"})->Iterations(1)->Unit(benchmark::kMillisecond);
}
BENCHMARK(MemoryAfterChurn)->Apply(ChurnSizes)->Args({100'000, 1})->Args({100'000, 8});
BENCHMARK(MemoryAfterChurn)
    ->Name("MemoryAfterChurn/full")
    ->Apply(ChurnSizes)
    ->Args({2'000'000, 1})
    ->Args({2'000'000, 8});
BENCHMARK(MemoryAfterChurnInSteps)->Apply(ChurnSizes)->Args({100'000, 1});
BENCHMARK(MemoryAfterChurnInSteps)
    ->Name("MemoryAfterChurnInSteps/full")
    ->Apply(ChurnSizes)
    ->Args({2'000'000, 1});
BENCHMARK(MemoryAfterChurnOwnHashes)
    ->Name("MemoryAfterChurnOwnHashes/full")
    ->Apply(ChurnSizes)
    ->Args({100'000, 4})
    ->Args({500'000, 4});

// The same harness around nothing: how far its own memory moves the process's between the two
// readings.
void MemoryFloor(benchmark::State& state) {
  for (auto _ : state) {
    const ChildNumbers numbers = RunInChild([&](ChildNumbers* out) {
      WarmUp();
      const uint64_t rss = ProcessRssBytes();
      const uint64_t heap = HeapBytes();
      for (uint64_t i = 0; i < 10'000; ++i) benchmark::DoNotOptimize(MakeChain(i, kChainBlocks));
      *out = {Difference(ProcessRssBytes(), rss), Difference(HeapBytes(), heap)};
    });
    state.counters["rss_bytes"] = numbers[0];
    state.counters["heap_bytes"] = numbers[1];
  }
}
BENCHMARK(MemoryFloor)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvroute
