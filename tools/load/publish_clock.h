#ifndef KVROUTE_TOOLS_LOAD_PUBLISH_CLOCK_H_
#define KVROUTE_TOOLS_LOAD_PUBLISH_CLOCK_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "indexer/base/clock.h"

namespace kvroute {

// When each recent batch of one stream was published, and how many were.
//
// Thread safety: one publisher, any number of readers. Consistency: a reader that sees
// `published()` >= n may ask for the times of the kKept batches below n; older ones have been
// overwritten.
class PublishClock {
 public:
  // 256 KB a stream: over a minute of 500 batches a second
  static constexpr uint64_t kKept = 1 << 15;

  void Published(uint64_t seq, Nanos when) {
    times_[seq % kKept].store(when.count(), std::memory_order_relaxed);
    published_.store(seq + 1, std::memory_order_release);
  }
  uint64_t published() const { return published_.load(std::memory_order_acquire); }
  Nanos TimeOf(uint64_t seq) const {
    return Nanos(times_[seq % kKept].load(std::memory_order_relaxed));
  }

 private:
  std::array<std::atomic<int64_t>, kKept> times_{};
  std::atomic<uint64_t> published_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_LOAD_PUBLISH_CLOCK_H_
