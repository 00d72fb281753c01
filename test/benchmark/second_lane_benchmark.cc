// SecondLane: what two lanes of ingest do, each on a core of its own, against what each does there
// alone; and the same of lanes that share nothing, which is what the machine allows.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "indexer/base/check.h"
#include "test/benchmark/support/receiver.h"
#include "test/benchmark/support/two_cores.h"
#include "test/benchmark/support/wire_events.h"

namespace kvroute {
namespace {

constexpr int kRounds = 5;
constexpr size_t kBlocks = 8;  // an event

// An index and the process-wide counters.
struct Target {
  PrefixIndex index;
  IngestCounters counters;
};

// A lane's streams and what their workers publish to it, one event after the other, round the
// workers.
class LaneOfEvents {
 public:
  LaneOfEvents(Target* target, uint64_t first_seed, size_t workers) {
    for (size_t i = 0; i < workers; ++i) {
      events_.emplace_back(first_seed + i, kBlocks, /*chains=*/32, /*held=*/16);
      receivers_.push_back(std::make_unique<Receiver>(&target->index, &target->counters));
    }
  }

  void Next() {
    KVROUTE_CHECK(receivers_[worker_]->Receive(events_[worker_].Payload(turn_)));
    if (++worker_ < events_.size()) return;
    worker_ = 0;
    ++turn_;
  }

 private:
  std::vector<WireEvents> events_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
  size_t worker_ = 0;
  size_t turn_ = 0;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void SecondLane(benchmark::State& state) {
  const auto half = static_cast<size_t>(state.range(0)) / 2;
  Target target;
  Target other;
  Own<LaneOfEvents> first{{&target, 1, half}};
  Own<LaneOfEvents> second{{&target, 1 + half, half}};
  Own<LaneOfEvents> elsewhere{{&other, 1 + half, half}};
  const auto events_of = [](Own<LaneOfEvents>* lane) {
    return [lane](uint64_t) { lane->value.Next(); };
  };
  for (auto _ : state) {
    TwoCores machine;
    std::vector<double> alone, speedups, floors;
    for (int round = 0; round < kRounds; ++round) {
      speedups.push_back(machine.Speedup(events_of(&first), events_of(&second)));
      alone.push_back(machine.first_alone());
      floors.push_back(machine.Speedup(events_of(&first), events_of(&elsewhere)));
    }
    machine.Report(&state);
    state.counters["two_lanes_speedup"] = Median(speedups);
    state.counters["two_indexes_speedup"] = Median(floors);
    state.counters["lane_events_per_s"] = Median(alone);
  }
}
BENCHMARK(SecondLane)
    ->ArgName("workers")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Arg(16)
    ->Arg(256);

}  // namespace
}  // namespace kvroute
