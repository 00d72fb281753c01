#ifndef KVROUTE_TOOLS_FLEET_KVROUTE_PLACER_H_
#define KVROUTE_TOOLS_FLEET_KVROUTE_PLACER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/latency_histogram.h"
#include "indexer/event/event_encoder.h"
#include "tools/fleet/placer.h"

namespace kvroute {

namespace v1 {
class RouteRequest;
class RouteResponse;
}  // namespace v1

// A rank as it is registered at kvroute. The ranks of one worker stand together, rank 0 first.
struct RegisteredRank {
  std::string worker_id;
  uint32_t rank = 0;
  WireStyle style = WireStyle::kVllmMap;
  std::string event_endpoint;
  std::string replay_endpoint;
};

struct KvroutePlacerOptions {
  std::string address;  // host:port of kvroute's gRPC
  std::string model;    // keeps runs apart: the only workers of this model are the run's own
  std::string policy;
  uint32_t block_size_tokens = 16;
  std::chrono::milliseconds timeout{60'000};  // of one call, and of waiting for the streams
  // As few waits for answers as can be: the requests of a PlaceAll go over one stream together, and
  // progress is told when TellProgress is called. False: one call after another, as a gateway does.
  bool together = false;
};

// A gateway that asks a running kvroute over gRPC: registers the engines, routes each request,
// tells its progress, deregisters. Targets are numbered in the order of `ranks`.
//
// Thread safety: one thread at a time. Errors: whatever the call said, with the call's name in
// front; UNAVAILABLE when nobody answers in time.
class KvroutePlacer : public Placer {
 public:
  KvroutePlacer(const KvroutePlacerOptions& options, std::vector<RegisteredRank> ranks);
  ~KvroutePlacer() override;

  absl::Status Register();
  absl::Status Deregister();
  // Until every stream is exact and has applied `published(target)` batches. Costs nothing when the
  // last call saw as much, else one Score of one token, whose answer says how far every stream is;
  // it is asked again until all are there. `serve` is called meanwhile: engines must answer
  // kvroute's replay requests. DEADLINE_EXCEEDED names a stream that is not there yet, and its
  // trust.
  absl::Status AwaitApplied(const std::function<uint64_t(size_t target)>& published,
                            const std::function<void()>& serve);
  absl::Status TellProgress();

  absl::StatusOr<RequestPlacement> Place(const PlacementRequest& request) override;
  absl::StatusOr<std::vector<RequestPlacement>> PlaceAll(
      absl::Span<const PlacementRequest> requests) override;
  absl::Status Prefilled(uint64_t number) override;
  absl::Status Ended(uint64_t number) override;

  // Of the Route calls, as this client saw them; those that went together are not in it.
  const LatencyHistogram& route_latency() const { return route_latency_; }

 private:
  class Api;  // keeps gRPC out of this header

  absl::Status Complete(uint64_t number, bool ended);
  // Asks once. "": all are there; else which is not.
  absl::StatusOr<std::string> FindUnapplied(
      const std::function<uint64_t(size_t target)>& published);
  void FillRoute(const PlacementRequest& request, v1::RouteRequest* route) const;
  absl::StatusOr<RequestPlacement> PlacementOf(const v1::RouteResponse& response) const;
  std::string RequestId(uint64_t number) const;

  const KvroutePlacerOptions options_;
  const std::vector<RegisteredRank> ranks_;
  std::unique_ptr<Api> api_;
  std::vector<uint64_t> applied_;  // by target: batches seen applied while the stream was exact
  LatencyHistogram route_latency_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_KVROUTE_PLACER_H_
