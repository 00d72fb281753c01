#ifndef KVROUTE_INDEXER_BASE_LOG_H_
#define KVROUTE_INDEXER_BASE_LOG_H_

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "indexer/base/clock.h"

namespace kvroute {

struct LogOptions {
  std::string level = "info";   // trace, debug, info, warning, error, off
  std::string format = "text";  // text or json (one object a line: ts, level, thread, msg)
};

// Sets the process-wide log (to standard error). Errors: INVALID_ARGUMENT names the field and what
// it accepts. Thread safety: any thread; others may be logging.
absl::Status ConfigureLog(const LogOptions& options);

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

// One line of the log, as far as its level is on. Never waits: a thread of its own writes it, and
// drops lines that nobody reads. What is in the message is text: control bytes and bytes that are
// not UTF-8 are written out (\x1b). The message is formatted as fmt does; what writes it is known
// to log.cc alone, because its headers take five seconds to compile. Thread safety: any thread.
void WriteLog(LogLevel level, fmt::string_view format, fmt::format_args args);

template <typename... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  WriteLog(level, format, fmt::make_format_args(args...));
}
template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  WriteLog(LogLevel::kDebug, format, fmt::make_format_args(args...));
}
template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  WriteLog(LogLevel::kInfo, format, fmt::make_format_args(args...));
}
template <typename... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  WriteLog(LogLevel::kWarning, format, fmt::make_format_args(args...));
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  WriteLog(LogLevel::kError, format, fmt::make_format_args(args...));
}

// An error that is logged only if this thread ends the process: what a library says right before it
// does is the reason, and of no interest otherwise. The last two are kept, each cut at 512 bytes.
void LogIfAborted(std::string_view words);

// Until everything logged so far is written; false when it is not in time. For tests, and before
// the process ends by itself.
bool FlushLog(std::chrono::milliseconds patience);
// Lines that were dropped because nobody read the ones before.
uint64_t LogLinesDropped();

// Lets through at most one line per `interval` and counts what it held back, so that a flood of bad
// input cannot become a flood of log lines. One static or member instance a call site. Thread
// safety: any thread.
//
//   if (uint64_t lines = limiter_.Admit(clock.Monotonic())) LogWarning("... ({} alike held back)",
//   lines - 1);
class LogLimiter {
 public:
  explicit LogLimiter(Nanos interval = std::chrono::seconds(1)) : interval_(interval) {}

  // Zero when the line must be held back; otherwise the number of lines it stands for (1 = itself
  // alone).
  uint64_t Admit(Nanos now);

 private:
  const Nanos interval_;
  std::atomic<int64_t> next_ns_{INT64_MIN};
  std::atomic<uint64_t> held_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_LOG_H_
