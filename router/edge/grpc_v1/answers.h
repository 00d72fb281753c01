#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_ANSWERS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_ANSWERS_H_

#include "absl/status/status.h"
#include "kvroute/v1/router.pb.h"
#include "router/edge/grpc_base/request_bytes.h"
#include "router/load/client_id.h"
#include "router/route/router.h"

// The calls of the Router service without gRPC: reads the message as a query, asks the Router,
// writes what it answers. Of a long request `numbers` are the prompt's, and not in the message
// (prompt_numbers.h). `response` must be empty, and stays so on an error.
//
// Thread safety: every function from any thread; each thread keeps what it reads and writes with.
namespace kvroute {

absl::Status Answer(Router* router, const ClientId& client, const v1::RouteRequest& request,
                    v1::RouteResponse* response, const LongNumbers& numbers = {});
absl::Status Answer(Router* router, const ClientId& client, const v1::RouteRequest& request,
                    v1::ExplainResponse* response, const LongNumbers& numbers = {});
absl::Status Answer(Router* router, const ClientId& client, const v1::ScoreRequest& request,
                    v1::ScoreResponse* response, const LongNumbers& numbers = {});
absl::Status Answer(Router* router, const ClientId& client, const v1::CompleteRequest& request,
                    v1::CompleteResponse* response);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_ANSWERS_H_
