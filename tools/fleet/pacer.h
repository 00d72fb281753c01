#ifndef KVROUTE_TOOLS_FLEET_PACER_H_
#define KVROUTE_TOOLS_FLEET_PACER_H_

#include <algorithm>
#include <functional>
#include <thread>

#include "indexer/base/clock.h"

namespace kvroute {

// Ties virtual time to the wall clock: `speedup` virtual seconds pass in one real second. Nothing
// is ever skipped: who is late runs as fast as it can and the lateness is remembered. A speedup of
// 0 does not wait at all.
//
// Thread safety: one thread at a time. Ownership: the clock must outlive it.
class Pacer {
 public:
  Pacer(double speedup, const Clock* clock)
      : speedup_(speedup), clock_(clock), start_(clock->Monotonic()) {}

  // Returns when the wall clock has reached that moment; meanwhile calls `idle` about once a
  // millisecond.
  void WaitUntil(Nanos virtual_time, const std::function<void()>& idle) {
    if (speedup_ <= 0) return;
    const Nanos due = start_ + std::chrono::duration_cast<Nanos>(virtual_time / speedup_);
    Nanos now = clock_->Monotonic();
    behind_ = std::max(now - due, Nanos(0));
    max_behind_ = std::max(max_behind_, behind_);
    for (; now < due; now = clock_->Monotonic()) {
      idle();
      std::this_thread::sleep_for(std::min(due - now, kSlice));
    }
  }

  // Real time.
  Nanos elapsed() const { return clock_->Monotonic() - start_; }
  Nanos behind() const { return behind_; }
  Nanos max_behind() const { return max_behind_; }

 private:
  static constexpr Nanos kSlice = std::chrono::milliseconds(1);

  const double speedup_;
  const Clock* const clock_;
  const Nanos start_;
  Nanos behind_{0};
  Nanos max_behind_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_PACER_H_
