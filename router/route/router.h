#ifndef KVROUTE_ROUTER_ROUTE_ROUTER_H_
#define KVROUTE_ROUTER_ROUTE_ROUTER_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/index/prefix_index.h"
#include "router/fleet/fleet.h"
#include "router/load/load_tracker.h"
#include "router/policy/policy.h"
#include "router/route/decision.h"
#include "router/route/query.h"
#include "router/route/query_walk.h"
#include "router/route/routing_stats.h"

namespace kvroute {

struct RouterOptions {
  PolicyKind default_policy = PolicyKind::kLmetric;
  uint64_t tie_break_seed = 0;  // 0: drawn at random
};

// Answers the queries of every edge. docs/life-of-a-query.md follows it.
//
// Thread safety: every method from any thread. What a query works on is kept by its thread for the
// next one. Ownership: everything given to the constructor must outlive it; answers own themselves.
// Errors: INVALID_ARGUMENT names the field as the API calls it, its value and the limit;
// UNAVAILABLE says why no worker can serve; ALREADY_EXISTS and RESOURCE_EXHAUSTED are those of
// LoadTracker::Begin. All are counted in the stats; what an answer holds beside one is unspecified.
class Router {
 public:
  Router(const RouterOptions& options, const PrefixIndex* index, const Fleet* fleet,
         LoadTracker* loads, RoutingStats* stats, const Clock* clock);

  // Chooses a target and takes a lease on it.
  absl::Status Route(const Query& query, Decision* decision);
  // The matches of all targets that the query allows. Takes no lease.
  absl::Status Score(const Query& query, Scores* scores);
  // The reasoning of a Route. Takes no lease. `explanation` must be empty.
  absl::Status Explain(const Query& query, Explanation* explanation);
  // Tells the lease of a routed request what became of it. False: there is no such lease (any
  // more), which is harmless.
  absl::StatusOr<bool> Complete(const Outcome& outcome);

  // For a reloaded configuration.
  void SetDefaultPolicy(PolicyKind policy) {
    default_policy_.store(policy, std::memory_order_relaxed);
  }

 private:
  absl::Status Decide(const Query& query, Decision* decision);
  absl::Status ScoreAll(const Query& query, Scores* scores);
  absl::Status Reason(const Query& query, Explanation* explanation);
  absl::StatusOr<bool> EndOrAdvance(const Outcome& outcome);

  // Policy, runner-ups and request id; draws the number that breaks ties.
  absl::Status ReadTerms(const Query& query, Terms* terms);
  // Brings `fleet` up to date and matches the prompt with every target of the model.
  absl::Status MatchPrompt(const Query& query, std::shared_ptr<const FleetSnapshot>* fleet,
                           QueryWalk* walk);
  absl::Status Lease(const Query& query, const QueryWalk& walk, const Choice& choice,
                     std::string* request_id);
  void Count(const Terms& terms, const QueryWalk& walk, const Choice& choice);

  const PrefixIndex* const index_;
  const Fleet* const fleet_;
  LoadTracker* const loads_;
  RoutingStats* const stats_;
  const Clock* const clock_;
  std::atomic<PolicyKind> default_policy_;
  const uint64_t tie_break_seed_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_ROUTER_H_
