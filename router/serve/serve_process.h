#ifndef KVROUTE_ROUTER_SERVE_SERVE_PROCESS_H_
#define KVROUTE_ROUTER_SERVE_SERVE_PROCESS_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/index/prefix_index.h"
#include "indexer/source/zmq/zmq_source.h"
#include "indexer/stream/stream_registry.h"
#include "indexer/telemetry/http_server.h"
#include "router/config/config_watcher.h"
#include "router/edge/grpc_v1/server.h"
#include "router/edge/health/readiness.h"
#include "router/serve/live_config.h"

namespace kvroute {

// `kvroute serve`: every part of the process and who knows whom. Parts are made in the order of the
// members and end in the reverse order.
//
// Thread safety: one thread, which made it.
class ServeProcess {
 public:
  struct ConfigFile {
    std::string name;  // empty: none, nothing is watched
    std::string text;  // its content as `config` was loaded from
    ConfigOverrides overrides;
  };
  // Errors: one line that names the field, the file or the address.
  static absl::StatusOr<std::unique_ptr<ServeProcess>> Start(const ServeConfig& config,
                                                             const ConfigFile& file);
  ~ServeProcess();

  // "grpc=127.0.0.1:50051 http=127.0.0.1:9108", the ports really bound.
  std::string Addresses() const;

  // Passes readiness on to the gRPC health service; to be called every now and then.
  void Tick();
  // Reads the configuration file again even if it is the same.
  void Reload();
  // Health turns to NOT_SERVING, calls under way end or are cut off after shutdown.grace.
  void Shutdown();

 private:
  ServeProcess(const ServeConfig& config, const ConfigFile& file);
  absl::Status StartIngest();
  absl::Status StartGrpc();
  absl::Status StartHttp();
  void StartWatcher(const ConfigFile& file);

  HttpResponse MetricsPage();
  HttpResponse HealthPage();
  HttpResponse ReadyPage();
  HttpResponse StatusPage();
  Readiness::Report EvaluateReadiness();

  const ServeConfig config_;  // as started
  const ConfigFile file_;
  const Clock* const clock_ = &Clock::Real();
  const Nanos start_ = clock_->Monotonic();
  IngestCounters ingest_counters_;
  RoutingStats routing_stats_;
  PrefixIndex index_;
  StreamRegistry registry_;
  LoadTracker loads_;
  std::unique_ptr<ZmqSource> engines_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<LiveConfig> live_;
  Readiness readiness_;
  std::unique_ptr<GrpcServer> grpc_;
  std::unique_ptr<HttpServer> http_;
  // http_ for its own pages, which are asked from the moment it listens: before Start has returned.
  std::atomic<const HttpServer*> listening_{nullptr};
  std::unique_ptr<ConfigWatcher> watcher_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_SERVE_PROCESS_H_
