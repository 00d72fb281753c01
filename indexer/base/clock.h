#ifndef KVROUTE_INDEXER_BASE_CLOCK_H_
#define KVROUTE_INDEXER_BASE_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace kvroute {

using Nanos = std::chrono::nanoseconds;

inline double Ms(Nanos duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// Where time comes from. A border of the program, so that timeouts and leases are tested without
// waiting. Thread safety: every method may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // Time since an arbitrary origin; never goes back. For durations and deadlines.
  virtual Nanos Monotonic() const = 0;
  // Time since the Unix epoch. For people, and for the lag behind an engine's own time stamps; may
  // jump.
  virtual Nanos Wall() const = 0;

  static const Clock& Real();
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_CLOCK_H_
