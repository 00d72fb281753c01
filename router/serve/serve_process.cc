#include "router/serve/serve_process.h"

#include "indexer/base/error.h"
#include "indexer/base/log.h"
#include "indexer/telemetry/process_metrics.h"
#include "kvroute_build_info.h"
#include "router/edge/health/health.h"
#include "router/edge/page/metrics_page.h"
#include "router/edge/page/status_page.h"

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kWatchInterval(500);

// The host that was asked for with the port that was bound.
std::string Bound(const std::string& listen, int port) {
  return fmt::format("{}:{}", std::string_view(listen).substr(0, listen.rfind(':')), port);
}

absl::Status At(std::string_view field, const absl::Status& status) {
  return Error(status.code(), "{}: {}", field, MessageOf(status));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServeProcess>> ServeProcess::Start(const ServeConfig& config,
                                                                  const ConfigFile& file) {
  std::unique_ptr<ServeProcess> process(new ServeProcess(config, file));
  if (absl::Status status = process->StartIngest(); !status.ok()) return status;
  if (absl::Status status = process->StartGrpc(); !status.ok()) return status;
  if (absl::Status status = process->StartHttp(); !status.ok()) return status;
  process->StartWatcher(file);
  process->Tick();
  return process;
}

ServeProcess::ServeProcess(const ServeConfig& config, const ConfigFile& file)
    : config_(config),
      file_(file),
      index_({.max_streams = config.ingest.max_streams}),
      registry_(&index_, config.ingest.max_streams),
      loads_(
          {.lease_timeout = config.routing.lease_timeout, .max_leases = config.routing.max_leases},
          clock_),
      readiness_(clock_) {}

// A lane may be about to tell the fleet of a stream.
ServeProcess::~ServeProcess() {
  if (engines_ != nullptr) engines_->Stop();
}

absl::Status ServeProcess::StartIngest() {
  auto engines = ZmqSource::Start(config_.ingest.zmq, &registry_, &ingest_counters_, clock_);
  if (!engines.ok()) return At("ingest", engines.status());
  engines_ = *std::move(engines);
  fleet_ = std::make_unique<Fleet>(FleetOptions{.max_streams = config_.ingest.max_streams},
                                   engines_.get(), &loads_);
  router_ =
      std::make_unique<Router>(RouterOptions{.default_policy = config_.routing.policy,
                                             .tie_break_seed = config_.routing.tie_break_seed},
                               &index_, fleet_.get(), &loads_, &routing_stats_, clock_);
  live_ = std::make_unique<LiveConfig>(config_, file_.name, file_.overrides, fleet_.get(),
                                       router_.get(), clock_);
  if (absl::Status status = live_->ApplyInitial(); !status.ok()) return At("workers", status);
  for (size_t i = 0; i < config_.listeners.size(); ++i) {
    absl::Status status = engines_->AddListener(
        config_.listeners[i].config,
        [this](const DiscoveredStream& stream) { return fleet_->AddDiscovered(stream); },
        [this](StreamId stream) { fleet_->RemoveExpired(stream); });
    if (!status.ok()) return At(fmt::format("listeners[{}]", i), status);
  }
  return absl::OkStatus();
}

absl::Status ServeProcess::StartGrpc() {
  auto credentials = ServerCredentialsFrom(config_.grpc.tls);
  if (!credentials.ok()) return credentials.status();
  auto grpc = GrpcServer::Start({.address = config_.grpc.listen,
                                 .credentials = *credentials,
                                 .max_threads = config_.grpc.max_threads,
                                 .max_memory_bytes = config_.grpc.max_memory_bytes,
                                 .max_message_bytes = config_.grpc.max_message_bytes,
                                 .max_streams = config_.grpc.max_streams},
                                router_.get(), fleet_.get(), &routing_stats_);
  if (!grpc.ok()) return At("grpc.listen", grpc.status());
  grpc_ = *std::move(grpc);
  return absl::OkStatus();
}

absl::Status ServeProcess::StartHttp() {
  HttpServer::Pages pages;
  pages["/metrics"] = {.handler = [this] { return MetricsPage(); }};
  pages["/healthz"] = {.handler = [this] { return HealthPage(); }, .quick = true};
  pages["/readyz"] = {.handler = [this] { return ReadyPage(); }, .quick = true};
  pages["/status"] = {.handler = [this] { return StatusPage(); }};
  auto http = HttpServer::Start({.listen = config_.http.listen, .threads = config_.http.threads},
                                std::move(pages));
  if (!http.ok()) return At("http.listen", http.status());
  http_ = *std::move(http);
  listening_.store(http_.get(), std::memory_order_release);
  return absl::OkStatus();
}

void ServeProcess::StartWatcher(const ConfigFile& file) {
  if (file.name.empty()) return;
  watcher_ = std::make_unique<ConfigWatcher>(
      file.name, file.text, kWatchInterval,
      [this](const absl::StatusOr<std::string>& text) { live_->Reload(text); });
}

std::string ServeProcess::Addresses() const {
  return fmt::format("grpc={} http={}", Bound(config_.grpc.listen, grpc_->port()),
                     Bound(config_.http.listen, http_->port()));
}

void ServeProcess::Tick() { grpc_->SetServing(EvaluateReadiness().ready); }

void ServeProcess::Reload() {
  if (watcher_ != nullptr) watcher_->Poke();
}

void ServeProcess::Shutdown() {
  readiness_.End();
  watcher_.reset();
  grpc_->SetServing(false);
  grpc_->Shutdown(live_->config().shutdown_grace);
  http_.reset();
}

Readiness::Report ServeProcess::EvaluateReadiness() {
  return readiness_.Evaluate(*fleet_->Snapshot(), live_->config().readiness_grace);
}

HttpResponse ServeProcess::MetricsPage() {
  const HttpServer* http = listening_.load(std::memory_order_acquire);
  if (http == nullptr) return {.status = 503, .body = "starting\n"};
  Exposition out;
  AddBuildInfo(&out);
  out.Add(Metric::kReady, EvaluateReadiness().ready);
  const ConfigReport config = live_->report();
  out.Add(Metric::kConfigReloads, {"applied"}, static_cast<double>(config.applied));
  out.Add(Metric::kConfigReloads, {"failed"}, static_cast<double>(config.failed));
  out.Add(Metric::kConfigLastReload, static_cast<double>(config.in_force_since_unix_ns) / 1e9);
  for (const int status : HttpServer::kStatuses) {
    out.Add(Metric::kHttpRequests, {std::to_string(status)},
            static_cast<double>(http->Answered(status)));
  }
  out.Add(Metric::kHttpEvicted, static_cast<double>(http->Evicted()));
  out.Add(Metric::kLogDropped, static_cast<double>(LogLinesDropped()));
  AddIngestMetrics(ingest_counters_, &out);
  AddIndexMetrics(index_.Stats(), &out);
  AddRoutingMetrics(routing_stats_, loads_.Stats(), &out);
  AddFleetMetrics(*fleet_->Snapshot(), live_->config().http.per_stream_metrics, &out);
  AddProcessMetrics(&out);
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = out.Text()};
}

HttpResponse ServeProcess::HealthPage() { return HealthOf(engines_->LaneAges()); }

HttpResponse ServeProcess::ReadyPage() {
  const Readiness::Report report = EvaluateReadiness();
  std::string body = report.ready ? "ready\n" : "not ready\n";
  for (const std::string& line : report.waiting) body += line + "\n";
  return {.status = report.ready ? 200 : 503, .body = std::move(body)};
}

HttpResponse ServeProcess::StatusPage() {
  const HttpServer* http = listening_.load(std::memory_order_acquire);
  if (http == nullptr) return {.status = 503, .body = "starting\n"};
  return {.content_type = "application/json",
          .body = StatusJson({.grpc_address = Bound(config_.grpc.listen, grpc_->port()),
                              .http_address = Bound(config_.http.listen, http->port()),
                              .uptime = clock_->Monotonic() - start_,
                              .config = live_->report(),
                              .policy = std::string(PolicyName(live_->config().routing.policy)),
                              .readiness = EvaluateReadiness(),
                              .index = index_.Stats(),
                              .loads = loads_.Stats(),
                              .fleet = fleet_->Snapshot()})};
}

}  // namespace kvroute
