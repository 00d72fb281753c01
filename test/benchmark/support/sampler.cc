#include "test/benchmark/support/sampler.h"

#include <algorithm>
#include <cmath>

#include "test/benchmark/support/allocation_count.h"

namespace kvroute {

Sampler::Sampler() : short_(kShortTicks) {
  long_.reserve(1024);
  probe_.Take();
  probe_ = {};  // the first one pays for cold code
  probe_.Take();
}

const TickClock& Sampler::Clock() {
  static const TickClock clock;
  return clock;
}

uint64_t Sampler::Allocations() { return ThreadAllocations(); }

void Sampler::AddLong(uint64_t ticks) {
  long_.push_back(ticks);
  long_sorted_ = false;
}

void Sampler::AddNanos(double ns) { Add(Clock().Ticks(std::max(ns, 0.0))); }

void Sampler::Merge(const Sampler& other) {
  for (size_t ticks = 0; ticks < kShortTicks; ++ticks) short_[ticks] += other.short_[ticks];
  long_.insert(long_.end(), other.long_.begin(), other.long_.end());
  long_sorted_ = false;
  count_ += other.count_;
  total_ticks_ += other.total_ticks_;
  probe_.Add(other.probe_);
  allocations_ += other.allocations_;
}

double Sampler::Quantile(double q) {
  if (count_ == 0) return 0;
  auto rank = std::max<uint64_t>(
      1, static_cast<uint64_t>(std::ceil(q * static_cast<double>(count_))));  // from 1
  for (uint64_t ticks = 0; ticks < kShortTicks; ++ticks) {
    if (rank <= short_[ticks]) return Clock().Nanos(ticks);
    rank -= short_[ticks];
  }
  if (!long_sorted_) std::sort(long_.begin(), long_.end());
  long_sorted_ = true;
  return Clock().Nanos(long_[std::min<uint64_t>(rank, long_.size()) - 1]);
}

double Sampler::MaxNs() const {
  if (!long_.empty()) return Clock().Nanos(*std::max_element(long_.begin(), long_.end()));
  uint64_t ticks = kShortTicks - 1;
  while (ticks > 0 && short_[ticks] == 0) --ticks;
  return Clock().Nanos(ticks);
}

double Sampler::MeanNs() const {
  return count_ == 0 ? 0 : Clock().Nanos(total_ticks_) / static_cast<double>(count_);
}

double Sampler::MeanNsUpTo(double q) const {
  const auto wanted = static_cast<uint64_t>(q * static_cast<double>(count_));
  uint64_t count = 0;
  uint64_t total = 0;
  for (uint64_t ticks = 0; ticks < kShortTicks && count < wanted; ++ticks) {
    const uint64_t some = std::min<uint64_t>(short_[ticks], wanted - count);
    count += some;
    total += some * ticks;
  }
  std::vector<uint64_t> slow = long_;
  std::sort(slow.begin(), slow.end());
  for (size_t i = 0; i < slow.size() && count < wanted; ++i, ++count) total += slow[i];
  return count == 0 ? 0 : Clock().Nanos(total) / static_cast<double>(count);
}

void Sampler::Report(benchmark::State* state, const std::string& prefix) {
  if (count_ == 0) return;
  probe_.Take();
  state->counters["probe_ns"] = probe_.MeanNs(Clock());
  state->counters[prefix + "mean_ns"] = MeanNs();
  state->counters[prefix + "p50_ns"] = Quantile(0.5);
  state->counters[prefix + "p90_ns"] = Quantile(0.9);
  state->counters[prefix + "p99_ns"] = Quantile(0.99);
  state->counters[prefix + "p999_ns"] = Quantile(0.999);
  state->counters[prefix + "max_ns"] = MaxNs();
  state->counters[prefix + "allocs_per_op"] =
      static_cast<double>(allocations_) / static_cast<double>(count_);
}

void MeasureFloor(benchmark::State& state) {
  Sampler sampler;
  for (auto _ : state) sampler.Time([] { benchmark::ClobberMemory(); });
  sampler.Report(&state);
}

}  // namespace kvroute
