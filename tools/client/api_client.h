#ifndef KVROUTE_TOOLS_CLIENT_API_CLIENT_H_
#define KVROUTE_TOOLS_CLIENT_API_CLIENT_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kvroute/v1/fleet.pb.h"
#include "kvroute/v1/router.pb.h"
#include "tools/client/client_options.h"

namespace kvroute {

// A running kvroute's API over gRPC, one blocking call at a time a thread.
//
// Thread safety: any thread. Errors: the server's own status with the call's name in front;
// DEADLINE_EXCEEDED or UNAVAILABLE when nobody answers within the timeout (a server that is still
// starting is waited for).
class ApiClient {
 public:
  // For one that nobody is there yet: a person is told so soon.
  static constexpr std::chrono::milliseconds kConnectTimeout{2'000};

  // Errors: INVALID_ARGUMENT names the file that cannot be read.
  static absl::StatusOr<std::unique_ptr<ApiClient>> Create(const ClientOptions& options);
  // Plain text; the address as ParseServerAddress takes it.
  explicit ApiClient(const std::string& address,
                     std::chrono::milliseconds timeout = std::chrono::milliseconds(10'000));
  ~ApiClient();

  // UNAVAILABLE names the address and why it could not be connected to within the time.
  absl::Status Connect(std::chrono::milliseconds within = kConnectTimeout) const;

  absl::Status Register(const v1::Worker& worker) const;
  absl::Status Deregister(const std::string& worker_id) const;
  absl::Status SetDraining(const v1::SetDrainingRequest& request) const;
  absl::StatusOr<v1::ListResponse> List() const;
  absl::StatusOr<v1::ScoreResponse> Score(const v1::ScoreRequest& request) const;
  absl::StatusOr<v1::RouteResponse> Route(const v1::RouteRequest& request) const;
  absl::StatusOr<v1::ExplainResponse> Explain(const v1::RouteRequest& request) const;
  // All over one RouteStream, decided in this order; the first error ends it.
  absl::StatusOr<std::vector<v1::RouteResponse>> RouteAll(
      absl::Span<const v1::RouteRequest> requests) const;
  absl::StatusOr<v1::CompleteResponse> Complete(const v1::CompleteRequest& request) const;
  // All at once, in no order; returns the first error when all are answered.
  absl::Status CompleteAll(absl::Span<const v1::CompleteRequest> requests) const;

 private:
  class Stubs;  // keeps gRPC out of this header
  explicit ApiClient(std::unique_ptr<Stubs> stubs);
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CLIENT_API_CLIENT_H_
