// What the process says of itself: its pages.
#include "indexer/base/log.h"
#include "indexer/telemetry/process_metrics.h"
#include "router/edge/ext_proc/picker_metrics.h"
#include "router/edge/health/health.h"
#include "router/edge/page/llmd_metrics.h"
#include "router/edge/page/metrics_page.h"
#include "router/edge/page/status_page.h"
#include "router/serve/serve_process.h"

namespace kvroute {
namespace {

// Where nobody listens there is nothing to tell.
void AddHttpJsonMetrics(const HttpServer* server, Exposition* out) {
  if (server == nullptr) return;
  for (const int status : HttpServer::kStatuses) {
    out->Add(Metric::kHttpJsonRequests, {std::to_string(status)},
             static_cast<double>(server->Answered(status)));
  }
  out->Add(Metric::kHttpJsonEvicted, static_cast<double>(server->Evicted()));
}

}  // namespace

HttpResponse ServeProcess::MetricsPage(bool open) {
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
  AddHttpJsonMetrics(json_listening_.load(std::memory_order_acquire), &out);
  out.Add(Metric::kLogDropped, static_cast<double>(LogLinesDropped()));
  for (const ThreadAge& thread : ThreadAges()) {
    out.Add(Metric::kThreadStalled, {thread.name},
            std::chrono::duration<double>(thread.without_progress).count());
  }
  AddIngestMetrics(ingest_counters_, &out);
  AddIndexMetrics(index_.Stats(), &out);
  AddMemoryMetrics(MemoryNow(), &out);
  AddRoutingMetrics(routing_stats_, loads_.Stats(), &out);
  AddCertificateMetrics("grpc", grpc_certificates_.get(), &out);
  AddCertificateMetrics("picker", picker_certificates_.get(), &out);
  AddPickerMetrics(picker_stats_, &out);
  AddDiscoveryMetrics(finders_->Report(), &out);
  if (rendering_ != nullptr) AddRenderMetrics(*rendering_->renderer(), &out);
  AddFleetMetrics(*fleet_->Snapshot(), live_->config()->http.per_stream_metrics, &out);
  AddProcessMetrics(&out);
  // What llm-d's dashboards read exists in the one format.
  if (open && !live_->config()->http.llm_d_metrics) {
    return {.content_type = Exposition::kOpenMetricsType, .body = out.OpenMetricsText()};
  }
  std::string text = out.Text();
  if (live_->config()->http.llm_d_metrics) {
    const auto fleet = fleet_->Snapshot();
    const std::string& pool = config_.discovery.kubernetes.pool;
    text += LlmdMetricsText({.pool = pool.empty() ? "kvroute" : pool,
                             .fleet = fleet.get(),
                             .routing = &routing_stats_,
                             .ingest = &ingest_counters_,
                             .errors = LlmdErrorCounts(picker_stats_)});
  }
  return {.content_type = Exposition::kTextType, .body = std::move(text)};
}

MemoryReport ServeProcess::MemoryNow() const {
  return {.limit_bytes = memory_.limit(), .used_bytes = ResidentBytes(), .parts = PartsNow()};
}

std::array<MemoryReport::Part, kMemoryPartCount> ServeProcess::PartsNow() const {
  std::array<MemoryReport::Part, kMemoryPartCount> parts;
  const auto of = [&parts](MemoryPart part) -> MemoryReport::Part& {
    return parts[static_cast<size_t>(part)];
  };
  for (size_t i = 0; i < kMemoryPartCount; ++i) {
    const MemoryBudget& budget = memory_.of(static_cast<MemoryPart>(i));
    parts[i] = {budget.limit(), budget.used(), budget.refused()};
  }
  of(MemoryPart::kIndex).used_bytes = index_.UsedBytes();
  of(MemoryPart::kLeases).used_bytes = loads_.Stats().leases * LoadTracker::kLeaseBytes;
  if (rendering_ != nullptr) {
    const HttpRendererStats stats = rendering_->renderer()->Stats();
    of(MemoryPart::kPrompts).used_bytes = router_->TextBytes() + stats.memory.bytes + stats.bytes;
  }
  for (const MemoryPart part : {MemoryPart::kReceived, MemoryPart::kGrpc}) {
    of(part).used_bytes = std::nullopt;  // their libraries' secret
  }
  return parts;
}

// Whatever has a thread with work to do for somebody else.
std::vector<ThreadAge> ServeProcess::ThreadAges() const {
  std::vector<ThreadAge> ages = engines_->ThreadAges();
  ages.push_back({"grpc-queries", grpc_->SinceProgress()});
  if (picker_ != nullptr) ages.push_back({"picker", picker_->SinceProgress()});
  for (ThreadAge& age : watchdog_.Ages(clock_->Monotonic())) ages.push_back(std::move(age));
  return ages;
}

HttpResponse ServeProcess::HealthPage() { return HealthOf(ThreadAges()); }

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
                              .picker_address = picker_ == nullptr
                                                    ? std::string()
                                                    : Bound(config_.picker.listen, picker_->port()),
                              .picker_streams = picker_stats_.open_streams.load(),
                              .uptime = clock_->Monotonic() - start_,
                              .config = live_->report(),
                              .policy = std::string(PolicyName(live_->config()->routing.policy)),
                              .readiness = EvaluateReadiness(),
                              .index = index_.Stats(),
                              .memory = MemoryNow(),
                              .loads = loads_.Stats(),
                              .discovery = finders_->Report(),
                              .renderers = rendering_ == nullptr ? std::vector<RendererReport>()
                                                                 : rendering_->renderer()->Report(),
                              .fleet = fleet_->Snapshot()})};
}

}  // namespace kvroute
