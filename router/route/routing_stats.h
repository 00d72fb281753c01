#ifndef KVROUTE_ROUTER_ROUTE_ROUTING_STATS_H_
#define KVROUTE_ROUTER_ROUTE_ROUTING_STATS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/latency_histogram.h"
#include "router/policy/policy.h"

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
  kList
};
inline constexpr auto kRpcMethodNames = NamesUpTo<RpcMethod::kList>(
    "Route", "Score", "Complete", "Explain", "Register", "Deregister", "SetDraining", "List");
inline constexpr size_t kRpcMethodCount = kRpcMethodNames.size();
inline std::string_view RpcMethodName(RpcMethod method) { return kRpcMethodNames[method]; }

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
  std::array<Counter, kLeftOutCount> left_out{};  // targets left out of decisions, by reason
  std::array<Counter, kMatchedTenths> matched_tenths{};
  Counter prompt_tokens{0};        // of routed requests
  Counter matched_tokens{0};       // of those, what the chosen target held
  Counter open_rpc_streams{0};     // RouteStream and ScoreStream calls open now
  Counter refused_rpc_streams{0};  // at grpc.max_streams
  Counter running_calls{0};        // now; those of RPC streams not counted
  // hashing as far as needed and the index, for all profiles of a prompt
  LatencyHistogram match_latency;
  LatencyHistogram route_latency;  // a Route: Query to Decision, the edge excluded
  LatencyHistogram score_latency;

  void CountRequest(RpcMethod method, absl::StatusCode code) {
    const int number = static_cast<int>(code);
    requests[static_cast<size_t>(method)]
            [number < kStatusCodeCount ? static_cast<size_t>(number) : 2]
                .fetch_add(1, std::memory_order_relaxed);
  }
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_ROUTING_STATS_H_
