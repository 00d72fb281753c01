#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_SERVER_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_SERVER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/base/limits.h"
#include "router/edge/ext_proc/endpoint_picker.h"
#include "router/edge/ext_proc/picker_stats.h"
#include "router/prompt/renderer.h"

namespace grpc {
class ServerCredentials;
}

namespace kvroute {

class Rights;

struct PickerServerOptions {
  std::string address = "0.0.0.0:9002";                  // port 0: any free one, see port()
  std::shared_ptr<grpc::ServerCredentials> credentials;  // of it; nullptr: plain text
  std::string plaintext_address;                         // beside it; empty: none
  std::string health_address;                            // for probes, plain text; empty: none
  size_t max_connections = limits::kMaxPickerConnections;
  size_t max_memory_bytes = limits::kMaxGrpcMemoryBytes;  // of gRPC's own buffers
  uint32_t max_streams = limits::kMaxPickerStreams;       // HTTP requests under way
  Rights* rights = nullptr;                               // nullptr: everybody may ask
  std::chrono::milliseconds write_timeout = std::chrono::seconds(10);
  PickerOptions picker;
};

// What the picker works with. All outlive it.
struct PickerSources {
  Router* router = nullptr;
  Fleet* fleet = nullptr;
  RoutingStats* routing_stats = nullptr;
  PickerStats* stats = nullptr;
  MemoryBudget* bodies = nullptr;                // nullptr: no limit for all of them
  PromptRenderer* renderer = nullptr;            // nullptr: prompts as text go by load
  const PublishedRequestRules* rules = nullptr;  // nullptr: there are none
  const Clock* clock = nullptr;
};

// The ext_proc edge: the endpoint picker of gateways (envoy.service.ext_proc.v3), and health under
// the names by which gateways ask for it. One thread serves all streams.
//
// Thread safety: every method from any thread. Ownership: see PickerSources; ends with Shutdown.
class PickerServer {
 public:
  // UNAVAILABLE when an address cannot be bound (in use, not local); INVALID_ARGUMENT names an
  // option out of range.
  static absl::StatusOr<std::unique_ptr<PickerServer>> Start(const PickerServerOptions& options,
                                                             const PickerSources& sources);
  ~PickerServer();

  int port() const;
  int plaintext_port() const;  // 0: none
  int health_port() const;     // 0: none
  // What health says of readiness; not serving at first.
  void SetServing(bool serving);
  // See EndpointPicker.
  void SetFleetKnown(bool known);
  // How long no stream, or no new connection, has come on.
  Nanos SinceProgress() const;
  // As GrpcServer::Shutdown. Idempotent.
  void Shutdown(std::chrono::milliseconds grace = std::chrono::milliseconds(2'000));

 private:
  class Impl;
  explicit PickerServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_SERVER_H_
