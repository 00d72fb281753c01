#ifndef KVROUTE_INDEXER_BASE_ERROR_H_
#define KVROUTE_INDEXER_BASE_ERROR_H_

#include <fmt/core.h>

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "indexer/base/text.h"

namespace kvroute {

// A status with a formatted message. For what is wrong with an input, the message begins with the
// field, then the value and the limit: "candidates: 10,001 are named; the limit is 10,000". It
// quotes what came from outside, perhaps cut in the middle of a character, and goes into answers,
// logs and pages: it is one line of text whatever it quotes (OneLine).
template <typename... Args>
absl::Status Error(absl::StatusCode code, fmt::format_string<Args...> format, Args&&... args) {
  return absl::Status(code, OneLine(fmt::format(format, std::forward<Args>(args)...)));
}
template <typename... Args>
absl::Status InvalidArgument(fmt::format_string<Args...> format, Args&&... args) {
  return Error(absl::StatusCode::kInvalidArgument, format, std::forward<Args>(args)...);
}

// Debian's absl::string_view is a type of its own.
inline std::string_view MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace kvroute

// For functions that return absl::Status.
#define KVROUTE_RETURN_IF_ERROR(expression)                                 \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#endif  // KVROUTE_INDEXER_BASE_ERROR_H_
