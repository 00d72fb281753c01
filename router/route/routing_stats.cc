#include "router/route/routing_stats.h"

namespace kvroute {

std::string_view StatusCodeName(int code) {
  constexpr std::array<std::string_view, kStatusCodeCount> kNames = {"OK",
                                                                     "CANCELLED",
                                                                     "UNKNOWN",
                                                                     "INVALID_ARGUMENT",
                                                                     "DEADLINE_EXCEEDED",
                                                                     "NOT_FOUND",
                                                                     "ALREADY_EXISTS",
                                                                     "PERMISSION_DENIED",
                                                                     "RESOURCE_EXHAUSTED",
                                                                     "FAILED_PRECONDITION",
                                                                     "ABORTED",
                                                                     "OUT_OF_RANGE",
                                                                     "UNIMPLEMENTED",
                                                                     "INTERNAL",
                                                                     "UNAVAILABLE",
                                                                     "DATA_LOSS",
                                                                     "UNAUTHENTICATED"};
  return code >= 0 && code < kStatusCodeCount ? kNames[static_cast<size_t>(code)] : kNames[2];
}

}  // namespace kvroute
