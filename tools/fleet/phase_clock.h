#ifndef KVROUTE_TOOLS_FLEET_PHASE_CLOCK_H_
#define KVROUTE_TOOLS_FLEET_PHASE_CLOCK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "indexer/base/clock.h"

namespace kvroute {

// What a run spends its real time on.
enum class Phase : uint8_t {
  kSimulating,  // engines, prompts and hashes, and everything not named below
  kWaiting,     // until kvroute has applied what was published
  kDeciding,    // where a request goes, and telling of its progress
  kPublishing,  // finishing and sending batches
};
inline constexpr size_t kPhaseCount = static_cast<size_t>(Phase::kPublishing) + 1;
using PhaseTimes = std::array<Nanos, kPhaseCount>;  // by Phase

// Splits a run's real time between its phases.
//
// Thread safety: one thread at a time. Ownership: the clock must outlive it.
class PhaseClock {
 public:
  explicit PhaseClock(const Clock* clock) : clock_(clock), last_(clock->Monotonic()) {}

  // Counts for `phase` from here to the end of the scope, and then for what it was before.
  class Scope {
   public:
    Scope(PhaseClock* clock, Phase phase) : clock_(clock), before_(clock->Switch(phase)) {}
    ~Scope() { clock_->Switch(before_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    PhaseClock* const clock_;
    const Phase before_;
  };

  PhaseTimes Read() {
    Switch(current_);
    return times_;
  }

 private:
  Phase Switch(Phase next) {
    const Nanos now = clock_->Monotonic();
    times_[static_cast<size_t>(current_)] += now - last_;
    last_ = now;
    return std::exchange(current_, next);
  }

  const Clock* const clock_;
  Nanos last_;
  Phase current_ = Phase::kSimulating;
  PhaseTimes times_{};
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_PHASE_CLOCK_H_
