#ifndef KVROUTE_TOOLS_REPLAY_TICK_CLOCK_H_
#define KVROUTE_TOOLS_REPLAY_TICK_CLOCK_H_

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace kvroute {

// A clock cheap enough to be read around every operation (about 10 ns here, steady_clock about 25):
// the time stamp counter where there is one, measured against steady_clock when it is made.
class TickClock {
 public:
  TickClock() {
    const auto start = std::chrono::steady_clock::now();
    const uint64_t first = Now();
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(20)) {
    }
    const uint64_t ticks = Now() - first;
    const std::chrono::nanoseconds elapsed = std::chrono::steady_clock::now() - start;
    ns_per_tick_ = static_cast<double>(elapsed.count()) / static_cast<double>(ticks);
  }

  static uint64_t Now() {
#if defined(__x86_64__)
    unsigned processor = 0;
    return __rdtscp(&processor);  // waits for what is before it
#else
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
  }

  double Nanos(uint64_t ticks) const { return static_cast<double>(ticks) * ns_per_tick_; }
  uint64_t Ticks(double ns) const { return static_cast<uint64_t>(ns / ns_per_tick_); }

 private:
  double ns_per_tick_ = 1;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_TICK_CLOCK_H_
