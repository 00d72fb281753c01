#include "router/edge/ext_proc/picker_metrics.h"

#include <string_view>

namespace kvroute {
namespace {

double Read(const PickerStats::Counter& counter) {
  return static_cast<double>(counter.load(std::memory_order_relaxed));
}

// One sample a name.
template <typename Counters, typename Names>
void AddNamed(Metric metric, const Counters& counters, const Names& names, Exposition* out) {
  for (size_t i = 0; i < counters.size(); ++i) {
    out->Add(metric, {names[static_cast<typename Names::Enum>(i)]}, Read(counters[i]));
  }
}

// Most APIs and reasons never meet.
void AddBodies(const PickerStats& stats, Exposition* out) {
  for (size_t api = 0; api < stats.bodies.size(); ++api) {
    for (size_t why = 0; why < stats.bodies[api].size(); ++why) {
      const double count = Read(stats.bodies[api][why]);
      if (count == 0) continue;
      out->Add(Metric::kPickerBodies,
               {kApiNames[static_cast<Api>(api)], kUnscoredNames[static_cast<Unscored>(why)]},
               count);
    }
  }
}

}  // namespace

std::vector<std::pair<std::string, uint64_t>> LlmdErrorCounts(const PickerStats& stats) {
  const auto count = [&](std::initializer_list<PickOutcome> outcomes) {
    uint64_t all = 0;
    for (const PickOutcome outcome : outcomes) all += stats.outcomes[static_cast<size_t>(outcome)];
    return all;
  };
  return {{"BadRequest", count({PickOutcome::kBadBody})},
          {"InferencePoolResourceExhausted",
           count({PickOutcome::kOverloaded, PickOutcome::kNotNow, PickOutcome::kShed})},
          {"ServiceUnavailable",
           count({PickOutcome::kNoEndpoint, PickOutcome::kEmptySubset, PickOutcome::kStreams})}};
}

void AddPickerMetrics(const PickerStats& stats, Exposition* out) {
  out->Add(Metric::kPickerStreams, Read(stats.open_streams));
  AddNamed(Metric::kPickerRequests, stats.requests, kBodyModeNames, out);
  AddNamed(Metric::kPickerOutcomes, stats.outcomes, kPickOutcomeNames, out);
  AddBodies(stats, out);
  AddNamed(Metric::kPickerRenders, stats.renders, kRenderFailureNames, out);
  AddNamed(Metric::kPickerPrefills, stats.prefills, kPrefillChoiceNames, out);
  AddNamed(Metric::kPickerRewrites, stats.rewrites, kRewriteNames, out);
  AddNamed(Metric::kPickerObjectives, stats.objectives, kObjectiveClassNames, out);
  out->Add(Metric::kPickerBodyBytes, Read(stats.body_bytes));
  out->Add(Metric::kPickerAdapters, Read(stats.adapters));
  out->Add(Metric::kPickerRemovedHeaders, Read(stats.removed_headers));
  out->Add(Metric::kPickerUnexpected, Read(stats.unexpected_messages));
  out->Add(Metric::kPickerMalformed, Read(stats.malformed_messages));
  out->Add(Metric::kPickerUnreadable, Read(stats.unreadable_endpoints));
  out->Add(Metric::kPickerServedElsewhere, Read(stats.served_elsewhere));
  out->Add(Metric::kPickerLeasesLeft, Read(stats.leases_left));
  constexpr std::string_view kClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (size_t i = 0; i < stats.responses.size(); ++i) {
    out->Add(Metric::kPickerResponses, {kClasses[i]}, Read(stats.responses[i]));
  }
  out->AddHistogram(Metric::kPickerDuration, {}, stats.pick_latency.Read());
  out->Add(Metric::kPickerConnections, Read(stats.connections));
  AddNamed(Metric::kPickerEndedConnections, stats.ended_connections, kConnectionEndNames, out);
}

}  // namespace kvroute
