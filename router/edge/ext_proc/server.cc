#include "router/edge/ext_proc/server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "indexer/base/error.h"
#include "router/edge/ext_proc/process_place.h"
#include "router/edge/grpc_base/connections.h"
#include "router/edge/grpc_base/event_loop.h"
#include "router/edge/grpc_base/health_service.h"
#include "router/edge/grpc_base/long_work.h"
#include "router/edge/grpc_base/server_settings.h"

namespace kvroute {
namespace {

// A message has headers and metadata beside its body.
constexpr size_t kBesideTheBodyBytes = size_t{1} << 20;
// As the API's.
constexpr size_t kQuotaTimes = 2;
// Streams beyond the limit that are told so at a time; further ones wait.
constexpr size_t kRefusedAtOnce = 64;
// A proxy ends a third of its finished streams by a reset, and its requests are as many as come.
constexpr uint64_t kCancelledCallsPerSecond = 1'000'000;

// The names by which gateways, their charts and their probes ask.
HealthService::Services HealthNames() {
  return {{"", HealthOf::kReadiness},
          {"liveness", HealthOf::kLiveness},
          {"readiness", HealthOf::kReadiness},
          {"envoy.service.ext_proc.v3.ExternalProcessor", HealthOf::kReadiness},
          {"inference-extension", HealthOf::kReadiness}};
}

int StreamsOfAConnection(const PickerServerOptions& options) {
  return limits::kMaxCallsPerConnection + static_cast<int>(options.max_streams);
}

}  // namespace

class PickerServer::Impl {
 public:
  Impl(const PickerServerOptions& options, const PickerSources& sources)
      : connections_({"picker",
                      options.max_connections,
                      options.max_memory_bytes,
                      {static_cast<uint64_t>(2 * StreamsOfAConnection(options)),
                       options.write_timeout, kCancelledCallsPerSecond}},
                     {&sources.stats->connections, &sources.stats->ended_connections}),
        long_work_(1, limits::kMaxLongCallBytes, /*memory=*/nullptr, "picker-long"),
        picker_(options.picker, sources.router, sources.fleet, sources.stats, sources.bodies,
                sources.clock, sources.rules),
        health_(HealthNames()),
        router_(sources.router) {
    health_.SetServing(false);
    parts_.service = &methods_;
    parts_.picker = &picker_;
    parts_.renderer = sources.renderer;
    parts_.max_streams = options.max_streams;
    parts_.edge = {nullptr, &long_work_, &connections_, sources.routing_stats,
                   options.write_timeout};
    parts_.edge.rights = options.rights;
  }

  absl::Status Listen(const PickerServerOptions& options) {
    grpc::ServerBuilder builder;
    KVROUTE_RETURN_IF_ERROR(AddListener(options.address, options.credentials, &builder));
    if (!options.plaintext_address.empty()) {
      plaintext_ = acceptors_.size();
      KVROUTE_RETURN_IF_ERROR(AddListener(options.plaintext_address, nullptr, &builder));
    }
    parts_.first_health_listener = acceptors_.size();
    if (!options.health_address.empty()) {
      KVROUTE_RETURN_IF_ERROR(AddListener(options.health_address, nullptr, &builder));
    }
    SetServerLimits({options.picker.max_body_bytes + kBesideTheBodyBytes,
                     kQuotaTimes * options.max_memory_bytes, StreamsOfAConnection(options)},
                    &builder);
    builder.RegisterService(&methods_);
    builder.RegisterService(&health_);
    loop_ = std::make_unique<EventLoop>(builder.AddCompletionQueue(), "picker");
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::UnavailableError("gRPC does not start");
    parts_.edge.loop = loop_.get();
    streams_ = std::make_unique<CallPlaces>(options.max_streams + kRefusedAtOnce, loop_.get());
    streams_->Start(
        [this](CallPlaces* places) { return std::make_unique<ProcessPlace>(places, parts_); });
    health_.Serve(parts_.edge);
    loop_->Start();
    connections_.Start([this](int fd, size_t listener) { Serve(fd, listener); },
                       [this](const ClientId& client) { router_->ClientGone(client); });
    return absl::OkStatus();
  }

  int port() const { return connections_.port(); }
  int plaintext_port() const { return plaintext_ == 0 ? 0 : connections_.port(plaintext_); }
  int health_port() const {
    const size_t health = parts_.first_health_listener;
    return health == acceptors_.size() ? 0 : connections_.port(health);
  }

  void SetServing(bool serving) { health_.SetServing(serving); }
  void SetFleetKnown(bool known) { picker_.SetFleetKnown(known); }

  Nanos SinceProgress() const {
    return std::max(loop_->SinceProgress(), connections_.SinceLastTurn());
  }

  void Shutdown(std::chrono::milliseconds grace) {
    if (server_ == nullptr || std::exchange(ended_, true)) return;
    connections_.StopListening();
    health_.Shutdown();
    ShutDownServer(server_.get(), loop_.get(), grace);
    long_work_.Stop();
    loop_->End();
    connections_.Stop();
  }

 private:
  using Acceptor = grpc::experimental::ExternalConnectionAcceptor;

  absl::Status AddListener(const std::string& address,
                           std::shared_ptr<grpc::ServerCredentials> credentials,
                           grpc::ServerBuilder* builder) {
    KVROUTE_RETURN_IF_ERROR(connections_.Listen(address));
    if (credentials == nullptr) credentials = grpc::InsecureServerCredentials();
    acceptors_.push_back(builder->experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        std::move(credentials)));
    return absl::OkStatus();
  }
  void Serve(int fd, size_t listener) {
    Acceptor::NewConnectionParameters connection;
    connection.fd = fd;
    acceptors_[listener]->HandleNewConnection(&connection);
  }

  Connections connections_;
  LongWork long_work_;
  EndpointPicker picker_;
  ProcessMethods methods_;
  HealthService health_;
  Router* const router_;
  ProcessParts parts_;
  size_t plaintext_ = 0;  // the listener's number; 0: none
  bool ended_ = false;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;  // by listener
  std::unique_ptr<CallPlaces> streams_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<grpc::Server> server_;
};

PickerServer::PickerServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

PickerServer::~PickerServer() { Shutdown(std::chrono::milliseconds(0)); }

absl::StatusOr<std::unique_ptr<PickerServer>> PickerServer::Start(
    const PickerServerOptions& options, const PickerSources& sources) {
  if (options.max_connections < 1) {
    return InvalidArgument("max_connections: {}; must be at least 1", options.max_connections);
  }
  const size_t longest = size_t{INT32_MAX} - kBesideTheBodyBytes;
  if (options.picker.max_body_bytes == 0 || options.picker.max_body_bytes > longest) {
    return InvalidArgument("max_body: {}; must be 1 to {}", options.picker.max_body_bytes, longest);
  }
  auto impl = std::make_unique<Impl>(options, sources);
  KVROUTE_RETURN_IF_ERROR(impl->Listen(options));
  return std::unique_ptr<PickerServer>(new PickerServer(std::move(impl)));
}

int PickerServer::port() const { return impl_->port(); }
int PickerServer::plaintext_port() const { return impl_->plaintext_port(); }
int PickerServer::health_port() const { return impl_->health_port(); }
void PickerServer::SetServing(bool serving) { impl_->SetServing(serving); }
void PickerServer::SetFleetKnown(bool known) { impl_->SetFleetKnown(known); }
Nanos PickerServer::SinceProgress() const { return impl_->SinceProgress(); }
void PickerServer::Shutdown(std::chrono::milliseconds grace) { impl_->Shutdown(grace); }

}  // namespace kvroute
