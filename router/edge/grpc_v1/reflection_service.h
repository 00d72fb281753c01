#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_REFLECTION_SERVICE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_REFLECTION_SERVICE_H_

#include <memory>
#include <string>
#include <vector>

#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "router/edge/grpc_v1/stream_place.h"

namespace kvroute {

using ReflectionMethods =
    grpc::reflection::v1alpha::ServerReflection::WithRawMethod_ServerReflectionInfo<
        grpc::reflection::v1alpha::ServerReflection::Service>;

// Tells clients like grpcurl the API of this server. Not gRPC's own, which holds a thread for as
// long as a client keeps its call open.
//
// Thread safety: Serve before the loop starts. Ownership: it must outlive the loop. Errors: what is
// not known is answered as NOT_FOUND; a call beyond kMaxReflectionStreams gets RESOURCE_EXHAUSTED,
// and one without a request for kReflectionIdle ends.
class ReflectionService final : public ReflectionMethods {
 public:
  // The full names of the services that the server has.
  explicit ReflectionService(std::vector<std::string> services);
  void Serve(const EdgeParts& parts);

 private:
  using Info = StreamMethod<ReflectionService, grpc::reflection::v1alpha::ServerReflectionRequest,
                            grpc::reflection::v1alpha::ServerReflectionResponse>;

  const std::vector<std::string> services_;
  RpcStreams::Counter open_{0}, refused_{0}, ended_{0};
  RpcStreams streams_;
  Info info_;
  std::unique_ptr<CallPlaces> places_;
};

// What one request is answered with.
void Reflect(const std::vector<std::string>& services,
             const grpc::reflection::v1alpha::ServerReflectionRequest& request,
             grpc::reflection::v1alpha::ServerReflectionResponse* response);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_REFLECTION_SERVICE_H_
