#ifndef KVROUTE_ROUTER_ROUTE_ROUTER_H_
#define KVROUTE_ROUTER_ROUTE_ROUTER_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/base/limits.h"
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
  PolicyKind default_policy = PolicyKind::kWork;
  uint64_t tie_break_seed = 0;  // 0: drawn at random
  size_t max_text_pieces = limits::kMaxTextChunks;
};

// Answers the queries of every edge. docs/life-of-a-query.md follows it.
//
// Thread safety: every method from any thread. What a query works on is kept by its thread for the
// next one. Ownership: everything given to the constructor must outlive it; answers own themselves.
// Errors: INVALID_ARGUMENT names the field as the API calls it, its value and the limit;
// NOT_FOUND: nobody serves the model; UNAVAILABLE says why no worker can serve; ALREADY_EXISTS is
// that of LoadTracker::Begin. All are counted in the stats; what an answer holds beside one is
// unspecified.
class Router {
 public:
  Router(const RouterOptions& options, const PrefixIndex* index, const Fleet* fleet,
         LoadTracker* loads, RoutingStats* stats, const Clock* clock);

  // Chooses a target and takes a lease on it; where the same request has one already, the answer is
  // its target again.
  absl::Status Route(const Query& query, Decision* decision);
  // The matches of all targets that the query allows. Takes no lease.
  absl::Status Score(const Query& query, Scores* scores);
  // The reasoning of a Route. Takes no lease. `explanation` must be empty.
  absl::Status Explain(const Query& query, Explanation* explanation);
  // Tells the lease of a routed request what became of it; where it has ended, what was predicted
  // is compared with what its engine says. False: there is no such lease (any more), which is
  // harmless, or it is another client's.
  absl::StatusOr<bool> Complete(const Outcome& outcome);
  // The request was served at another endpoint than the one chosen: its lease goes there. False:
  // there is no such lease, or no such target.
  bool Moved(std::string_view request_id, const Endpoint& served, const ClientId& client);
  // The decision could not be told to whoever asked: nobody will send the request or end its lease.
  void Abandon(std::string_view request_id) { loads_->Abandon(request_id); }
  // The client's stream has ended, and with it the leases that are tied to it.
  void StreamEnded(uint64_t stream) { loads_->StreamEnded(stream); }
  // What is remembered of prompts that came as text.
  size_t TextBytes() const { return texts_.Bytes(); }
  // How many targets there are, of all models.
  size_t TargetCount() const { return fleet_->Snapshot()->targets.size(); }
  // The client's connection is closed; see LoadTracker.
  void ClientGone(const ClientId& client) { loads_->ClientGone(client); }

  // For a reloaded configuration.
  void SetDefaultPolicy(PolicyKind policy) {
    default_policy_.store(policy, std::memory_order_relaxed);
  }

 private:
  absl::Status Decide(const Query& query, Decision* decision);
  absl::Status ScoreAll(const Query& query, Scores* scores);
  absl::Status Reason(const Query& query, Explanation* explanation);
  absl::StatusOr<bool> EndOrAdvance(const Outcome& outcome);
  bool End(const Outcome& outcome);

  // Policy, runner-ups and request id; draws the number that breaks ties.
  absl::Status ReadTerms(const Query& query, Terms* terms);
  // Brings `fleet` up to date and matches the prompt with every target of the model.
  absl::Status MatchPrompt(const Query& query, std::shared_ptr<const FleetSnapshot>* fleet,
                           QueryWalk* walk);
  std::optional<Choice> ChooseTarget(const Terms& terms, uint64_t turn, QueryWalk* walk);
  absl::Status Lease(const Query& query, const QueryWalk& walk, const Choice& choice,
                     Decision* decision);
  // Answers a request that is asked again as it was answered first. False: it has no lease.
  bool Repeat(const Query& query, const Terms& terms, QueryWalk* walk, Decision* decision);
  // What is known of a prompt without tokens: where its text's beginning went.
  void Guess(const Query& query, QueryWalk* walk);
  void FindInFlight(const Query& query, QueryWalk* walk);
  void Count(const Query& query, const Terms& terms, const QueryWalk& walk, const Choice& choice,
             const Match& chosen);

  const PrefixIndex* const index_;
  const Fleet* const fleet_;
  LoadTracker* const loads_;
  RoutingStats* const stats_;
  const Clock* const clock_;
  std::atomic<PolicyKind> default_policy_;
  const uint64_t tie_break_seed_;
  TextMemory texts_;  // by the streams of the targets that got them
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_ROUTER_H_
