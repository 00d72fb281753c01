#ifndef KVROUTE_TOOLS_REPLAY_SPEED_PROBE_H_
#define KVROUTE_TOOLS_REPLAY_SPEED_PROBE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "tools/replay/tick_clock.h"

namespace kvroute {

// How fast the core is just now: the time of a fixed piece of arithmetic (about 1 us, registers
// only), taken now and then beside what is measured. On a virtual machine a neighbour on the same
// physical core makes everything up to twice as slow, and nothing else shows it: neither processor
// time nor stolen time.
//
// Thread safety: one thread; add those of several threads.
class SpeedProbe {
 public:
  void Take() {
    const uint64_t start = TickClock::Now();
    std::array<uint64_t, 8> chains;
    for (size_t i = 0; i < chains.size(); ++i) chains[i] = start * (2 * i + 1);
    for (int i = 0; i < kRounds; ++i) {  // more at once than the core can do
      for (uint64_t& chain : chains) chain += (chain >> 3) ^ 0x9e3779b97f4a7c15;
    }
    for (const uint64_t chain : chains) sink_ += chain;
    const uint64_t ticks = TickClock::Now() - start;
    if (ticks > kInterruptedTicks) return;  // the core was taken away meanwhile: cpu_share shows it
    ticks_ += ticks;
    ++taken_;
  }
  void Add(const SpeedProbe& other) {
    ticks_ += other.ticks_;
    taken_ += other.taken_;
    sink_ += other.sink_;
  }
  // Of one probe, in the mean; 0 before the first.
  double MeanNs(const TickClock& clock) const {
    return taken_ == 0 ? 0 : clock.Nanos(ticks_) / static_cast<double>(taken_);
  }
  uint64_t sink() const { return sink_; }  // of no meaning; keeps the arithmetic from being dropped

 private:
  static constexpr int kRounds = 300;
  static constexpr uint64_t kInterruptedTicks = 20'000;

  uint64_t ticks_ = 0;
  uint64_t taken_ = 0;
  uint64_t sink_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_SPEED_PROBE_H_
