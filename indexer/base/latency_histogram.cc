#include "indexer/base/latency_histogram.h"

#include <bit>
#include <cmath>

namespace kvroute {

int LatencyHistogram::BucketOf(Nanos duration) {
  const int64_t signed_ns = duration.count();
  if (signed_ns <= (int64_t{1} << kFirstPower)) return 0;
  const uint64_t ns = static_cast<uint64_t>(signed_ns) - 1;  // bounds are inclusive
  const int power = std::bit_width(ns) - 1;
  const int split = static_cast<int>((ns >> (power - 2)) & (kSplits - 1));
  const int bucket = 1 + (power - kFirstPower) * kSplits + split;
  return bucket < kBuckets - 1 ? bucket : kBuckets - 1;
}

Nanos LatencyHistogram::UpperBound(int bucket) {
  if (bucket == 0) return Nanos(int64_t{1} << kFirstPower);
  if (bucket >= kBuckets - 1) return Nanos::max();
  const int power = kFirstPower + (bucket - 1) / kSplits;
  const int split = (bucket - 1) % kSplits;
  return Nanos((int64_t{1} << power) + (split + 1) * (int64_t{1} << (power - 2)));
}

void LatencyHistogram::ObserveMany(Nanos duration, uint64_t count) {
  buckets_[static_cast<size_t>(BucketOf(duration))].fetch_add(count, std::memory_order_relaxed);
  sum_ns_.fetch_add(duration.count() * static_cast<int64_t>(count), std::memory_order_relaxed);
}

LatencyHistogram::Snapshot LatencyHistogram::Read() const {
  Snapshot snapshot;
  for (size_t i = 0; i < snapshot.buckets.size(); ++i) {
    snapshot.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
    snapshot.count += snapshot.buckets[i];
  }
  snapshot.sum = Nanos(sum_ns_.load(std::memory_order_relaxed));
  return snapshot;
}

Nanos LatencyHistogram::Snapshot::Quantile(double q) const {
  if (count == 0) return Nanos(0);
  const auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count)));
  uint64_t seen = 0;
  for (int i = 0; i < kBuckets; ++i) {
    seen += buckets[static_cast<size_t>(i)];
    if (seen >= rank) return UpperBound(i);
  }
  return UpperBound(kBuckets - 1);
}

}  // namespace kvroute
