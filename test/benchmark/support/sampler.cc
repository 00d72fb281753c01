#include "test/benchmark/support/sampler.h"

#include <algorithm>
#include <cmath>

#include "test/benchmark/support/allocation_count.h"

namespace kvroute {

Sampler::Sampler() { samples_ns_.reserve(1 << 16); }

const TickClock& Sampler::Clock() {
  static const TickClock clock;
  return clock;
}

uint64_t Sampler::Allocations() { return ThreadAllocations(); }

void Sampler::Add(uint64_t ticks) {
  total_ticks_ += ticks;
  const auto ns = static_cast<float>(Clock().Nanos(ticks));
  max_ns_ = std::max(max_ns_, ns);
  if (count_++ % keep_every_ != 0) return;
  if (samples_ns_.size() == kMaxSamples) {
    for (size_t i = 0; i < kMaxSamples / 2; ++i) samples_ns_[i] = samples_ns_[2 * i];
    samples_ns_.resize(kMaxSamples / 2);
    keep_every_ *= 2;
  }
  samples_ns_.push_back(ns);
  sorted_ = false;
}

void Sampler::AddNanos(double ns) { Add(Clock().Ticks(ns)); }

void Sampler::Merge(const Sampler& other) {
  samples_ns_.insert(samples_ns_.end(), other.samples_ns_.begin(), other.samples_ns_.end());
  count_ += other.count_;
  total_ticks_ += other.total_ticks_;
  allocations_ += other.allocations_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sorted_ = false;
}

double Sampler::Quantile(double q) {
  if (samples_ns_.empty()) return 0;
  if (!sorted_) std::sort(samples_ns_.begin(), samples_ns_.end());
  sorted_ = true;
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(samples_ns_.size())));
  return static_cast<double>(samples_ns_[std::max<size_t>(rank, 1) - 1]);
}

double Sampler::MeanNs() const {
  return count_ == 0 ? 0 : Clock().Nanos(total_ticks_) / static_cast<double>(count_);
}

void Sampler::Report(benchmark::State* state, const std::string& prefix) {
  state->counters[prefix + "mean_ns"] = MeanNs();
  state->counters[prefix + "p50_ns"] = Quantile(0.5);
  state->counters[prefix + "p90_ns"] = Quantile(0.9);
  state->counters[prefix + "p99_ns"] = Quantile(0.99);
  state->counters[prefix + "p999_ns"] = Quantile(0.999);
  state->counters[prefix + "max_ns"] = static_cast<double>(max_ns_);
  state->counters[prefix + "allocs_per_op"] =
      count_ == 0 ? 0 : static_cast<double>(allocations_) / static_cast<double>(count_);
}

void MeasureFloor(benchmark::State& state) {
  Sampler sampler;
  for (auto _ : state) sampler.Time([] { benchmark::ClobberMemory(); });
  sampler.Report(&state);
}

}  // namespace kvroute
