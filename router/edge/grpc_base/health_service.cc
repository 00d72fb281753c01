#include "router/edge/grpc_base/health_service.h"

#include "indexer/base/error_reason.h"

namespace kvroute {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthService::HealthService(Services services) {
  health_.services = std::move(services);
  check_.await = &HealthService::RequestCheck;
  check_.answer = [this](const ClientId&, const HealthCheckRequest& request, const LongNumbers&,
                         HealthCheckResponse* response) -> absl::Status {
    const HealthOf what = health_.Find(request.service());
    if (what == HealthOf::kNothing) {
      return WithReason(absl::NotFoundError("service: not one of this server"),
                        ErrorReason::kUnknownService);
    }
    response->set_status(static_cast<HealthCheckResponse::ServingStatus>(health_.StatusOf(what)));
    return absl::OkStatus();
  };
}

void HealthService::Serve(const EdgeParts& parts) {
  methods_.push_back(std::make_unique<CallPlaces>(limits::kMaxCallsUnderWay, parts.loop));
  methods_.back()->Start([this, &parts](CallPlaces* places) {
    return std::make_unique<UnaryPlace<Check>>(check_, this, places, parts);
  });
  // One more than may watch: it takes and refuses what comes beyond them.
  methods_.push_back(std::make_unique<CallPlaces>(limits::kMaxHealthWatchers + 1, parts.loop));
  methods_.back()->Start([this, &parts](CallPlaces* places) {
    return std::make_unique<WatchPlace>(&health_, this, places, parts);
  });
}

void HealthService::SetServing(bool serving) {
  health_.status = serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void HealthService::Shutdown() {
  SetServing(false);
  health_.ending = true;
}

}  // namespace kvroute
