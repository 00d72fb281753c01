#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_SERVICE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_SERVICE_H_

#include "absl/status/statusor.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "router/fleet/fleet.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// The Fleet service over gRPC: messages to the Fleet and back.
//
// Thread safety: gRPC calls it from its threads. Ownership: the fleet and the stats must outlive
// it.
class FleetService final : public v1::Fleet::Service {
 public:
  FleetService(Fleet* fleet, RoutingStats* stats) : fleet_(fleet), stats_(stats) {}

  grpc::Status Register(grpc::ServerContext* context, const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override;
  grpc::Status Deregister(grpc::ServerContext* context, const v1::DeregisterRequest* request,
                          v1::DeregisterResponse* response) override;
  grpc::Status SetDraining(grpc::ServerContext* context, const v1::SetDrainingRequest* request,
                           v1::SetDrainingResponse* response) override;
  grpc::Status List(grpc::ServerContext* context, const v1::ListRequest* request,
                    v1::ListResponse* response) override;

 private:
  Fleet* const fleet_;
  RoutingStats* const stats_;
};

// INVALID_ARGUMENT names a field whose text is none that is understood. All else is checked by the
// fleet.
absl::StatusOr<WorkerSpec> WorkerFromProto(const v1::Worker& worker);
// All but the keys, which are never told.
void WorkerToProto(const WorkerSpec& spec, v1::Worker* worker);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_SERVICE_H_
