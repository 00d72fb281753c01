#include "router/edge/page/status_page.h"

#include <nlohmann/json.hpp>

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

Json StreamJson(const FleetTarget& target) {
  const StreamStatus& stream = *target.stream;
  return {{"rank", target.rank},
          {"event_endpoint", stream.config.event_endpoint},
          {"trust", TrustName(stream.trust.load())},
          {"reason", TrustReasonName(stream.reason.load())},
          {"trust_changed_unix_ns", stream.trust_changed_unix_ns.load()},
          {"connected", stream.connected.load()},
          {"refused_handshakes", stream.refused_handshakes.load()},
          {"block_size_tokens", target.block_size_tokens()},
          {"next_seq", stream.next_seq.load()},
          {"last_batch_unix_ns", stream.last_batch_unix_ns.load()},
          {"batches", stream.batches.load()},
          {"duplicates", stream.duplicates.load()},
          {"gaps", stream.gaps.load()},
          {"missing_batches", stream.missing_batches.load()},
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
                         {"address", spec.address},
                         {"model", spec.model},
                         {"engine", EngineKindName(spec.engine)},
                         {"streams", Json::array()}});
    }
    workers.back()["streams"].push_back(StreamJson(target));
  }
  return workers;
}

Json ConfigJson(const ConfigReport& config) {
  return {{"source", config.name.empty() ? "command line and defaults" : config.name},
          {"in_force_since_unix_ns", config.in_force_since_unix_ns},
          {"reloads_applied", config.applied},
          {"reloads_failed", config.failed},
          {"last_reload_error", config.last_error},
          {"waiting_for_restart", config.waiting_for_restart}};
}

}  // namespace

std::string StatusJson(const StatusSources& sources) {
  const Json status = {{"version", kVersion},
                       {"commit", kCommit},
                       {"compiler", kCompiler},
                       {"uptime_seconds", std::chrono::duration<double>(sources.uptime).count()},
                       {"grpc_address", sources.grpc_address},
                       {"http_address", sources.http_address},
                       {"ready", sources.readiness.ready},
                       {"waiting_for", sources.readiness.waiting},
                       {"policy", sources.policy},
                       {"config", ConfigJson(sources.config)},
                       {"index",
                        {{"streams", sources.index.streams},
                         {"holdings", sources.index.holdings},
                         {"distinct_blocks", sources.index.distinct_blocks},
                         {"runs", sources.index.runs},
                         {"bytes", sources.index.bytes}}},
                       {"leases",
                        {{"now", sources.loads.leases},
                         {"begun", sources.loads.begun},
                         {"completed", sources.loads.ended},
                         {"expired", sources.loads.expired},
                         {"dropped", sources.loads.dropped}}},
                       {"workers", WorkersJson(*sources.fleet)}};
  return status.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kvroute
