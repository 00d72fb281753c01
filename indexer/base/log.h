#ifndef KVROUTE_INDEXER_BASE_LOG_H_
#define KVROUTE_INDEXER_BASE_LOG_H_

#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "indexer/base/clock.h"

namespace kvroute {

struct LogOptions {
  std::string level = "info";   // trace, debug, info, warning, error, off
  std::string format = "text";  // text or json (one object a line: ts, level, thread, msg)
};

// Sets the process-wide spdlog logger (to standard error). Errors: INVALID_ARGUMENT names the field and what it accepts.
// Thread safety: any thread; others may be logging.
absl::Status ConfigureLog(const LogOptions& options);

// Lets through at most one line per `interval` and counts what it held back, so that a flood of bad input cannot
// become a flood of log lines. One static or member instance a call site. Thread safety: any thread.
//
//   if (uint64_t lines = limiter_.Admit(clock.Monotonic())) spdlog::warn("... ({} alike held back)", lines - 1);
class LogLimiter {
 public:
  explicit LogLimiter(Nanos interval = std::chrono::seconds(1)) : interval_(interval) {}

  // Zero when the line must be held back; otherwise the number of lines it stands for (1 = itself alone).
  uint64_t Admit(Nanos now);

 private:
  const Nanos interval_;
  std::atomic<int64_t> next_ns_{INT64_MIN};
  std::atomic<uint64_t> held_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_LOG_H_
