// SecondCore: what two threads do, each on a core of its own, against what each does there alone;
// and the same of threads that share nothing, which shows how much of it is the machine's.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/check.h"
#include "test/benchmark/support/concurrent_load.h"
#include "test/benchmark/support/sampler.h"
#include "test/benchmark/support/two_cores.h"

namespace kvroute {
namespace {

constexpr int kRounds = 5;
constexpr uint64_t kApart = ConcurrentLoad::kChains / 2;  // turns: not one behind the other

using Work = TwoCores::Work;

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
    TwoCores machine;
    std::map<std::string, std::vector<double>> speedups;
    std::vector<double> queries, writes;
    for (int round = 0; round < kRounds; ++round) {
      for (const auto& pair : pairs) {
        speedups[pair.name].push_back(machine.Speedup(pair.first(), pair.second(), kApart));
        if (&pair == &pairs[1]) {
          queries.push_back(machine.first_alone());
          writes.push_back(machine.second_alone());
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
