#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_CALL_RIGHTS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_CALL_RIGHTS_H_

#include "absl/status/status.h"
#include "router/rights/rights.h"

namespace grpc {
class ServerContext;
}

namespace kvroute {

class Connection;

// Whether a call may go on. UNAUTHENTICATED and PERMISSION_DENIED as Rights::Check. `rights` may be
// null: there are none. `connection` may be null: it is closed already. KnownCaller says what it
// costs; with a token gRPC besides takes its time to show what came with the call.
absl::Status CheckCall(Rights* rights, Action action, grpc::ServerContext* context,
                       Connection* connection);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_CALL_RIGHTS_H_
