#include "router/edge/grpc_v1/server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <future>

#include "indexer/base/error.h"
#include "indexer/base/named_thread.h"
#include "router/edge/grpc_v1/event_loop.h"
#include "router/edge/grpc_v1/fleet_service.h"
#include "router/edge/grpc_v1/router_service.h"
#include "router/edge/health/health_service.h"

namespace kvroute {
namespace {

constexpr int kMinPollers = 2;
constexpr int kMaxPollers = 16;
// No call for so long: the last answers are on their way, too.
constexpr std::chrono::milliseconds kQuiet(100);

}  // namespace

class GrpcServer::Impl {
 public:
  Impl(const GrpcServerOptions& options, Router* router, Fleet* fleet, RoutingStats* stats)
      : stats_(stats),
        router_service_(router, stats, options.max_streams),
        fleet_service_(fleet, stats) {}

  // False when gRPC cannot listen; it does not say why.
  bool Listen(const GrpcServerOptions& options) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(
        options.address,
        options.credentials ? options.credentials : grpc::InsecureServerCredentials(), &port_);
    // Otherwise a second server on the same port would silently take half of the calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
    builder.SetResourceQuota(grpc::ResourceQuota("kvroute")
                                 .SetMaxThreads(options.max_threads)
                                 .Resize(options.max_memory_bytes));
    // Idle threads stay: with gRPC's default of at most two, a burst pays for creating and ending
    // threads.
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, kMinPollers);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, kMaxPollers);
    builder.AddChannelArgument(
        GRPC_ARG_MAX_CONCURRENT_STREAMS,
        limits::kMaxCallsPerConnection + static_cast<int>(options.max_streams));
    builder.RegisterService(&router_service_);
    builder.RegisterService(&fleet_service_);
    builder.RegisterService(&health_service_);
    loop_ = std::make_unique<EventLoop>(builder.AddCompletionQueue());
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) return false;
    router_service_.Serve(loop_.get());
    loop_->Start();
    return true;
  }

  int port() const { return port_; }

  void SetServing(bool serving) { health_service_.SetServing(serving); }

  void Shutdown(std::chrono::milliseconds grace) {
    if (server_ == nullptr) return;
    health_service_.Shutdown();
    std::promise<void> ended;
    NamedThread closer("grpc-shutdown", [this, grace, &ended] {
      server_->Shutdown(std::chrono::system_clock::now() + grace);
      ended.set_value();
    });
    loop_->AwaitLastCall();
    if (!EndsBeforeQuiet(ended.get_future())) grpc_server_cancel_all_calls(server_->c_server());
    closer.Join();
    server_->Wait();
    loop_->End();
  }

 private:
  // gRPC waits for every connection to go, and an idle client looks at its own every few seconds
  // only. False when no call has run for a while and nothing is waited for but such connections.
  bool EndsBeforeQuiet(const std::future<void>& ended) {
    const auto& running = stats_->running_calls;
    do {
      for (uint64_t calls = running; calls != 0; calls = running) running.wait(calls);
      if (ended.wait_for(kQuiet) == std::future_status::ready) return true;
    } while (running != 0);
    return false;
  }

  RoutingStats* const stats_;
  RouterService router_service_;
  FleetService fleet_service_;
  HealthService health_service_;
  int port_ = 0;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<grpc::Server> server_;
};

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcServer::~GrpcServer() { Shutdown(std::chrono::milliseconds(0)); }

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              Router* router, Fleet* fleet,
                                                              RoutingStats* stats) {
  if (options.max_threads < kMinPollers) {
    return InvalidArgument("max_threads: {}; must be at least {}", options.max_threads,
                           kMinPollers);
  }
  if (options.max_message_bytes == 0 || options.max_message_bytes > size_t{INT32_MAX}) {
    return InvalidArgument("max_message_bytes: {}; must be 1 to {}", options.max_message_bytes,
                           INT32_MAX);
  }
  auto impl = std::make_unique<Impl>(options, router, fleet, stats);
  if (!impl->Listen(options)) {
    return Error(absl::StatusCode::kUnavailable,
                 "address: cannot listen at \"{}\" (in use, not an address of this machine, or not "
                 "permitted)",
                 options.address);
  }
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

int GrpcServer::port() const { return impl_->port(); }

void GrpcServer::SetServing(bool serving) { impl_->SetServing(serving); }

void GrpcServer::Shutdown(std::chrono::milliseconds grace) { impl_->Shutdown(grace); }

}  // namespace kvroute
