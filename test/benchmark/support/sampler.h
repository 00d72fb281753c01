#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_SAMPLER_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_SAMPLER_H_

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tools/replay/tick_clock.h"

namespace kvroute {

// Times every operation of a benchmark for itself, so that its percentiles are of all samples and
// not of means. Reading the clock costs about 20 ns an operation; the floor beside each benchmark
// (MeasureFloor) shows how much of a figure it is.
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
  }
  void AddNanos(double ns);
  void Merge(const Sampler& other);

  uint64_t count() const { return count_; }
  double Quantile(double q);  // in (0, 1]; nanoseconds
  double MeanNs() const;
  // Counters <prefix>mean_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns and allocs_per_op.
  void Report(benchmark::State* state, const std::string& prefix = "");

 private:
  // Beyond it every n-th sample is kept, n doubling: a bound for benchmarks of a few nanoseconds.
  static constexpr size_t kMaxSamples = size_t{1} << 22;

  static uint64_t Allocations();
  void Add(uint64_t ticks);

  static const TickClock& Clock();

  std::vector<float> samples_ns_;
  uint64_t keep_every_ = 1;
  uint64_t count_ = 0;
  uint64_t total_ticks_ = 0;
  uint64_t allocations_ = 0;
  float max_ns_ = 0;
  bool sorted_ = true;
};

// The same harness around nothing.
void MeasureFloor(benchmark::State& state);

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_SAMPLER_H_
