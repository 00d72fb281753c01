#include "router/edge/health/health_service.h"

#include <chrono>
#include <string>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// How soon a watcher that went away is noticed.
constexpr std::chrono::milliseconds kCancelInterval(200);

}  // namespace

void HealthService::SetServing(bool serving) {
  MutexLock lock(&mutex_);
  serving_ = serving;
  changed_.NotifyAll();
}

void HealthService::Shutdown() {
  MutexLock lock(&mutex_);
  serving_ = false;
  ending_ = true;
  changed_.NotifyAll();
}

HealthService::Status HealthService::StatusOf(const std::string& service) const {
  if (!service.empty()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

grpc::Status HealthService::Check(grpc::ServerContext*, const HealthCheckRequest* request,
                                  HealthCheckResponse* response) {
  MutexLock lock(&mutex_);
  const Status status = StatusOf(request->service());
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "service: not one of this server");
  }
  response->set_status(status);
  return grpc::Status::OK;
}

bool HealthService::AwaitChange(const grpc::ServerContext& context, const std::string& service,
                                int told, Status* now) {
  MutexLock lock(&mutex_);
  while (!ending_ && StatusOf(service) == told && !context.IsCancelled()) {
    changed_.WaitFor(&mutex_, kCancelInterval);
  }
  *now = StatusOf(service);
  return *now != told && !context.IsCancelled();
}

grpc::Status HealthService::Watch(grpc::ServerContext* context, const HealthCheckRequest* request,
                                  grpc::ServerWriter<HealthCheckResponse>* writer) {
  {
    MutexLock lock(&mutex_);
    if (watchers_ == limits::kMaxHealthWatchers) {
      return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                          "max_health_watchers: " + std::to_string(watchers_) + " watch already");
    }
    ++watchers_;
  }
  HealthCheckResponse response;
  int told = -1;
  Status now{};
  while (AwaitChange(*context, request->service(), told, &now)) {
    response.set_status(now);
    if (!writer->Write(response)) break;
    told = now;
  }
  MutexLock lock(&mutex_);
  --watchers_;
  return grpc::Status(grpc::StatusCode::CANCELLED, "the watcher or the server ended");
}

}  // namespace kvroute
