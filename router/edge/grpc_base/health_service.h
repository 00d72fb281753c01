#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_HEALTH_SERVICE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_HEALTH_SERVICE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router/edge/grpc_base/unary_place.h"
#include "router/edge/grpc_base/watch_place.h"

namespace kvroute {

// grpc.health.v1 for the server as a whole, or under further names, on the event loop: it answers
// as long as queries are answered, and no other call can take its place. Not gRPC's own, which
// keeps two threads polling: they take turns with the thread that serves queries, at two thirds of
// its rate (docs/decisions/0009).
//
// Thread safety: Serve before the loop starts; the others from any thread. Ownership: it must
// outlive the loop. Errors: another service is NOT_FOUND; a watcher beyond kMaxHealthWatchers gets
// RESOURCE_EXHAUSTED.
class HealthService final : public HealthMethods {
 public:
  // Which services there are, by their names; "" is the server as a whole.
  using Services = std::vector<std::pair<std::string, HealthOf>>;
  explicit HealthService(Services services = {{"", HealthOf::kReadiness}});
  void Serve(const EdgeParts& parts);

  void SetServing(bool serving);
  // Ends the watchers: the server shuts down, and waits for them.
  void Shutdown();

 private:
  using Check = UnaryMethod<HealthService, grpc::health::v1::HealthCheckRequest,
                            grpc::health::v1::HealthCheckResponse>;

  WatchedHealth health_;
  Check check_;
  std::vector<std::unique_ptr<CallPlaces>> methods_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_HEALTH_SERVICE_H_
