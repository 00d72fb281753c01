#ifndef KVROUTE_INDEXER_BASE_LATENCY_HISTOGRAM_H_
#define KVROUTE_INDEXER_BASE_LATENCY_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "indexer/base/clock.h"

namespace kvroute {

// A histogram of durations for hot paths: two relaxed atomic adds an observation, no lock
// (prometheus::Histogram takes a mutex). Buckets are powers of two split in four, from 64 ns to
// about 69 s, so a quantile read from it is at most 25 % above the true one. telemetry turns it
// into a Prometheus histogram.
//
// Thread safety: any thread may observe and read. Consistency: a reader may see an observation's
// bucket before its sum.
class LatencyHistogram {
 public:
  static constexpr int kFirstPower = 6;  // the lowest bucket ends at 2^6 ns
  static constexpr int kPowers = 30;
  static constexpr int kSplits = 4;
  static constexpr int kBuckets = 1 + kPowers * kSplits + 1;  // below the first, and above the last

  void Observe(Nanos duration) { ObserveMany(duration, 1); }
  // `count` observations of the same duration: one for each event of a batch, say.
  void ObserveMany(Nanos duration, uint64_t count);

  struct Snapshot {
    std::array<uint64_t, kBuckets> buckets{};  // not cumulative
    uint64_t count = 0;
    Nanos sum{0};
    // The upper bound of the bucket that holds quantile q in (0, 1]; zero when empty.
    Nanos Quantile(double q) const;
  };
  Snapshot Read() const;

  // Inclusive upper bound of a bucket; the last one has none and gives Nanos::max().
  static Nanos UpperBound(int bucket);
  static int BucketOf(Nanos duration);

 private:
  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<int64_t> sum_ns_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_LATENCY_HISTOGRAM_H_
