#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_SAMPLER_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_SAMPLER_H_

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tools/replay/speed_probe.h"
#include "tools/replay/tick_clock.h"

namespace kvroute {

// Times every operation of a benchmark for itself; percentiles are of all of them. Reading the
// clock costs about 16 ns an operation; the floor beside each benchmark (MeasureFloor) shows how
// much of a figure it is.
//
// Operations up to kShortTicks are counted by their ticks, longer ones kept one by one: exact, and
// 64 KB however many there are.
//
// Thread safety: one thread; merge those of several threads.
class Sampler {
 public:
  Sampler();

  // Times one call. Allocations of the calling thread inside it are counted.
  template <typename Operation>
  void Time(Operation operation) {
    const uint64_t allocations = Allocations();
    const uint64_t start = TickClock::Now();
    operation();
    const uint64_t end = TickClock::Now();
    allocations_ += Allocations() - allocations;
    Add(end - start);
    if (count_ % kProbeEvery == 0) probe_.Take();
  }
  void AddNanos(double ns);
  void Merge(const Sampler& other);

  uint64_t count() const { return count_; }
  double Quantile(double q);  // in (0, 1]; nanoseconds
  double MeanNs() const;
  double MeanNsUpTo(double q) const;  // of all but the slowest
  double MaxNs() const;
  const SpeedProbe& probe() const { return probe_; }
  static const TickClock& Clock();
  // Counters <prefix>mean_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns and allocs_per_op, and
  // probe_ns (see SpeedProbe). None without an operation.
  void Report(benchmark::State* state, const std::string& prefix = "");

 private:
  static constexpr uint64_t kShortTicks = 1 << 14;
  static constexpr uint64_t kProbeEvery = 1 << 10;  // operations: at most 1 % of the time

  static uint64_t Allocations();

  void Add(uint64_t ticks) {
    ++count_;
    total_ticks_ += ticks;
    if (ticks < kShortTicks) {
      ++short_[ticks];
    } else {
      AddLong(ticks);
    }
  }
  void AddLong(uint64_t ticks);

  std::vector<uint32_t> short_;  // by ticks: how many operations took that long
  std::vector<uint64_t> long_;   // ticks of each of the others
  bool long_sorted_ = true;
  SpeedProbe probe_;
  uint64_t count_ = 0;
  uint64_t total_ticks_ = 0;
  uint64_t allocations_ = 0;
};

// The same harness around nothing.
void MeasureFloor(benchmark::State& state);

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_SAMPLER_H_
