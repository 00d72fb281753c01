#include "router/edge/page/status_page.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "kvroute_build_info.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

// The reasons that were counted, by name.
template <typename Counters>
Json ByReason(const Counters& counters) {
  Json out = Json::object();
  for (size_t i = 0; i < counters.size(); ++i) {
    const uint64_t count = counters[i].load(std::memory_order_relaxed);
    if (count != 0) out[std::string(DecodeReasonName(static_cast<DecodeReason>(i)))] = count;
  }
  return out;
}

// What the target's engine says of itself; null: it was not asked.
Json EngineJson(const EngineReport& engine) {
  const EngineHealth health = engine.health.load();
  const bool is_pushed = engine.is_pushed.load();
  if (health == EngineHealth::kNotAsked && !is_pushed) return nullptr;
  Json out = {{"health", kEngineHealthNames[health]}, {"pushed", is_pushed}};
  const int64_t at = engine.at_ns.load();
  if (at == 0) return out;
  out["waiting"] = engine.waiting.load();
  out["running"] = engine.running.load();
  out["kv_usage"] = engine.kv_usage_millionths.load() / 1e6;
  out["capacity_blocks"] = engine.capacity_blocks.load();
  out["age_ms"] = (Clock::Real().Monotonic() - Nanos(at)) / std::chrono::milliseconds(1);
  return out;
}

Json StreamJson(const FleetTarget& target) {
  const StreamStatus& stream = *target.stream;
  return {{"rank", target.rank},
          {"address", target.worker->spec.AddressOf(target.rank)},
          {"engine", EngineJson(target.load->engine)},
          {"event_endpoint", stream.config.event_endpoint},
          {"trust", TrustName(stream.trust.load())},
          {"reason", TrustReasonName(stream.reason.load())},
          {"trust_changed_unix_ns", stream.trust_changed_unix_ns.load()},
          {"connected", stream.connected.load()},
          {"heard", target.heard()},
          {"connect_trouble", ConnectTroubleName(stream.connect_trouble.load())},
          {"refused_handshakes", stream.refused_handshakes.load()},
          {"block_size_tokens", target.block_size_tokens()},
          {"lookahead_tokens", target.lookahead_tokens()},
          {"next_seq", stream.next_seq.load()},
          {"last_batch_unix_ns", stream.last_batch_unix_ns.load()},
          {"batches", stream.batches.load()},
          {"duplicates", stream.duplicates.load()},
          {"gaps", stream.gaps.load()},
          {"missing_batches", stream.missing_batches.load()},
          {"lost_batches", stream.lost_batches.load()},
          {"malformed_messages", stream.malformed_messages.load()},
          {"holdings", stream.holdings.load()},
          {"unconfirmed_holdings", stream.unconfirmed_holdings.load()},
          {"doubtful_holdings", stream.doubtful_holdings.load()},
          {"restarts", stream.restarts.load()},
          {"replays", stream.replays.load()},
          {"pending_events", stream.pending_events.load()},
          {"held_batches", stream.held_batches.load()},
          {"skipped_events", ByReason(stream.skipped_events)},
          {"rejected_batches", ByReason(stream.rejected_batches)},
          {"requests_in_flight", target.load->requests_in_flight.load()},
          {"uncached_tokens_outstanding", target.load->uncached_tokens_outstanding.load()}};
}

Json WorkersJson(const FleetSnapshot& fleet) {
  Json workers = Json::array();
  const FleetWorker* last = nullptr;
  for (const FleetTarget& target : fleet.targets) {
    if (target.worker.get() != last) {
      last = target.worker.get();
      const WorkerSpec& spec = last->spec;
      workers.push_back({{"worker_id", spec.worker_id},
                         {"source", WorkerSourceName(last->source)},
                         {"draining", last->draining},
                         {"not_ready", last->not_ready},
                         {"address", spec.address},
                         {"model", spec.model},
                         {"served_names", spec.served_names},
                         {"adapters", spec.adapters},
                         {"labels", spec.labels},
                         {"incarnation", spec.incarnation},
                         {"engine", EngineKindName(spec.engine)},
                         {"role", kWorkerRoleNames[spec.role]},
                         {"streams", Json::array()}});
    }
    workers.back()["streams"].push_back(StreamJson(target));
  }
  return workers;
}

Json MemoryJson(const MemoryReport& memory) {
  Json parts = Json::object();
  for (size_t i = 0; i < kMemoryPartCount; ++i) {
    const MemoryReport::Part& part = memory.parts[i];
    Json& out = parts[std::string(MemoryPartName(static_cast<MemoryPart>(i)))];
    out = {{"limit_bytes", part.limit_bytes}, {"refused", part.refused}};
    if (part.used_bytes.has_value()) out["used_bytes"] = *part.used_bytes;
  }
  return {{"limit_bytes", memory.limit_bytes},
          {"used_bytes", memory.used_bytes},
          {"parts", std::move(parts)}};
}

Json RenderersJson(const std::vector<RendererReport>& renderers) {
  Json out = Json::array();
  for (const RendererReport& renderer : renderers) {
    Json calls = Json::array();
    for (size_t i = 0; i < kRenderPathCount; ++i) {
      if (renderer.can[i]) calls.push_back(kRenderPathNames[static_cast<RenderPath>(i)]);
    }
    out.push_back({{"url", renderer.spec.url},
                   {"model", renderer.spec.model},
                   {"state", kRendererStateNames[renderer.state]},
                   {"calls", std::move(calls)},
                   {"under_way", renderer.under_way},
                   {"answers", renderer.answers},
                   {"failures", renderer.failures},
                   {"last_failure", renderer.last_failure}});
  }
  return out;
}

// Counts that are not 0.
Json CountsJson(const DiscoveryReport::Counts& counts) {
  Json out = Json::object();
  for (const auto& [name, count] : counts) {
    if (count != 0) out[name] = count;
  }
  return out;
}

Json DiscoveryJson(const DiscoveryReport& report) {
  Json finders = Json::array(), owners = Json::array();
  for (const DiscoveryReport::Finder& finder : report.finders) {
    finders.push_back({{"finder", finder.name},
                       {"up", finder.up},
                       {"state", finder.state},
                       {"events", finder.events},
                       {"troubles", CountsJson(finder.troubles)}});
  }
  for (const DiscoveryReport::Owner& owner : report.owners) {
    owners.push_back({{"source", owner.source},
                      {"refused", owner.refused},
                      {"last_refusal", owner.last_refusal},
                      {"unknown_models", owner.unknown_models},
                      {"event_sources", owner.event_sources},
                      {"refused_event_sources", owner.refused_event_sources}});
  }
  return {{"finders", std::move(finders)},
          {"owners", std::move(owners)},
          {"engines_asked", report.engines_asked},
          {"engines_not_answering", report.engines_not_answering},
          {"scrapes", CountsJson(report.scrape_results)},
          {"engines_pushing", report.engines_pushing},
          {"load_sockets_refused", report.push_refused},
          {"load_messages", CountsJson(report.load_messages)}};
}

Json ConfigJson(const ConfigReport& config) {
  return {{"source", config.name.empty() ? "command line and defaults" : config.name},
          {"in_force_since_unix_ns", config.in_force_since_unix_ns},
          {"reloads_applied", config.applied},
          {"reloads_failed", config.failed},
          {"last_reload_error", config.last_error},
          {"waiting_for_restart", config.waiting_for_restart}};
}

Json RightsJson(const Rights::Report& rights) {
  return {{"configured", rights.configured},
          {"tokens", rights.tokens},
          {"certificate_names", rights.certificates},
          {"everybody", rights.configured ? rights.everybody.Joined() : "everything"},
          {"token_changes_applied", rights.tokens_applied},
          {"token_changes_refused", rights.tokens_refused}};
}

}  // namespace

std::string StatusJson(const StatusSources& sources) {
  const Json status = {{"version", kVersion},
                       {"commit", kCommit},
                       {"compiler", kCompiler},
                       {"uptime_seconds", std::chrono::duration<double>(sources.uptime).count()},
                       {"grpc_address", sources.grpc_address},
                       {"http_address", sources.http_address},
                       {"picker_address", sources.picker_address},
                       {"picker_streams_open", sources.picker_streams},
                       {"ready", sources.readiness.ready},
                       {"waiting_for", sources.readiness.waiting},
                       {"policy", sources.policy},
                       {"config", ConfigJson(sources.config)},
                       {"rights", RightsJson(sources.rights)},
                       {"plaintext", sources.plaintext},
                       {"index",
                        {{"streams", sources.index.streams},
                         {"holdings", sources.index.holdings},
                         {"distinct_blocks", sources.index.distinct_blocks},
                         {"runs", sources.index.runs},
                         {"bytes", sources.index.bytes},
                         {"twins", sources.index.twins},
                         {"used_bytes", sources.index.used_bytes}}},
                       {"memory", MemoryJson(sources.memory)},
                       {"leases",
                        {{"now", sources.loads.leases},
                         {"limit", sources.loads.max_leases},
                         {"begun", sources.loads.begun},
                         {"completed", sources.loads.ended},
                         {"expired", sources.loads.expired},
                         {"dropped", sources.loads.dropped},
                         {"evicted", sources.loads.evicted},
                         {"abandoned", sources.loads.abandoned},
                         {"stream_ended", sources.loads.stream_ended},
                         {"renewed", sources.loads.renewed},
                         {"repeated", sources.loads.repeated},
                         {"refused_ends", sources.loads.refused_ends}}},
                       {"found", DiscoveryJson(sources.discovery)},
                       {"renderers", RenderersJson(sources.renderers)},
                       {"workers", WorkersJson(*sources.fleet)}};
  return status.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kvroute
