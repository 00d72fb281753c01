#ifndef KVROUTE_INDEXER_TELEMETRY_METRIC_NAMES_H_
#define KVROUTE_INDEXER_TELEMETRY_METRIC_NAMES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvroute {

// Every metric of kvroute, in the order of /metrics. Names follow Prometheus: base units, _total on
// counters; docs/metrics.md says what each is good for (a test compares the two). Label values are
// bounded: enums of this program, status codes, and worker/rank pairs up to max_streams (per-stream
// metrics can be switched off: http.per_stream_metrics).
enum class Metric : uint8_t {
  kBuildInfo,
  kReady,
  kConfigReloads,
  kConfigLastReload,
  kHttpRequests,
  kHttpEvicted,
  kLogDropped,
  kEvents,
  kBlocks,
  kEventsSkipped,
  kBatches,
  kBatchesRejected,
  kPayloadBytes,
  kMalformedMessages,
  kDuplicateBatches,
  kGaps,
  kMissingBatches,
  kRestarts,
  kReplays,
  kUnknownTopics,
  kExpiredStreams,
  kApplyDuration,
  kPublishLag,
  kStreams,
  kStreamReasons,
  kStreamTrust,
  kStreamConnected,
  kStreamBatches,
  kStreamGaps,
  kStreamMissingBatches,
  kStreamRestarts,
  kStreamEventsSkipped,
  kStreamBatchesRejected,
  kStreamPendingEvents,
  kStreamHeldBatches,
  kStreamLastBatch,
  kStreamRequestsInFlight,
  kStreamUncachedTokens,
  kIndexStreams,
  kIndexHoldings,
  kIndexDistinctBlocks,
  kIndexRuns,
  kIndexBytes,
  kWorkers,
  kRequests,
  kRequestDuration,
  kOpenStreams,
  kRefusedStreams,
  kMatchDuration,
  kMatchedFraction,
  kPromptTokens,
  kMatchedTokens,
  kDecisions,
  kLeftOut,
  kLeases,
  kLeasesBegun,
  kLeasesEnded,
  kProcessCpu,
  kProcessResident,
  kProcessVirtual,
  kProcessOpenFds,
  kProcessMaxFds,
  kProcessStartTime,
  kProcessThreads,
  kCount,
};
inline constexpr size_t kMetricCount = static_cast<size_t>(Metric::kCount);

enum class MetricKind : uint8_t { kCounter, kGauge, kHistogram };

struct MetricDef {
  Metric metric;
  MetricKind kind;
  std::string_view name;
  std::string_view labels;  // comma-separated, in the order values are given
  std::string_view help;
};

inline constexpr std::array<MetricDef, kMetricCount> kMetrics = {{
    {Metric::kBuildInfo, MetricKind::kGauge, "kvroute_build_info", "version,commit,compiler",
     "Always 1; the labels say which build runs."},
    {Metric::kReady, MetricKind::kGauge, "kvroute_ready", "", "1 when /readyz answers 200."},
    {Metric::kConfigReloads, MetricKind::kCounter, "kvroute_config_reloads_total", "result",
     "Times the configuration file was read again: applied, or failed (the old one stays)."},
    {Metric::kConfigLastReload, MetricKind::kGauge, "kvroute_config_last_success_timestamp_seconds",
     "", "When the configuration in force was read."},
    {Metric::kHttpRequests, MetricKind::kCounter, "kvroute_http_requests_total", "code",
     "HTTP requests answered, by status code."},
    {Metric::kHttpEvicted, MetricKind::kCounter, "kvroute_http_connections_evicted_total", "",
     "HTTP connections closed to make room for others, or because nobody read their answers."},
    {Metric::kLogDropped, MetricKind::kCounter, "kvroute_log_lines_dropped_total", "",
     "Log lines dropped because whatever reads standard error did not."},

    {Metric::kEvents, MetricKind::kCounter, "kvroute_events_total", "engine,type,outcome",
     "KV-cache events that decoded well, by what became of them."},
    {Metric::kBlocks, MetricKind::kCounter, "kvroute_blocks_total", "engine,outcome",
     "Blocks named by those events, by what became of them."},
    {Metric::kEventsSkipped, MetricKind::kCounter, "kvroute_events_skipped_total", "reason",
     "Events that did not decode; the rest of their batch was applied."},
    {Metric::kBatches, MetricKind::kCounter, "kvroute_batches_total", "",
     "Batches received in their order and applied."},
    {Metric::kBatchesRejected, MetricKind::kCounter, "kvroute_batches_rejected_total", "reason",
     "Batches left out: broken envelopes, and batches of another rank than the stream "
     "(other_rank)."},
    {Metric::kPayloadBytes, MetricKind::kCounter, "kvroute_payload_bytes_total", "",
     "Bytes of batch payloads received."},
    {Metric::kMalformedMessages, MetricKind::kCounter, "kvroute_malformed_messages_total", "",
     "ZeroMQ messages with a wrong number of frames or a bad sequence frame."},
    {Metric::kDuplicateBatches, MetricKind::kCounter, "kvroute_duplicate_batches_total", "",
     "Batches received again and dropped."},
    {Metric::kGaps, MetricKind::kCounter, "kvroute_gaps_total", "",
     "Holes seen in sequence numbers."},
    {Metric::kMissingBatches, MetricKind::kCounter, "kvroute_missing_batches_total", "",
     "Sequence numbers skipped by those holes, before replay."},
    {Metric::kRestarts, MetricKind::kCounter, "kvroute_engine_restarts_total", "",
     "Streams whose sequence went down: the engine restarted."},
    {Metric::kReplays, MetricKind::kCounter, "kvroute_replays_total", "result",
     "Replays of an engine's past that ended, by result."},
    {Metric::kUnknownTopics, MetricKind::kCounter, "kvroute_unknown_topics_total", "reason",
     "Messages on a listener that name no stream we can take, by why."},
    {Metric::kExpiredStreams, MetricKind::kCounter, "kvroute_expired_streams_total", "",
     "Discovered streams forgotten: connection lost, engine silent for expire_after."},
    {Metric::kApplyDuration, MetricKind::kHistogram, "kvroute_apply_duration_seconds", "",
     "One batch: received to visible for queries."},
    {Metric::kPublishLag, MetricKind::kHistogram, "kvroute_publish_lag_seconds", "",
     "One batch: the engine's time stamp to visible (two wall clocks)."},

    {Metric::kStreams, MetricKind::kGauge, "kvroute_streams", "trust",
     "Streams by how far their state may be believed."},
    {Metric::kStreamReasons, MetricKind::kGauge, "kvroute_streams_by_reason", "trust,reason",
     "Streams by trust and the reason for it; absent when zero."},
    {Metric::kStreamTrust, MetricKind::kGauge, "kvroute_stream_trust", "worker,rank,trust",
     "1 for the trust the stream has, 0 for the others."},
    {Metric::kStreamConnected, MetricKind::kGauge, "kvroute_stream_connected", "worker,rank",
     "1 while the connection to the engine is up."},
    {Metric::kStreamBatches, MetricKind::kCounter, "kvroute_stream_batches_total", "worker,rank",
     "Batches applied."},
    {Metric::kStreamGaps, MetricKind::kCounter, "kvroute_stream_gaps_total", "worker,rank",
     "Holes seen in the stream's sequence numbers."},
    {Metric::kStreamMissingBatches, MetricKind::kCounter, "kvroute_stream_missing_batches_total",
     "worker,rank", "Sequence numbers skipped by those holes."},
    {Metric::kStreamRestarts, MetricKind::kCounter, "kvroute_stream_restarts_total", "worker,rank",
     "Restarts of the engine seen."},
    {Metric::kStreamEventsSkipped, MetricKind::kCounter, "kvroute_stream_events_skipped_total",
     "worker,rank", "Events that did not decode."},
    {Metric::kStreamBatchesRejected, MetricKind::kCounter, "kvroute_stream_batches_rejected_total",
     "worker,rank", "Batches left out: broken envelopes, other ranks."},
    {Metric::kStreamPendingEvents, MetricKind::kGauge, "kvroute_stream_pending_events",
     "worker,rank", "Stored events waiting for a parent that is not known yet."},
    {Metric::kStreamHeldBatches, MetricKind::kGauge, "kvroute_stream_held_batches", "worker,rank",
     "Live batches held while a replay runs."},
    {Metric::kStreamLastBatch, MetricKind::kGauge, "kvroute_stream_last_batch_timestamp_seconds",
     "worker,rank", "When the last batch was applied; 0: never. An idle engine publishes nothing."},

    {Metric::kStreamRequestsInFlight, MetricKind::kGauge, "kvroute_stream_requests_in_flight",
     "worker,rank", "Requests routed to the worker and rank and not seen completed."},
    {Metric::kStreamUncachedTokens, MetricKind::kGauge,
     "kvroute_stream_uncached_tokens_outstanding", "worker,rank",
     "Predicted prefill tokens of those requests, not seen prefilled."},

    {Metric::kIndexStreams, MetricKind::kGauge, "kvroute_index_streams", "",
     "Streams open in the index."},
    {Metric::kIndexHoldings, MetricKind::kGauge, "kvroute_index_holdings", "",
     "(block, stream, tier) memberships held."},
    {Metric::kIndexDistinctBlocks, MetricKind::kGauge, "kvroute_index_distinct_blocks", "",
     "Prefix hashes held by anyone."},
    {Metric::kIndexRuns, MetricKind::kGauge, "kvroute_index_runs", "",
     "Stretches of consecutive blocks they are stored in."},
    {Metric::kIndexBytes, MetricKind::kGauge, "kvroute_index_bytes", "",
     "Memory reserved by the index."},

    {Metric::kWorkers, MetricKind::kGauge, "kvroute_workers", "source,state",
     "Workers by where they come from and whether they take requests (serving, draining)."},
    {Metric::kRequests, MetricKind::kCounter, "kvroute_requests_total", "method,code",
     "API calls (messages, on streams) answered, by gRPC status code."},
    {Metric::kRequestDuration, MetricKind::kHistogram, "kvroute_request_duration_seconds", "method",
     "One Route or Score inside kvroute: from query to answer, without its messages."},
    {Metric::kOpenStreams, MetricKind::kGauge, "kvroute_api_streams_open", "",
     "RouteStream and ScoreStream calls open."},
    {Metric::kRefusedStreams, MetricKind::kCounter, "kvroute_api_streams_refused_total", "",
     "Such calls refused at grpc.max_streams."},
    {Metric::kMatchDuration, MetricKind::kHistogram, "kvroute_match_duration_seconds", "",
     "Tokens to matches: hashing the prompt as far as it is held, and the lookup."},
    {Metric::kMatchedFraction, MetricKind::kHistogram, "kvroute_matched_fraction_ratio", "",
     "Matched tokens of the chosen target over prompt tokens, a routed request each; _sum is "
     "estimated from bucket middles."},
    {Metric::kPromptTokens, MetricKind::kCounter, "kvroute_prompt_tokens_total", "",
     "Prompt tokens of routed requests."},
    {Metric::kMatchedTokens, MetricKind::kCounter, "kvroute_matched_tokens_total", "",
     "Those that the chosen target held: the predicted hit rate is this over prompt tokens."},
    {Metric::kDecisions, MetricKind::kCounter, "kvroute_decisions_total", "policy,reason",
     "Routing decisions, by policy and why the chosen target was chosen."},
    {Metric::kLeftOut, MetricKind::kCounter, "kvroute_targets_left_out_total", "reason",
     "Targets left out of decisions, by reason."},
    {Metric::kLeases, MetricKind::kGauge, "kvroute_leases", "",
     "Routed requests not seen completed."},
    {Metric::kLeasesBegun, MetricKind::kCounter, "kvroute_leases_begun_total", "",
     "Leases taken by Route."},
    {Metric::kLeasesEnded, MetricKind::kCounter, "kvroute_leases_ended_total", "how",
     "Leases that ended: completed by the client, expired, or dropped with their worker."},

    {Metric::kProcessCpu, MetricKind::kCounter, "process_cpu_seconds_total", "",
     "User and system CPU time spent."},
    {Metric::kProcessResident, MetricKind::kGauge, "process_resident_memory_bytes", "",
     "Resident memory."},
    {Metric::kProcessVirtual, MetricKind::kGauge, "process_virtual_memory_bytes", "",
     "Virtual memory."},
    {Metric::kProcessOpenFds, MetricKind::kGauge, "process_open_fds", "", "Open file descriptors."},
    {Metric::kProcessMaxFds, MetricKind::kGauge, "process_max_fds", "",
     "Limit of open file descriptors."},
    {Metric::kProcessStartTime, MetricKind::kGauge, "process_start_time_seconds", "",
     "When the process started, Unix time."},
    {Metric::kProcessThreads, MetricKind::kGauge, "process_threads", "", "Threads of the process."},
}};

constexpr bool MetricsAreInOrder() {
  for (size_t i = 0; i < kMetricCount; ++i) {
    if (static_cast<size_t>(kMetrics[i].metric) != i) return false;
  }
  return true;
}
static_assert(MetricsAreInOrder(), "kMetrics must follow the order of enum Metric");

constexpr const MetricDef& DefOf(Metric metric) { return kMetrics[static_cast<size_t>(metric)]; }

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_METRIC_NAMES_H_
