#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_SERVICE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_SERVICE_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "router/edge/grpc_base/unary_place.h"
#include "router/edge/grpc_v1/fleet_watch_place.h"
#include "router/fleet/fleet.h"
#include "router/route/routing_stats.h"

namespace kvroute {

using FleetMethods = v1::Fleet::WithRawMethod_Register<
    v1::Fleet::WithRawMethod_Deregister<v1::Fleet::WithRawMethod_SetDraining<
        v1::Fleet::WithRawMethod_List<v1::Fleet::WithRawMethod_Watch<v1::Fleet::Service>>>>>;

// The Fleet service over gRPC: messages to the Fleet and back, answered on LongWork's threads, and
// watchers on the event loop.
//
// Thread safety: Serve before the loop starts. Ownership: the fleet and the stats must outlive it,
// and it the loop.
class FleetService final : public FleetMethods {
 public:
  FleetService(Fleet* fleet, RoutingStats* stats);
  // Awaits calls on the loop, once the server runs. `parts` must outlive the loop.
  void Serve(const EdgeParts& parts);
  // Ends the watchers' streams.
  void Shutdown() { watched_.ending = true; }

 private:
  template <typename Request, typename Response>
  using Unary = UnaryMethod<FleetService, Request, Response>;
  // `answer(request, response)` is counted as `counted_as`.
  template <auto kAwait, typename Method, typename Answer>
  void SetUp(Method* method, RpcMethod counted_as, Answer answer);
  template <typename Method>
  void ServeMethod(const Method& method, const EdgeParts& parts);

  RoutingStats* const stats_;
  RpcStreams watchers_;
  WatchedFleet watched_;
  Unary<v1::RegisterRequest, v1::RegisterResponse> register_;
  Unary<v1::DeregisterRequest, v1::DeregisterResponse> deregister_;
  Unary<v1::SetDrainingRequest, v1::SetDrainingResponse> set_draining_;
  Unary<v1::ListRequest, v1::ListResponse> list_;
  std::vector<std::unique_ptr<CallPlaces>> methods_;
};

// INVALID_ARGUMENT names a field whose text is none that is understood. All else is checked by the
// fleet.
absl::StatusOr<WorkerSpec> WorkerFromProto(const v1::Worker& worker);
// All but the keys, which are never told.
void WorkerToProto(const WorkerSpec& spec, v1::Worker* worker);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_SERVICE_H_
