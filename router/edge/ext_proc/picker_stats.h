#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STATS_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STATS_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "indexer/base/enum_names.h"
#include "indexer/base/latency_histogram.h"
#include "router/edge/ext_proc/proxy_message.h"
#include "router/prompt/renderer.h"
#include "router/prompt/request_body.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// What became of a request at the picker. Metric label values.
enum class PickOutcome : uint8_t {
  kPicked,
  kNoEndpoint,   // 503: nobody can serve it
  kEmptySubset,  // 503: its proxy allows no endpoint
  kOverloaded,   // 429: picker.overloaded says so
  kNotNow,       // 412: the client wants no answer from the overloaded
  kShed,         // 429: the priority of its objective is below 0
  kBadBody,      // 400: picker.bad_body says so
  kStreams,      // 503: picker.max_streams
  kNoHeaders,    // its proxy does not show headers, which alone can carry a pick
  kLeft,         // the client left before
  kObserved,     // its proxy wants no answer
  kNoneFound,    // no engine was found yet: its proxy goes on without a pick
};
inline constexpr auto kPickOutcomeNames = NamesUpTo<PickOutcome::kNoneFound>(
    "picked", "no_endpoint", "empty_subset", "overloaded", "not_now", "shed", "bad_body", "streams",
    "no_headers", "left", "observed", "none_found");

// How important the request's objective is. Metric label values.
enum class ObjectiveClass : uint8_t {
  kNone,      // it names none
  kUnknown,   // there is none of that name: as important as any
  kNegative,  // its priority is below 0, or picker.sheddable_objectives names it
  kZero,
  kPositive,
};
inline constexpr auto kObjectiveClassNames =
    NamesUpTo<ObjectiveClass::kPositive>("none", "unknown", "negative", "zero", "positive");

// Whether another worker computes the prompt of a picked request, where there is one that could.
// Metric label values.
enum class PrefillChoice : uint8_t {
  kElsewhere,
  kShort,       // too little to compute: picker.prefill
  kItself,      // the picked one is the best at that, too
  kOverloaded,  // all that could are at their limits
  kNobody,      // none may be asked
};
inline constexpr auto kPrefillChoiceNames =
    NamesUpTo<PrefillChoice::kNobody>("elsewhere", "short", "itself", "overloaded", "nobody");

// What became of a request to name another model in the body. Metric label values.
enum class Rewrite : uint8_t {
  kDone,
  kNotShown,  // its proxy does not show the body in time, or not all of it, or it is not kept
  kNoModel,   // the body names none
  kBadName,   // no name of a model
};
inline constexpr auto kRewriteNames =
    NamesUpTo<Rewrite::kBadName>("done", "not_shown", "no_model", "bad_name");

// Process-wide totals of the endpoint picker: relaxed atomics, read by telemetry at scrape time.
struct PickerStats {
  using Counter = std::atomic<uint64_t>;
  Counter open_streams{0};  // now
  // HTTP requests, by how their bodies are shown
  std::array<Counter, kBodyModeNames.size()> requests{};
  std::array<Counter, kPickOutcomeNames.size()> outcomes{};
  // [API][why not scored] of the bodies that were read; kNo: they can be
  std::array<std::array<Counter, kUnscoredNames.size()>, kApiNames.size()> bodies{};
  std::array<Counter, kRenderFailureNames.size()> renders{};  // by failure; kNo: none
  std::array<Counter, kPrefillChoiceNames.size()> prefills{};
  std::array<Counter, kRewriteNames.size()> rewrites{};
  std::array<Counter, kObjectiveClassNames.size()> objectives{};  // of requests that were routed
  Counter body_bytes{0};                                          // kept or read
  Counter adapters{0};              // models that are none of the fleet's, taken for an adapter's
  Counter removed_headers{0};       // of clients, which steer what is not theirs
  Counter unexpected_messages{0};   // where nothing was expected: ignored
  Counter malformed_messages{0};    // no ProcessingRequest: the stream is given up
  Counter unreadable_endpoints{0};  // in subsets
  Counter served_elsewhere{0};      // responses of another endpoint than the one picked
  Counter leases_left{0};           // to their time limit: the proxy does not tell of their end
  std::array<Counter, 6> responses{};  // by the first digit of the status; [0]: none said
  LatencyHistogram pick_latency;       // from the end of the request, or of patience, to the pick
  Counter connections{0};              // now
  std::array<Counter, kConnectionEndNames.size()> ended_connections{};

  static void Add(Counter& counter, uint64_t by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
  }
  void Count(PrefillChoice choice) { Add(prefills[static_cast<size_t>(choice)]); }
  void Count(ObjectiveClass objective) { Add(objectives[static_cast<size_t>(objective)]); }
  void Count(Rewrite rewrite) { Add(rewrites[static_cast<size_t>(rewrite)]); }
  void Count(PickOutcome outcome) { Add(outcomes[static_cast<size_t>(outcome)]); }
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STATS_H_
