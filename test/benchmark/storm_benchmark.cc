// Storms: a worker with many holdings cleared, or many workers restarting at once, while queries
// run.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/named_thread.h"
#include "test/benchmark/support/chains.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

constexpr size_t kBlocks = 100;

// Queries over all chains on a thread of its own until it is told to stop; their latencies, and
// those begun during the storm apart. On a machine with fewer idle cores than the storm has threads
// the scheduler takes the core away for milliseconds: a query that this happened to is counted, and
// the slowest one it did not happen to is kept apart from the slowest one.
class Questioner {
 public:
  Questioner(const PrefixIndex& index, const std::vector<BlockChain>& chains)
      : thread_("questioner", [this, &index, &chains] {
          MatchResult result;
          for (uint64_t turn = 0; !stop_.load(std::memory_order_relaxed); ++turn) {
            const BlockChain& chain = chains[turn * 7 % chains.size()];
            if (storm_.load(std::memory_order_relaxed)) {
              AskDuringStorm(index, chain, &result);
            } else {
              before_.Time([&] { index.Match(chain.prefixes, &result); });
            }
            asked_.fetch_add(1, std::memory_order_relaxed);
          }
        }) {}

  // Without taking a core from what is measured.
  void WaitForQueries(uint64_t count) const {
    const uint64_t until = asked_.load() + count;
    while (asked_.load(std::memory_order_relaxed) < until) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
  void BeginStorm() { storm_.store(true); }
  void Stop() {
    stop_.store(true);
    thread_.Join();
  }
  void Report(benchmark::State* state) {
    before_.Report(state, "idle_");
    during_.Report(state, "query_");
    state->counters["query_max_running_ns"] = max_running_ns_;
    state->counters["preempted_queries"] = static_cast<double>(preempted_);
  }

 private:
  static long Preemptions() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
  }

  void AskDuringStorm(const PrefixIndex& index, const BlockChain& chain, MatchResult* result) {
    const long preemptions = Preemptions();
    const auto start = std::chrono::steady_clock::now();
    during_.Time([&] { index.Match(chain.prefixes, result); });
    const auto took = std::chrono::steady_clock::now() - start;
    if (Preemptions() != preemptions) {
      ++preempted_;
    } else {
      max_running_ns_ = std::max(max_running_ns_, static_cast<double>(took.count()));
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<bool> storm_{false};
  std::atomic<uint64_t> asked_{0};
  Sampler before_;
  Sampler during_;
  double max_running_ns_ = 0;
  uint64_t preempted_ = 0;
  NamedThread thread_;
};

std::vector<BlockChain> MakeChains(size_t blocks) {
  std::vector<BlockChain> chains;
  for (size_t i = 0; i * kBlocks < blocks; ++i) chains.push_back(MakeChain(i, kBlocks));
  return chains;
}

double Millis(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// Queries during the storm and until the index has freed what went.
void UnderQueries(benchmark::State& state, PrefixIndex* index,
                  const std::vector<BlockChain>& chains, const std::function<void()>& storm) {
  Questioner questioner(*index, chains);
  questioner.WaitForQueries(10'000);
  questioner.BeginStorm();
  const auto start = std::chrono::steady_clock::now();
  storm();
  state.counters["storm_ms"] = Millis(std::chrono::steady_clock::now() - start);
  questioner.WaitForQueries(20'000);
  index->WaitForScrub();
  state.counters["freed_ms"] = Millis(std::chrono::steady_clock::now() - start);
  questioner.Stop();
  questioner.Report(&state);
}

void ClearStorm(benchmark::State& state) {
  const auto holdings = static_cast<size_t>(state.range(0));
  const std::vector<BlockChain> chains = MakeChains(holdings);
  for (auto _ : state) {
    PrefixIndex index;
    const std::vector<StreamId> streams = OpenStreams(&index, 2);
    for (const BlockChain& chain : chains) StoreChain(&index, streams[0], chain);
    UnderQueries(state, &index, chains, [&] {
      const auto start = std::chrono::steady_clock::now();
      index.Clear(streams[0]);
      state.counters["clear_ms"] = Millis(std::chrono::steady_clock::now() - start);
      MatchResult result;
      for (const BlockChain& chain : chains) {
        index.Match(chain.prefixes, &result);
        KVROUTE_CHECK(result.matches.empty());  // gone for readers at once
      }
    });
  }
}
BENCHMARK(ClearStorm)
    ->ArgName("holdings")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Arg(100'000);
BENCHMARK(ClearStorm)
    ->Name("ClearStorm/full")
    ->ArgName("holdings")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Arg(1'000'000);

// Every worker loses what it holds and comes back as a new stream that stores it again.
void RestartStorm(benchmark::State& state) {
  const auto workers = static_cast<size_t>(state.range(0));
  const std::vector<BlockChain> chains = MakeChains(workers * static_cast<size_t>(state.range(1)));
  for (auto _ : state) {
    PrefixIndex index;
    std::vector<StreamId> streams = OpenStreams(&index, workers);
    for (size_t i = 0; i < chains.size(); ++i) StoreChain(&index, streams[i % workers], chains[i]);
    UnderQueries(state, &index, chains, [&] {
      for (StreamId& stream : streams) {
        index.Close(stream);
        stream = OpenStreams(&index, 1)[0];
      }
      for (size_t i = 0; i < chains.size(); ++i)
        StoreChain(&index, streams[i % workers], chains[i]);
    });
  }
}
BENCHMARK(RestartStorm)
    ->ArgNames({"workers", "holdings_each"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({1'000, 100});
BENCHMARK(RestartStorm)
    ->Name("RestartStorm/full")
    ->ArgNames({"workers", "holdings_each"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({1'000, 2'000});

void StormFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(StormFloor);

}  // namespace
}  // namespace kvroute
