#ifndef KVROUTE_ROUTER_ROUTE_ROUTING_STATS_H_
#define KVROUTE_ROUTER_ROUTE_ROUTING_STATS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/latency_histogram.h"
#include "indexer/stream/stream.h"
#include "router/audit/audit.h"
#include "router/fleet/fleet_watcher.h"
#include "router/policy/policy.h"
#include "router/route/query.h"

namespace kvroute {

// What a client can call. A request of a stream counts as the unary call it stands for.
enum class RpcMethod : uint8_t {
  kRoute,
  kScore,
  kComplete,
  kExplain,
  kRegister,
  kDeregister,
  kSetDraining,
  kList,
  kWatch
};
inline constexpr auto kRpcMethodNames =
    NamesUpTo<RpcMethod::kWatch>("Route", "Score", "Complete", "Explain", "Register", "Deregister",
                                 "SetDraining", "List", "Watch");
inline constexpr size_t kRpcMethodCount = kRpcMethodNames.size();
inline std::string_view RpcMethodName(RpcMethod method) { return kRpcMethodNames[method]; }

// Why kvroute ended a connection to its API.
enum class ConnectionEnd : uint8_t {
  kRoom,                // for another one, at grpc.max_connections
  kDescriptors,         // out of descriptors: it was not even begun
  kUnreadAnswers,       // not taken within grpc.write_timeout
  kCancelledCalls,      // more than kMaxCancelledCallsPerSecond
  kTooManyCalls,        // open at once, beyond what it was told
  kUnfinishedRequests,  // begun, and not one finished for ten seconds
  kNoCalls              // bytes without end that belong to no call
};
inline constexpr auto kConnectionEndNames =
    NamesUpTo<ConnectionEnd::kNoCalls>("room", "descriptors", "unread_answers", "cancelled_calls",
                                       "too_many_calls", "unfinished_requests", "no_calls");

// absl::StatusCode and grpc::StatusCode are numbered alike
inline constexpr int kStatusCodeCount = 17;
std::string_view StatusCodeName(
    int code);  // "OK", "INVALID_ARGUMENT", ...; "UNKNOWN" beyond the known ones

// How much of its prompt the chosen target held, in tenths: [0] none at all, [i] up to i/10.
inline constexpr int kMatchedTenths = 11;

// Process-wide totals of the query path: relaxed atomics, read by telemetry at scrape time.
struct RoutingStats {
  using Counter = std::atomic<uint64_t>;
  std::array<std::array<Counter, kStatusCodeCount>, kRpcMethodCount> requests{};  // [method][code]
  // [policy][reason]
  std::array<std::array<Counter, kChoiceReasonCount>, kPolicyKindCount> decisions{};
  // [trust][reason] of the chosen match
  std::array<std::array<Counter, kTrustReasonCount>, kTrustCount> trusts{};
  std::array<Counter, kLeftOutCount> left_out{};  // targets left out of decisions, by reason
  Counter text_decisions{0};     // without a prompt, where its text's beginning had gone somewhere
  Counter unheard_decisions{0};  // whose chosen target is not heard
  std::array<Counter, kNoPromptNames.size()> unscored_decisions{};  // without a prompt, by why
  std::array<Counter, kMatchedTenths> matched_tenths{};
  Counter prompt_tokens{0};        // of routed requests
  Counter matched_tokens{0};       // of those, what the chosen target held
  Counter open_rpc_streams{0};     // RouteStream and ScoreStream calls open now
  Counter refused_rpc_streams{0};  // at grpc.max_streams
  Counter ended_rpc_streams{0};    // by kvroute: idle for too long, or for others
  // Calls of Fleet.Watch: open now, refused at kMaxFleetWatchers, and ended to make room for
  // others; and how often one was told all workers, by why.
  Counter open_fleet_watchers{0}, refused_fleet_watchers{0}, ended_fleet_watchers{0};
  std::array<Counter, kWatchSnapshotNames.size()> fleet_snapshots{};
  // Queries of SMG's gateways, by result, and what they say they have placed.
  enum RadixResult : uint8_t { kRadixScored, kRadixEmpty, kRadixKeyspace, kRadixRefused };
  static constexpr std::array<std::string_view, 4> kRadixResultNames = {"scored", "empty",
                                                                        "keyspace", "refused"};
  std::array<Counter, kRadixResultNames.size()> radix_queries{};
  Counter radix_updates{0};
  Counter connections{0};  // of the gRPC port, now
  std::array<Counter, kConnectionEndNames.size()> ended_connections{};
  // hashing as far as needed and the index, for all profiles of a prompt
  LatencyHistogram match_latency;
  LatencyHistogram route_latency;  // a Route: Query to Decision, the edge excluded
  LatencyHistogram score_latency;
  AuditStats audit;

  void CountRequest(RpcMethod method, absl::StatusCode code) {
    const int number = static_cast<int>(code);
    requests[static_cast<size_t>(method)]
            [number < kStatusCodeCount ? static_cast<size_t>(number) : 2]
                .fetch_add(1, std::memory_order_relaxed);
  }
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_ROUTING_STATS_H_
