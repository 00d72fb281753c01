#include "router/edge/grpc_v1/server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <array>

#include "indexer/base/error.h"
#include "router/edge/grpc_base/connections.h"
#include "router/edge/grpc_base/event_loop.h"
#include "router/edge/grpc_base/health_service.h"
#include "router/edge/grpc_base/long_work.h"
#include "router/edge/grpc_base/server_settings.h"
#include "router/edge/grpc_v1/fleet_service.h"
#include "router/edge/grpc_v1/radix_service.h"
#include "router/edge/grpc_v1/reflection_service.h"
#include "router/edge/grpc_v1/router_service.h"

namespace kvroute {
namespace {

// gRPC's own quota cancels calls of whomever it likes: Connections cuts off those who have most of
// it long before.
constexpr size_t kQuotaTimes = 2;

constexpr std::array<const char*, 5> kServiceNames = {
    "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "kvroute.v1.Fleet",
    "kvroute.v1.Router", "radix_index.RadixIndex"};

// Clients that balance by health ask by the service that they call.
HealthService::Services HealthNames() {
  HealthService::Services names = {{"", HealthOf::kReadiness},
                                   {"liveness", HealthOf::kLiveness},
                                   {"readiness", HealthOf::kReadiness}};
  for (const char* name : kServiceNames) names.emplace_back(name, HealthOf::kReadiness);
  return names;
}

int CallsOfAConnection(const GrpcServerOptions& options) {
  return limits::kMaxCallsPerConnection + static_cast<int>(options.max_streams);
}

}  // namespace

class GrpcServer::Impl {
 public:
  Impl(const GrpcServerOptions& options, Router* router, Fleet* fleet, RoutingStats* stats)
      : router_(router),
        connections_(
            {"grpc",
             options.max_connections,
             options.max_memory_bytes - options.max_memory_bytes / 4,
             {static_cast<uint64_t>(2 * CallsOfAConnection(options)), options.write_timeout}},
            {&stats->connections, &stats->ended_connections}),
        answers_(options.max_memory_bytes / 4),
        long_work_(static_cast<size_t>(options.max_threads),
                   std::min(limits::kMaxLongCallBytes, options.max_memory_bytes / 2),
                   options.requests),
        streams_(
            "grpc.max_streams", options.max_streams,
            {&stats->open_rpc_streams, &stats->refused_rpc_streams, &stats->ended_rpc_streams}),
        router_service_(router, {options.max_streams, &streams_, options.stream_idle_timeout}),
        fleet_service_(fleet, stats),
        radix_service_(router, stats, &streams_, options.max_streams, options.stream_idle_timeout),
        health_service_(HealthNames()),
        reflection_service_({kServiceNames.begin(), kServiceNames.end()}),
        parts_{nullptr,          &long_work_, &connections_, stats, options.write_timeout,
               options.requests, &answers_} {}

  absl::Status Listen(const GrpcServerOptions& options) {
    KVROUTE_RETURN_IF_ERROR(connections_.Listen(options.address));
    grpc::ServerBuilder builder;
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        options.credentials ? options.credentials : grpc::InsecureServerCredentials());
    SetServerLimits({options.max_message_bytes, kQuotaTimes * options.max_memory_bytes,
                     CallsOfAConnection(options), options.times},
                    &builder);
    builder.RegisterService(&router_service_);
    builder.RegisterService(&fleet_service_);
    builder.RegisterService(&radix_service_);
    builder.RegisterService(&health_service_);
    builder.RegisterService(&reflection_service_);
    loop_ = std::make_unique<EventLoop>(builder.AddCompletionQueue(), "grpc-queries");
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::UnavailableError("gRPC does not start");
    parts_.loop = loop_.get();
    router_service_.Serve(parts_);
    fleet_service_.Serve(parts_);
    radix_service_.Serve(parts_);
    health_service_.Serve(parts_);
    reflection_service_.Serve(parts_);
    loop_->Start();
    connections_.Start([this](int fd, size_t) { Serve(fd); },
                       [this](const ClientId& client) { router_->ClientGone(client); });
    return absl::OkStatus();
  }

  int port() const { return connections_.port(); }

  void SetServing(bool serving) { health_service_.SetServing(serving); }

  Nanos SinceProgress() const {
    return std::max(loop_->SinceProgress(), connections_.SinceLastTurn());
  }

  void Shutdown(std::chrono::milliseconds grace) {
    if (server_ == nullptr) return;
    connections_.StopListening();
    health_service_.Shutdown();
    fleet_service_.Shutdown();
    ShutDownServer(server_.get(), loop_.get(), grace);
    long_work_.Stop();
    loop_->End();
    connections_.Stop();
  }

 private:
  void Serve(int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    acceptor_->HandleNewConnection(&connection);
  }

  Router* const router_;
  Connections connections_;
  MemoryBudget answers_;  // that have not left
  LongWork long_work_;
  RpcStreams streams_;
  RouterService router_service_;
  FleetService fleet_service_;
  RadixService radix_service_;
  HealthService health_service_;
  ReflectionService reflection_service_;
  EdgeParts parts_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<grpc::Server> server_;
};

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcServer::~GrpcServer() { Shutdown(std::chrono::milliseconds(0)); }

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              Router* router, Fleet* fleet,
                                                              RoutingStats* stats) {
  if (options.max_threads < 1) {
    return InvalidArgument("max_threads: {}; must be at least 1", options.max_threads);
  }
  if (options.max_connections < 1) {
    return InvalidArgument("max_connections: {}; must be at least 1", options.max_connections);
  }
  if (options.max_message_bytes == 0 || options.max_message_bytes > size_t{INT32_MAX}) {
    return InvalidArgument("max_message_bytes: {}; must be 1 to {}", options.max_message_bytes,
                           INT32_MAX);
  }
  auto impl = std::make_unique<Impl>(options, router, fleet, stats);
  KVROUTE_RETURN_IF_ERROR(impl->Listen(options));
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

int GrpcServer::port() const { return impl_->port(); }

void GrpcServer::SetServing(bool serving) { impl_->SetServing(serving); }

Nanos GrpcServer::SinceProgress() const { return impl_->SinceProgress(); }

void GrpcServer::Shutdown(std::chrono::milliseconds grace) { impl_->Shutdown(grace); }

}  // namespace kvroute
