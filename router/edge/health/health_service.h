#ifndef KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_SERVICE_H_
#define KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_SERVICE_H_

#include <cstdint>

#include "grpc/health/v1/health.grpc.pb.h"
#include "indexer/base/mutex.h"

namespace kvroute {

// grpc.health.v1 for the server as a whole. Not gRPC's own, which keeps two threads polling: they
// take turns with the thread that serves queries, at two thirds of its rate
// (docs/decisions/0009).
//
// Thread safety: every method from any thread. Errors: another service is NOT_FOUND; a watcher
// beyond kMaxHealthWatchers gets RESOURCE_EXHAUSTED, since each holds a thread.
class HealthService final : public grpc::health::v1::Health::Service {
 public:
  void SetServing(bool serving);
  // Ends the watchers: the server shuts down, and waits for them.
  void Shutdown();

  grpc::Status Check(grpc::ServerContext* context,
                     const grpc::health::v1::HealthCheckRequest* request,
                     grpc::health::v1::HealthCheckResponse* response) override;
  grpc::Status Watch(grpc::ServerContext* context,
                     const grpc::health::v1::HealthCheckRequest* request,
                     grpc::ServerWriter<grpc::health::v1::HealthCheckResponse>* writer) override;

 private:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  Status StatusOf(const std::string& service) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns when the status is another than `told`, or when the watcher or the server ends: false.
  bool AwaitChange(const grpc::ServerContext& context, const std::string& service, int told,
                   Status* now);

  mutable Mutex mutex_;
  CondVar changed_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = true;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t watchers_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HEALTH_HEALTH_SERVICE_H_
