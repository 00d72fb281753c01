#ifndef KVROUTE_ROUTER_ROUTE_QUERY_HANDLER_H_
#define KVROUTE_ROUTER_ROUTE_QUERY_HANDLER_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "indexer/base/clock.h"
#include "indexer/index/prefix_index.h"
#include "kvroute/v1/router.pb.h"
#include "router/fleet/fleet.h"
#include "router/load/load_tracker.h"
#include "router/policy/policy.h"
#include "router/route/routing_stats.h"

namespace kvroute {

struct QueryOptions {
  PolicyKind default_policy = PolicyKind::kLmetric;
  uint64_t tie_break_seed = 0;  // 0: drawn at random
};

// Answers the calls of the Router service, without gRPC: messages in, messages out.
// docs/life-of-a-query.md follows it.
//
// Thread safety: every method from any thread; scratch memory is kept by thread and reused.
// Ownership: everything given to the constructor must outlive it.
// Errors: as router.proto says; counted in the stats.
class QueryHandler {
 public:
  QueryHandler(const QueryOptions& options, const PrefixIndex* index, const Fleet* fleet,
               LoadTracker* loads, RoutingStats* stats, const Clock* clock);

  // Responses must be empty.
  absl::Status Route(const v1::RouteRequest& request, v1::RouteResponse* response);
  absl::Status Score(const v1::ScoreRequest& request, v1::ScoreResponse* response);
  absl::Status Complete(const v1::CompleteRequest& request, v1::CompleteResponse* response);
  absl::Status Explain(const v1::RouteRequest& request, v1::ExplainResponse* response);

  // For a reloaded configuration.
  void SetDefaultPolicy(PolicyKind policy) {
    default_policy_.store(policy, std::memory_order_relaxed);
  }

 private:
  struct Terms;    // what of a request is neither prompt nor candidates
  struct Scratch;  // everything a query works on
  static Scratch& ThreadScratch();

  absl::Status DoRoute(const v1::RouteRequest& request, v1::RouteResponse* response);
  absl::Status DoScore(const v1::ScoreRequest& request, v1::ScoreResponse* response);
  absl::Status DoComplete(const v1::CompleteRequest& request, v1::CompleteResponse* response);
  absl::Status DoExplain(const v1::RouteRequest& request, v1::ExplainResponse* response);

  absl::Status ParseTerms(const v1::RouteRequest& request, Terms* terms);
  // Parses the prompt and matches it with every target of the model.
  template <typename Request>
  absl::Status MatchPrompt(const Request& request, Scratch* s);
  absl::Status Lease(const v1::RouteRequest& request, const Scratch& s, const Choice& choice,
                     std::string* request_id);
  void CountDecision(const Terms& terms, const Scratch& s, const Choice& choice);

  const PrefixIndex* const index_;
  const Fleet* const fleet_;
  LoadTracker* const loads_;
  RoutingStats* const stats_;
  const Clock* const clock_;
  std::atomic<PolicyKind> default_policy_;
  const uint64_t tie_break_seed_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_QUERY_HANDLER_H_
