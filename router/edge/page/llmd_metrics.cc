#include "router/edge/page/llmd_metrics.h"

#include <fmt/core.h>

#include <chrono>
#include <optional>
#include <string_view>

#include "kvroute_build_info.h"

namespace kvroute {
namespace {

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// Writes families in the text format, each sample behind its family's head.
class LlmdPage {
 public:
  void Family(std::string_view name, std::string_view type) {
    name_ = name;
    text_ += fmt::format("# TYPE {} {}\n", name, type);
  }
  void Sample(std::string_view labels, double value) { Line(name_, labels, value); }
  void Single(std::string_view name, std::string_view type, std::string_view labels, double value) {
    Family(name, type);
    Sample(labels, value);
  }
  void Histogram(std::string_view name, const LatencyHistogram::Snapshot& of) {
    Family(name, "histogram");
    uint64_t cumulative = 0;
    for (int bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
      cumulative += of.buckets[static_cast<size_t>(bucket)];
      if (bucket % LatencyHistogram::kSplits != 0) continue;
      const double bound =
          std::chrono::duration<double>(LatencyHistogram::UpperBound(bucket)).count();
      Line(name_ + "_bucket", fmt::format("le=\"{}\"", bound), static_cast<double>(cumulative));
    }
    Line(name_ + "_bucket", "le=\"+Inf\"", static_cast<double>(of.count));
    Line(name_ + "_sum", "", std::chrono::duration<double>(of.sum).count());
    Line(name_ + "_count", "", static_cast<double>(of.count));
  }
  void Append(std::string_view lines) { text_ += lines; }
  std::string Take() { return std::move(text_); }

 private:
  void Line(std::string_view name, std::string_view labels, double value) {
    text_ += labels.empty() ? fmt::format("{} {}\n", name, value)
                            : fmt::format("{}{{{}}} {}\n", name, labels, value);
  }

  std::string name_;
  std::string text_;
};

double Read(const RoutingStats::Counter& counter) {
  return static_cast<double>(counter.load(std::memory_order_relaxed));
}

// Every model is asked for by its own name; flows and priorities are not told apart.
std::string RequestLabels(std::string_view model) {
  const std::string name = Escaped(model);
  return fmt::format(
      "model_name=\"{}\",target_model_name=\"{}\",fairness_id=\"default-flow\",priority=\"0\"",
      name, name);
}

void AddRequests(const LlmdSources& from, LlmdPage* page) {
  page->Family("llm_d_epp_request_total", "counter");
  for (const ModelTargets& model : from.fleet->models) {
    page->Sample(RequestLabels(model.model), Read(model.state->routed));
  }
  page->Family("llm_d_epp_request_error_total", "counter");
  for (const auto& [code, count] : from.errors) {
    page->Sample(RequestLabels("") + fmt::format(",error_code=\"{}\"", code),
                 static_cast<double>(count));
  }
  page->Family("llm_d_epp_request_running", "gauge");
  for (const ModelTargets& model : from.fleet->models) {
    double running = 0;
    for (uint32_t i = model.begin; i < model.end; ++i) {
      running += from.fleet->targets[i].load->requests_in_flight.load(std::memory_order_relaxed);
    }
    page->Sample(RequestLabels(model.model), running);
  }
  page->Histogram("llm_d_epp_scheduler_e2e_duration_seconds", from.routing->route_latency.Read());
}

// What engines say of themselves; of those that do not, or did so too long ago, nothing.
void AddEngines(const LlmdSources& from, LlmdPage* page) {
  const std::string pool = fmt::format("name=\"{}\"", Escaped(from.pool));
  double ready = 0, asked = 0, usage = 0, queue = 0, running = 0;
  std::string queues;
  for (const FleetTarget& target : from.fleet->targets) {
    const EngineReport& said = target.load->engine;
    if (target.worker->TakesRequests(target.rank)) ++ready;
    if (!said.is_fresh.load(std::memory_order_relaxed)) continue;
    const double waiting = said.waiting.load(std::memory_order_relaxed);
    ++asked;
    usage += said.kv_usage_millionths.load(std::memory_order_relaxed) / 1e6;
    queue += waiting;
    running += said.running.load(std::memory_order_relaxed);
    queues +=
        fmt::format("llm_d_epp_per_endpoint_queue_size{{{},model_server_endpoint=\"{}\"}} {}\n",
                    pool, Escaped(target.worker->spec.AddressOf(target.rank)), waiting);
  }
  page->Single("llm_d_epp_ready_endpoints", "gauge", pool, ready);
  if (asked == 0) return;
  page->Single("llm_d_epp_average_kv_cache_utilization", "gauge", pool, usage / asked);
  page->Single("llm_d_epp_average_queue_size", "gauge", pool, queue / asked);
  page->Single("llm_d_epp_average_running_requests", "gauge", pool, running / asked);
  page->Family("llm_d_epp_per_endpoint_queue_size", "gauge");
  page->Append(queues);
}

void AddAttempts(const LlmdSources& from, LlmdPage* page) {
  page->Family("llm_d_epp_scheduler_attempts_total", "counter");
  for (const FleetTarget& target : from.fleet->targets) {
    const WorkerSpec& spec = target.worker->spec;
    const size_t slash = spec.worker_id.find('/');
    const std::string_view id = spec.worker_id;
    const bool named = slash != std::string::npos;
    const std::optional<Endpoint>& at = target.worker->EndpointOf(target.rank);
    page->Sample(fmt::format("status=\"success\",target_model_name=\"{}\",endpoint_name=\"{}\","
                             "namespace=\"{}\",port=\"{}\"",
                             Escaped(spec.model), Escaped(named ? id.substr(slash + 1) : id),
                             Escaped(named ? id.substr(0, slash) : ""), at ? at->port : 0),
                 target.load->begun.load(std::memory_order_relaxed));
  }
  double failed = 0;
  const auto& codes = from.routing->requests[static_cast<size_t>(RpcMethod::kRoute)];
  for (size_t code = 1; code < codes.size(); ++code) failed += Read(codes[code]);
  page->Sample(
      "status=\"failure\",target_model_name=\"\",endpoint_name=\"\",namespace=\"\","
      "port=\"\"",
      failed);
}

void AddIndex(const LlmdSources& from, LlmdPage* page) {
  const LatencyHistogram::Snapshot lookups = from.routing->match_latency.Read();
  double hits = 0, stored = 0, removed = 0;
  for (size_t i = 1; i < from.routing->matched_tenths.size(); ++i) {
    hits += Read(from.routing->matched_tenths[i]);
  }
  for (size_t i = 0; i < kEngineKindCount; ++i) {
    const auto blocks = [&](BlockOutcome outcome) {
      return static_cast<double>(from.ingest->Blocks(static_cast<EngineKind>(i), outcome));
    };
    stored += blocks(BlockOutcome::kAdded) + blocks(BlockOutcome::kAdopted);
    removed += blocks(BlockOutcome::kRemoved);
  }
  for (const std::string prefix : {"kvcache_index_", "llm_d_epp_kv_cache_index_"}) {
    page->Single(prefix + "lookup_requests_total", "counter", "",
                 static_cast<double>(lookups.count));
    page->Single(prefix + "lookup_hits_total", "counter", "", hits);
    page->Histogram(prefix + "lookup_latency_seconds", lookups);
    page->Single(prefix + "admissions_total", "counter", "", stored);
    page->Single(prefix + "evictions_total", "counter", "", removed);
  }
}

}  // namespace

std::string LlmdMetricsText(const LlmdSources& sources) {
  LlmdPage page;
  page.Single("llm_d_epp_info", "gauge",
              fmt::format("commit=\"{}\",build_ref=\"kvroute {}\"", kCommit, kVersion), 1);
  AddRequests(sources, &page);
  AddEngines(sources, &page);
  AddAttempts(sources, &page);
  AddIndex(sources, &page);
  return page.Take();
}

}  // namespace kvroute
