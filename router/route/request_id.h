#ifndef KVROUTE_ROUTER_ROUTE_REQUEST_ID_H_
#define KVROUTE_ROUTER_ROUTE_REQUEST_ID_H_

#include <string_view>

#include "absl/status/status.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"

namespace kvroute {

// It stands in the answer and, if it is in use, in errors.
inline absl::Status CheckRequestId(std::string_view request_id) {
  if (request_id.size() > limits::kMaxRequestIdBytes) {
    return InvalidArgument("request_id: {} bytes; the limit is {}", request_id.size(),
                           limits::kMaxRequestIdBytes);
  }
  if (IsOneLine(request_id)) return absl::OkStatus();
  return InvalidArgument("request_id: \"{}\" must be UTF-8 without control characters", request_id);
}

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_REQUEST_ID_H_
