#include "router/edge/page/metrics_page.h"

#include <array>
#include <string>
#include <utility>

#include "kvroute_build_info.h"
#include "router/edge/page/audit_metrics.h"

namespace kvroute {
namespace {

double Value(const std::atomic<uint64_t>& counter) {
  return static_cast<double>(counter.load(std::memory_order_relaxed));
}

double Seconds(int64_t unix_ns) { return static_cast<double>(unix_ns) / 1e9; }

// One sample a reason, except "ok", which is none.
template <typename Counters, typename Name>
void AddByReason(Metric metric, const Counters& counters, Name name, size_t first,
                 Exposition* out) {
  for (size_t i = first; i < counters.size(); ++i) out->Add(metric, {name(i)}, Value(counters[i]));
}

template <typename Counters>
double Sum(const Counters& counters) {
  double sum = 0;
  for (const auto& counter : counters) sum += Value(counter);
  return sum;
}

// Combinations that never happened are left out: most engines, types and outcomes never meet.
void AddUnlessZero(Metric metric, Exposition::Labels labels, double value, Exposition* out) {
  if (value != 0) out->Add(metric, labels, value);
}

void AddEventsAndBlocks(const IngestCounters& counters, Exposition* out) {
  for (size_t i = 0; i < kEngineKindCount; ++i) {
    const auto engine = static_cast<EngineKind>(i);
    const std::string_view name = EngineKindName(engine);
    for (size_t type = 0; type < kEventTypeCount; ++type) {
      for (size_t outcome = 0; outcome < kEventOutcomeCount; ++outcome) {
        const auto event = static_cast<EventType>(type);
        const auto what = static_cast<EventOutcome>(outcome);
        AddUnlessZero(Metric::kEvents, {name, EventTypeName(event), EventOutcomeName(what)},
                      static_cast<double>(counters.Events(engine, event, what)), out);
      }
    }
    for (size_t outcome = 0; outcome < kBlockOutcomeCount; ++outcome) {
      const auto what = static_cast<BlockOutcome>(outcome);
      AddUnlessZero(Metric::kBlocks, {name, BlockOutcomeName(what)},
                    static_cast<double>(counters.Blocks(engine, what)), out);
    }
  }
}

// Tenths: [0] is none at all, [i] up to i/10. The sum takes each bucket at its middle.
void AddMatchedFraction(const RoutingStats& stats, Exposition* out) {
  std::array<double, kMatchedTenths> bounds{};
  std::array<uint64_t, kMatchedTenths + 1> counts{};
  double sum = 0;
  for (size_t i = 0; i < kMatchedTenths; ++i) {
    bounds[i] = static_cast<double>(i) / 10;
    counts[i] = stats.matched_tenths[i].load(std::memory_order_relaxed);
    if (i > 0) sum += static_cast<double>(counts[i]) * (bounds[i] - 0.05);
  }
  out->AddHistogram(Metric::kMatchedFraction, {}, bounds, counts, sum);
}

void AddStream(const FleetTarget& target, Exposition* out) {
  const StreamStatus& stream = *target.stream;
  const std::string& worker = target.worker->spec.worker_id;
  const std::string rank = std::to_string(target.rank);
  out->Add(Metric::kStreamInfo, {worker, rank, target.worker->spec.model}, 1);
  const Trust trust = stream.trust.load(std::memory_order_relaxed);
  for (size_t i = 0; i < kTrustCount; ++i) {
    const auto candidate = static_cast<Trust>(i);
    out->Add(Metric::kStreamTrust, {worker, rank, TrustName(candidate)}, candidate == trust);
  }
  out->Add(Metric::kStreamConnected, {worker, rank}, stream.connected.load());
  const std::pair<Metric, double> samples[] = {
      {Metric::kStreamBatches, Value(stream.batches)},
      {Metric::kStreamGaps, Value(stream.gaps)},
      {Metric::kStreamMissingBatches, Value(stream.missing_batches)},
      {Metric::kStreamLostBatches, Value(stream.lost_batches)},
      {Metric::kStreamRestarts, Value(stream.restarts)},
      {Metric::kStreamEventsSkipped, Sum(stream.skipped_events)},
      {Metric::kStreamBatchesRejected, Sum(stream.rejected_batches)},
      {Metric::kStreamPendingEvents, Value(stream.pending_events)},
      {Metric::kStreamHeldBatches, Value(stream.held_batches)},
      {Metric::kStreamMalformedMessages, Value(stream.malformed_messages)},
      {Metric::kStreamHoldings, Value(stream.holdings)},
      {Metric::kStreamUnconfirmedHoldings, Value(stream.unconfirmed_holdings)},
      {Metric::kStreamDoubtfulHoldings, Value(stream.doubtful_holdings)},
      {Metric::kStreamLastBatch, Seconds(stream.last_batch_unix_ns.load())},
      {Metric::kStreamRequestsInFlight,
       static_cast<double>(target.load->requests_in_flight.load())},
      {Metric::kStreamUncachedTokens, Value(target.load->uncached_tokens_outstanding)}};
  for (const auto& [metric, value] : samples) out->Add(metric, {worker, rank}, value);
  AddStreamAudit(target, rank, out);
}

void AddTrusts(const FleetSnapshot& fleet, Exposition* out) {
  std::array<std::array<double, kTrustReasonCount>, kTrustCount> streams{};
  double unheard = 0;
  for (const FleetTarget& target : fleet.targets) {
    const auto trust = static_cast<size_t>(target.stream->trust.load(std::memory_order_relaxed));
    const auto reason = static_cast<size_t>(target.stream->reason.load(std::memory_order_relaxed));
    ++streams[trust][reason];
    unheard += target.heard() ? 0 : 1;
  }
  for (size_t trust = 0; trust < kTrustCount; ++trust) {
    const std::string_view name = TrustName(static_cast<Trust>(trust));
    double all = 0;
    for (size_t reason = 0; reason < kTrustReasonCount; ++reason) {
      all += streams[trust][reason];
      AddUnlessZero(Metric::kStreamReasons,
                    {name, TrustReasonName(static_cast<TrustReason>(reason))},
                    streams[trust][reason], out);
    }
    out->Add(Metric::kStreams, {name}, all);
  }
  out->Add(Metric::kStreamsUnheard, unheard);
}

void AddWorkers(const FleetSnapshot& fleet, Exposition* out) {
  double workers[kWorkerSourceCount][3] = {};  // [source][state]
  const FleetWorker* last = nullptr;           // targets are in order of workers
  for (const FleetTarget& target : fleet.targets) {
    if (target.worker.get() == last) continue;
    last = target.worker.get();
    ++workers[static_cast<size_t>(last->source)][last->draining ? 1 : last->not_ready ? 2 : 0];
  }
  for (size_t source = 0; source < kWorkerSourceCount; ++source) {
    const std::string_view name = WorkerSourceName(static_cast<WorkerSource>(source));
    out->Add(Metric::kWorkers, {name, "serving"}, workers[source][0]);
    out->Add(Metric::kWorkers, {name, "draining"}, workers[source][1]);
    out->Add(Metric::kWorkers, {name, "not_ready"}, workers[source][2]);
  }
}

}  // namespace

void AddBuildInfo(Exposition* out) {
  out->Add(Metric::kBuildInfo, {kVersion, kCommit, kCompiler}, 1);
}

void AddIngestMetrics(const IngestCounters& counters, Exposition* out) {
  AddEventsAndBlocks(counters, out);
  const auto decode = [](size_t i) { return DecodeReasonName(static_cast<DecodeReason>(i)); };
  AddByReason(Metric::kEventsSkipped, counters.skipped_events, decode, 1, out);
  AddByReason(Metric::kBatchesRejected, counters.rejected_batches, decode, 1, out);
  AddByReason(
      Metric::kReplays, counters.replays,
      [](size_t i) { return ReplayResultName(static_cast<ReplayResult>(i)); }, 0, out);
  out->Add(Metric::kBatches, Value(counters.batches));
  out->Add(Metric::kPayloadBytes, Value(counters.payload_bytes));
  out->Add(Metric::kMalformedMessages, Value(counters.malformed_messages));
  out->Add(Metric::kDuplicateBatches, Value(counters.duplicate_batches));
  out->Add(Metric::kGaps, Value(counters.gaps));
  out->Add(Metric::kMissingBatches, Value(counters.missing_batches));
  AddByReason(
      Metric::kLosses, counters.losses,
      [](size_t i) { return LossOutcomeName(static_cast<LossOutcome>(i)); }, 0, out);
  out->Add(Metric::kLostBatches, Value(counters.lost_batches));
  out->Add(Metric::kRestarts, Value(counters.restarts));
  AddByReason(
      Metric::kUnknownTopics, counters.unknown_topics,
      [](size_t i) { return UnknownTopicName(static_cast<UnknownTopic>(i)); }, 0, out);
  out->Add(Metric::kExpiredStreams, Value(counters.expired_streams));
  out->Add(Metric::kReplaysRunning, Value(counters.replays_running));
  out->Add(Metric::kReplaysWaiting, Value(counters.replays_waiting));
  out->Add(Metric::kDescriptorsTaken, Value(counters.descriptors_taken));
  out->Add(Metric::kDescriptorsRefused, Value(counters.refused_for_descriptors));
  out->AddHistogram(Metric::kTurnDuration, {}, counters.turn_duration.Read());
  out->AddHistogram(Metric::kApplyDuration, {}, counters.apply_latency.Read());
  out->AddHistogram(Metric::kPublishLag, {}, counters.publish_lag.Read());
  out->Add(Metric::kImplausibleTimes, Value(counters.implausible_times));
}

void AddIndexMetrics(const PrefixIndexStats& stats, Exposition* out) {
  out->Add(Metric::kIndexStreams, static_cast<double>(stats.streams));
  out->Add(Metric::kIndexHoldings, static_cast<double>(stats.holdings));
  out->Add(Metric::kIndexDistinctBlocks, static_cast<double>(stats.distinct_blocks));
  out->Add(Metric::kIndexRuns, static_cast<double>(stats.runs));
  out->Add(Metric::kIndexBytes, static_cast<double>(stats.bytes));
  out->Add(Metric::kIndexTwins, static_cast<double>(stats.twins));
}

void AddMemoryMetrics(const MemoryReport& memory, Exposition* out) {
  out->Add(Metric::kMemoryLimit, {"process"}, static_cast<double>(memory.limit_bytes));
  out->Add(Metric::kMemoryUsed, {"process"}, static_cast<double>(memory.used_bytes));
  for (size_t i = 0; i < kMemoryPartCount; ++i) {
    const std::string_view name = MemoryPartName(static_cast<MemoryPart>(i));
    const MemoryReport::Part& part = memory.parts[i];
    out->Add(Metric::kMemoryLimit, {name}, static_cast<double>(part.limit_bytes));
    if (part.used_bytes.has_value()) {
      out->Add(Metric::kMemoryUsed, {name}, static_cast<double>(*part.used_bytes));
    }
    out->Add(Metric::kMemoryRefused, {name}, static_cast<double>(part.refused));
  }
}

void AddDiscoveryMetrics(const DiscoveryReport& report, Exposition* out) {
  for (const auto& [end, count] : report.transfers) {
    out->Add(Metric::kHttpClientTransfers, {end}, static_cast<double>(count));
  }
  out->Add(Metric::kHttpClientOpen, static_cast<double>(report.transfers_open));
  out->Add(Metric::kHttpClientBytes, static_cast<double>(report.received_bytes));
  for (const DiscoveryReport::Finder& finder : report.finders) {
    out->Add(Metric::kDiscoveryUp, {finder.name}, finder.up ? 1 : 0);
    out->Add(Metric::kDiscoveryEvents, {finder.name}, static_cast<double>(finder.events));
    for (const auto& [reason, count] : finder.troubles) {
      out->Add(Metric::kDiscoveryTroubles, {finder.name, reason}, static_cast<double>(count));
    }
  }
  for (const DiscoveryReport::Owner& owner : report.owners) {
    out->Add(Metric::kDiscoveryRefused, {owner.source}, static_cast<double>(owner.refused));
    out->Add(Metric::kDiscoveryUnknownModels, {owner.source},
             static_cast<double>(owner.unknown_models));
    out->Add(Metric::kDiscoveryEventSources, {owner.source},
             static_cast<double>(owner.event_sources));
    out->Add(Metric::kDiscoveryRefusedSources, {owner.source},
             static_cast<double>(owner.refused_event_sources));
  }
  for (const auto& [result, count] : report.scrape_results) {
    out->Add(Metric::kEngineScrapes, {result}, static_cast<double>(count));
  }
  for (const auto& [result, count] : report.load_messages) {
    out->Add(Metric::kLoadMessages, {result}, static_cast<double>(count));
  }
  if (report.pushes) {
    out->Add(Metric::kEnginesPushing, static_cast<double>(report.engines_pushing));
    out->Add(Metric::kLoadSocketsRefused, static_cast<double>(report.push_refused));
  }
  if (!report.scrapes) return;
  out->Add(Metric::kEnginesAsked, static_cast<double>(report.engines_asked));
  out->Add(Metric::kEnginesNotAnswering, static_cast<double>(report.engines_not_answering));
}

void AddRoutingMetrics(const RoutingStats& stats, const LoadTrackerStats& loads, Exposition* out) {
  for (size_t method = 0; method < kRpcMethodCount; ++method) {
    const std::string_view name = RpcMethodName(static_cast<RpcMethod>(method));
    for (size_t code = 0; code < kStatusCodeCount; ++code) {
      AddUnlessZero(Metric::kRequests, {name, StatusCodeName(static_cast<int>(code))},
                    Value(stats.requests[method][code]), out);
    }
  }
  for (size_t policy = 0; policy < kPolicyKindCount; ++policy) {
    for (size_t reason = 0; reason < kChoiceReasonCount; ++reason) {
      AddUnlessZero(Metric::kDecisions,
                    {PolicyName(static_cast<PolicyKind>(policy)),
                     ChoiceReasonName(static_cast<ChoiceReason>(reason))},
                    Value(stats.decisions[policy][reason]), out);
    }
  }
  out->Add(Metric::kUnheardDecisions, Value(stats.unheard_decisions));
  AddByReason(
      Metric::kUnscoredDecisions, stats.unscored_decisions,
      [](size_t i) { return kNoPromptNames[static_cast<NoPrompt>(i)]; }, 1, out);
  out->Add(Metric::kTextDecisions, Value(stats.text_decisions));
  for (size_t trust = 0; trust < kTrustCount; ++trust) {
    for (size_t reason = 0; reason < kTrustReasonCount; ++reason) {
      AddUnlessZero(
          Metric::kDecisionTrusts,
          {TrustName(static_cast<Trust>(trust)), TrustReasonName(static_cast<TrustReason>(reason))},
          Value(stats.trusts[trust][reason]), out);
    }
  }
  AddByReason(
      Metric::kLeftOut, stats.left_out,
      [](size_t i) { return LeftOutName(static_cast<LeftOut>(i)); }, 1, out);
  out->AddHistogram(Metric::kRequestDuration, {"Route"}, stats.route_latency.Read());
  out->AddHistogram(Metric::kRequestDuration, {"Score"}, stats.score_latency.Read());
  out->AddHistogram(Metric::kMatchDuration, {}, stats.match_latency.Read());
  AddMatchedFraction(stats, out);
  for (size_t i = 0; i < stats.radix_queries.size(); ++i) {
    out->Add(Metric::kRadixQueries, {RoutingStats::kRadixResultNames[i]},
             Value(stats.radix_queries[i]));
  }
  out->Add(Metric::kRadixUpdates, Value(stats.radix_updates));
  out->Add(Metric::kOpenStreams, Value(stats.open_rpc_streams));
  out->Add(Metric::kRefusedStreams, Value(stats.refused_rpc_streams));
  out->Add(Metric::kEndedStreams, Value(stats.ended_rpc_streams));
  out->Add(Metric::kFleetWatchers, Value(stats.open_fleet_watchers));
  out->Add(Metric::kRefusedFleetWatchers,
           Value(stats.refused_fleet_watchers) + Value(stats.ended_fleet_watchers));
  AddByReason(
      Metric::kFleetWatchSnapshots, stats.fleet_snapshots,
      [](size_t i) { return kWatchSnapshotNames[static_cast<WatchSnapshot>(i)]; }, 1, out);
  out->Add(Metric::kConnections, Value(stats.connections));
  AddByReason(
      Metric::kEndedConnections, stats.ended_connections,
      [](size_t i) { return kConnectionEndNames[static_cast<ConnectionEnd>(i)]; }, 0, out);
  out->Add(Metric::kPromptTokens, Value(stats.prompt_tokens));
  out->Add(Metric::kMatchedTokens, Value(stats.matched_tokens));
  out->Add(Metric::kLeases, static_cast<double>(loads.leases));
  out->Add(Metric::kInFlightPrompts, static_cast<double>(loads.in_flight.prompts));
  out->Add(Metric::kInFlightPromptsNotRemembered,
           static_cast<double>(loads.in_flight.not_remembered));
  out->Add(Metric::kLeasesBegun, static_cast<double>(loads.begun));
  out->Add(Metric::kLeasesEnded, {"completed"}, static_cast<double>(loads.ended));
  out->Add(Metric::kLeasesEnded, {"expired"}, static_cast<double>(loads.expired));
  out->Add(Metric::kLeasesEnded, {"dropped"}, static_cast<double>(loads.dropped));
  out->Add(Metric::kLeasesEnded, {"evicted"}, static_cast<double>(loads.evicted));
  out->Add(Metric::kLeasesEnded, {"abandoned"}, static_cast<double>(loads.abandoned));
  out->Add(Metric::kLeasesEnded, {"stream_ended"}, static_cast<double>(loads.stream_ended));
  out->Add(Metric::kLeasesRenewed, static_cast<double>(loads.renewed));
  out->Add(Metric::kLeasesRepeated, static_cast<double>(loads.repeated));
  out->Add(Metric::kLeaseEndsRefused, static_cast<double>(loads.refused_ends));
  AddAuditMetrics(stats.audit, out);
}

void AddFleetMetrics(const FleetSnapshot& fleet, bool per_stream, Exposition* out) {
  AddWorkers(fleet, out);
  AddTrusts(fleet, out);
  if (!per_stream) return;
  for (const FleetTarget& target : fleet.targets) AddStream(target, out);
}

}  // namespace kvroute
