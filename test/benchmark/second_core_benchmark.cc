// SecondCore: what two threads do, each on a core of its own, against what each does there alone;
// and the same of threads that share nothing, which shows how much of it is the machine's.
#include <benchmark/benchmark.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <latch>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/named_thread.h"
#include "test/benchmark/support/concurrent_load.h"
#include "test/benchmark/support/processor_time.h"
#include "test/benchmark/support/sampler.h"

namespace kvroute {
namespace {

constexpr auto kStretch = std::chrono::milliseconds(25);
constexpr auto kWarmUp = std::chrono::milliseconds(8);  // a core's caches after other work
constexpr int kRounds = 5;

using Work = std::function<void(uint64_t turn)>;

// The first and the last core the process may use: the same one where it has only one.
std::vector<int> TwoCores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  KVROUTE_CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  return {cores.front(), cores.back()};
}

void StayOn(int core) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(core, &only);
  KVROUTE_CHECK(pthread_setaffinity_np(pthread_self(), sizeof(only), &only) == 0);
}

// On lines of its own: what two threads write must not lie side by side.
template <typename T>
struct alignas(256) Own {
  T value;
};

// Runs work for stretches of wall time, and adds up what the machine gave meanwhile.
class Machine {
 public:
  // Turns a second of each; the i-th on the i-th of the two cores, none where it is empty.
  std::vector<double> Run(std::initializer_list<Work> works) {
    std::vector<double> rates(works.size());
    std::vector<Own<SpeedProbe>> probes(works.size());
    const auto busy =
        std::count_if(works.begin(), works.end(), [](const Work& work) { return !!work; });
    std::atomic<bool> stop{false};
    std::latch begun(busy + 1);
    {
      std::vector<NamedThread> threads;
      for (size_t i = 0; i < works.size(); ++i) {
        const Work& work = works.begin()[i];
        if (!work) continue;
        threads.emplace_back("core-" + std::to_string(i), [&, i] {
          StayOn(cores_[i]);
          uint64_t turn = i * ConcurrentLoad::kChains / 2;  // not one behind the other
          const auto warm = std::chrono::steady_clock::now() + kWarmUp;
          while (std::chrono::steady_clock::now() < warm) work(turn++);
          const uint64_t first = turn;
          begun.arrive_and_wait();
          const auto start = std::chrono::steady_clock::now();
          for (; !stop.load(std::memory_order_relaxed); ++turn) {
            work(turn);
            if (turn % 1024 == 0) probes[i].value.Take();
          }
          const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
          rates[i] = static_cast<double>(turn - first) / elapsed.count();
        });
      }
      begun.arrive_and_wait();
      const double before = ProcessorSeconds();
      const auto start = std::chrono::steady_clock::now();
      std::this_thread::sleep_for(kStretch);  // the length of the measurement, not a condition
      stop.store(true);
      threads.clear();
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      processor_s_ += ProcessorSeconds() - before;
      cores_s_ += elapsed.count() * static_cast<double>(busy);
    }
    for (const Own<SpeedProbe>& probe : probes) probe_.Add(probe.value);
    return rates;
  }

  void Report(benchmark::State* state) const {
    state->counters["cpu_share"] = processor_s_ / cores_s_;
    state->counters["probe_ns"] = probe_.MeanNs(Sampler::Clock());
  }

 private:
  const std::vector<int> cores_ = TwoCores();
  double processor_s_ = 0;
  double cores_s_ = 0;
  SpeedProbe probe_;
};

// Memory that is only read, on huge pages like an index.
class ReadOnlyMemory {
 public:
  explicit ReadOnlyMemory(uint64_t bytes) : words_(bytes / sizeof(uint64_t)) {
    constexpr size_t kHugePage = size_t{2} << 20;
    const size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
    memory_.reset(static_cast<uint64_t*>(std::aligned_alloc(kHugePage, rounded)));
    KVROUTE_CHECK(memory_ != nullptr);
    madvise(memory_.get(), rounded, MADV_HUGEPAGE);
    for (uint64_t i = 0; i < words_; ++i) memory_[i] = i * kMultiplier;
  }

  // As many lines as a query, one after the other.
  uint64_t Read(uint64_t turn) const {
    uint64_t sum = turn * kMultiplier;
    for (int i = 0; i < kReads; ++i) sum = (sum + memory_[sum % words_]) * kMultiplier;
    return sum;
  }

 private:
  static constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;
  static constexpr int kReads = 8;
  struct Free {
    void operator()(uint64_t* memory) const { std::free(memory); }
  };

  const uint64_t words_;
  std::unique_ptr<uint64_t[], Free> memory_;
};

Work Reads(const ReadOnlyMemory* memory) {
  return [memory](uint64_t turn) { benchmark::DoNotOptimize(memory->Read(turn)); };
}
Work Queries(const ConcurrentLoad* load) {
  return [load, result = std::make_shared<Own<MatchResult>>()](uint64_t turn) {
    load->Query(turn, &result->value);
  };
}
// Of every second chain only.
Work QueriesOfHalf(const ConcurrentLoad* load, uint64_t half) {
  return [query = Queries(load), half](uint64_t turn) { query(turn * 2 + half); };
}
Work Writes(ConcurrentLoad* load) {
  return [load](uint64_t turn) { load->Write(0, turn); };
}
Work Arithmetic() {
  return [probe = std::make_shared<Own<SpeedProbe>>()](uint64_t) { probe->value.Take(); };
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// In each of several rounds every work alone and then both together, so that a core's speed that
// changes meets all of them; medians of the rounds. 2 is perfect.
void SecondCore(benchmark::State& state) {
  ConcurrentLoad load(1);
  ConcurrentLoad other(1);
  constexpr uint64_t kTouched = uint64_t{1} << 20;  // by all queries: eight lines a chain
  const ReadOnlyMemory memory(kTouched);
  const ReadOnlyMemory other_memory(kTouched);
  const struct {
    const char* name;
    std::function<Work()> first, second;
  } pairs[] = {
      {"two_readers_speedup", [&] { return Queries(&load); }, [&] { return Queries(&load); }},
      {"reader_and_writer_speedup", [&] { return Queries(&load); }, [&] { return Writes(&load); }},
      {"two_halves_speedup", [&] { return QueriesOfHalf(&load, 0); },
       [&] { return QueriesOfHalf(&load, 1); }},
      {"two_indexes_speedup", [&] { return Queries(&load); }, [&] { return Queries(&other); }},
      {"two_indexes_writer_speedup", [&] { return Queries(&load); },
       [&] { return Writes(&other); }},
      {"arithmetic_speedup", Arithmetic, Arithmetic},
      {"one_memory_speedup", [&] { return Reads(&memory); }, [&] { return Reads(&memory); }},
      {"two_memories_speedup", [&] { return Reads(&memory); },
       [&] { return Reads(&other_memory); }},
  };
  for (auto _ : state) {
    Machine machine;
    std::map<std::string, std::vector<double>> speedups;
    std::vector<double> queries, writes;
    for (int round = 0; round < kRounds; ++round) {
      for (const auto& pair : pairs) {
        const double first = machine.Run({pair.first(), nullptr})[0];
        const std::vector<double> both = machine.Run({pair.first(), pair.second()});
        const double second = machine.Run({nullptr, pair.second()})[1];
        speedups[pair.name].push_back(both[0] / first + both[1] / second);
        if (&pair == &pairs[1]) {
          queries.push_back(first);
          writes.push_back(second);
        }
      }
    }
    machine.Report(&state);
    for (const auto& [name, values] : speedups) state.counters[name] = Median(values);
    state.counters["queries_per_s"] = Median(queries);
    state.counters["writes_per_s"] = Median(writes);
  }
}
BENCHMARK(SecondCore)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvroute
