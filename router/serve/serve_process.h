#ifndef KVROUTE_ROUTER_SERVE_SERVE_PROCESS_H_
#define KVROUTE_ROUTER_SERVE_SERVE_PROCESS_H_

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/heap.h"
#include "indexer/base/memory_budget.h"
#include "indexer/base/watchdog.h"
#include "indexer/index/prefix_index.h"
#include "indexer/source/zmq/zmq_source.h"
#include "indexer/stream/stream_registry.h"
#include "indexer/telemetry/http_server.h"
#include "router/config/config_watcher.h"
#include "router/edge/ext_proc/server.h"
#include "router/edge/grpc_base/certificate_files.h"
#include "router/edge/grpc_v1/server.h"
#include "router/edge/health/readiness.h"
#include "router/edge/http_json/http_json_server.h"
#include "router/edge/page/memory_report.h"
#include "router/fleet/fleet_log.h"
#include "router/http/http_client.h"
#include "router/serve/engine_finders.h"
#include "router/serve/live_config.h"
#include "router/serve/memory_plan.h"
#include "router/serve/prompt_rendering.h"

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
  // About as many threads as it has from the start, at least.
  static size_t ThreadsOf(const ServeConfig& config);

  // "grpc=127.0.0.1:50051 http=127.0.0.1:9108", and http_json=… where it is served; the ports
  // really bound.
  std::string Addresses() const;

  // Passes readiness on to the gRPC health service, and looks whether threads go on; to be called
  // every second or more often.
  void Tick();
  // Reads the configuration file again even if it is the same.
  void Reload();
  // Readiness and health say no from now on, and all is still served: for how long that should last
  // (shutdown.lame_duck). Idempotent.
  std::chrono::milliseconds TakeLeave();
  // Health turns to NOT_SERVING, calls under way end or are cut off after shutdown.grace.
  void Shutdown();

 private:
  ServeProcess(const ServeConfig& config, const ConfigFile& file);
  absl::Status StartIngest();
  absl::Status StartFinders();
  absl::Status StartGrpc();
  void StartRendering();
  absl::Status StartPicker();
  absl::Status StartHttp();
  absl::Status StartHttpJson();
  void StartWatcher(const ConfigFile& file);
  void ShutDownEdges(std::chrono::milliseconds grace);
  Readiness::Report EvaluateReadiness();

  // The host that was asked for with the port that was bound.
  static std::string Bound(const std::string& listen, int port);

  // serve_process_pages.cc
  std::vector<ThreadAge> ThreadAges() const;
  HttpResponse MetricsPage(bool open);  // as OpenMetrics
  HttpResponse HealthPage();
  HttpResponse ReadyPage();
  HttpResponse StatusPage();
  MemoryReport MemoryNow() const;
  std::array<MemoryReport::Part, kMemoryPartCount> PartsNow() const;

  const ServeConfig given_;  // as started
  MemoryBudgets memory_;
  ServeConfig config_;  // the same, but for what does not fit into the memory
  const MemoryPlan plan_;
  HeapReturn heap_return_;
  const ConfigFile file_;
  const Clock* const clock_ = &Clock::Real();
  const Nanos start_ = clock_->Monotonic();
  Nanos free_memory_at_ = start_;  // when long stretches of it are next returned to the system
  IngestCounters ingest_counters_;
  RoutingStats routing_stats_;
  PickerStats picker_stats_;
  FleetLog fleet_log_;
  Nanos say_changes_at_ = start_;
  Watchdog watchdog_;
  PrefixIndex index_;
  StreamRegistry registry_;
  LoadTracker loads_;
  std::unique_ptr<ZmqSource> engines_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<LiveConfig> live_;
  std::unique_ptr<HttpClient> client_;
  std::unique_ptr<EngineFinders> finders_;
  Readiness readiness_;
  // nullptr: none in files.
  std::unique_ptr<CertificateFiles> grpc_certificates_, picker_certificates_;
  std::unique_ptr<GrpcServer> grpc_;
  std::unique_ptr<PromptRendering> rendering_;  // nullptr: nobody sends text
  std::unique_ptr<PickerServer> picker_;        // nullptr: none is configured
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<HttpJsonServer> http_json_;  // may be null
  // Both for the pages of http_, which are asked from the moment it listens: before Start has
  // returned.
  std::atomic<const HttpServer*> listening_{nullptr};
  std::atomic<const HttpServer*> json_listening_{nullptr};
  std::unique_ptr<ConfigWatcher> watcher_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_SERVE_PROCESS_H_
