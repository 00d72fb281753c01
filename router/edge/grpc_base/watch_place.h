#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_WATCH_PLACE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_WATCH_PLACE_H_

#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "router/edge/grpc_base/served_call.h"

namespace kvroute {

using HealthMethods = grpc::health::v1::Health::WithRawMethod_Check<
    grpc::health::v1::Health::WithRawMethod_Watch<grpc::health::v1::Health::Service>>;

// What is asked of a server's health: how it stands, or only whether it lives.
enum class HealthOf : uint8_t { kNothing, kReadiness, kLiveness };

// What health watchers are told, and how many there are.
struct WatchedHealth {
  // Names of services, and what each asks.
  std::vector<std::pair<std::string, HealthOf>> services;
  std::atomic<int> status{grpc::health::v1::HealthCheckResponse::SERVING};
  std::atomic<bool> ending{false};
  uint32_t watchers = 0;  // the event loop's

  HealthOf Find(std::string_view service) const {
    for (const auto& [name, what] : services) {
      if (name == service) return what;
    }
    return HealthOf::kNothing;
  }
  int StatusOf(HealthOf what) const {
    using grpc::health::v1::HealthCheckResponse;
    if (what == HealthOf::kNothing) return HealthCheckResponse::SERVICE_UNKNOWN;
    return what == HealthOf::kLiveness ? static_cast<int>(HealthCheckResponse::SERVING)
                                       : status.load(std::memory_order_relaxed);
  }
};

// Serves the watchers of the server's health: each costs a place in memory and no thread. A change
// is told at the next turn, and a watcher that went away is noticed at once.
//
// Thread safety: as EventLoop.
class WatchPlace final : public CallPlace {
 public:
  WatchPlace(WatchedHealth* health, HealthMethods* service, CallPlaces* places,
             const EdgeParts& parts)
      : health_(health), service_(service), places_(places), parts_(parts), call_(parts) {}

  void Await() override;
  void Turn() override;

 private:
  void OnCall(bool ok);
  void OnWrite(bool ok);
  void OnFinish(bool ok);
  void OnDone(bool ok);  // the call has ended, by whom ever

  int StatusNow() const { return health_->StatusOf(asked_); }
  void Tell();
  void Finish(const grpc::Status& status);
  void Event();  // another one of the call's has come; the last one frees the place

  WatchedHealth* const health_;
  HealthMethods* const service_;
  CallPlaces* const places_;
  const EdgeParts& parts_;
  ServedCall call_;
  HealthOf asked_ = HealthOf::kNothing;
  bool counted_ = false;
  bool writing_ = false;
  bool finishing_ = false;
  bool context_done_ = false;
  int told_ = -1;
  uint32_t events_to_come_ = 0;
  EventOf<WatchPlace, &WatchPlace::OnCall> on_call_{this};
  EventOf<WatchPlace, &WatchPlace::OnWrite> on_write_{this};
  EventOf<WatchPlace, &WatchPlace::OnFinish> on_finish_{this};
  EventOf<WatchPlace, &WatchPlace::OnDone> on_done_{this};
  grpc::ByteBuffer bytes_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncWriter<grpc::ByteBuffer>> writer_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_WATCH_PLACE_H_
