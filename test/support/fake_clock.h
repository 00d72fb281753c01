#ifndef KVROUTE_TEST_SUPPORT_FAKE_CLOCK_H_
#define KVROUTE_TEST_SUPPORT_FAKE_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "indexer/base/clock.h"

namespace kvroute {

// A clock that stands still until a test moves it. Thread safety: every method from any thread.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(Nanos start = std::chrono::hours(24 * 365 * 50)) : now_ns_(start.count()) {}

  Nanos Monotonic() const override { return Nanos(now_ns_.load(std::memory_order_relaxed)); }
  Nanos Wall() const override { return Nanos(now_ns_.load(std::memory_order_relaxed)); }
  void Advance(Nanos by) { now_ns_.fetch_add(by.count(), std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> now_ns_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_FAKE_CLOCK_H_
