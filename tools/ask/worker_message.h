#ifndef KVROUTE_TOOLS_ASK_WORKER_MESSAGE_H_
#define KVROUTE_TOOLS_ASK_WORKER_MESSAGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "kvroute/v1/fleet.pb.h"

namespace kvroute {

// "id=w0,address=http://..,model=m,events=tcp://..[,replay=tcp://..]": what `kvroute serve
// --worker` takes, as what Fleet.Register takes. INVALID_ARGUMENT names the field, its value and
// the limit; fields that only the configuration may say (curve, draining) are refused.
absl::StatusOr<v1::Worker> WorkerMessage(const std::string& text);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ASK_WORKER_MESSAGE_H_
