#ifndef KVROUTE_ROUTER_ROUTE_QUERY_WALK_H_
#define KVROUTE_ROUTER_ROUTE_QUERY_WALK_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/load/in_flight_prompts.h"
#include "router/policy/policy.h"
#include "router/prompt/prompt_parser.h"
#include "router/route/decision.h"
#include "router/route/query.h"
#include "router/route/target_matches.h"

namespace kvroute {

// What a query says beside prompt and candidates, checked.
struct Terms {
  PolicyKind policy = PolicyKind::kWork;
  uint64_t tie_break = 0;  // orders equal scores
  size_t runner_ups = 0;
};

// What one query works on, between its steps: the Router walks, this is what it carries. Kept by
// the thread, so that its buffers are used again.
//
// The targets of the model are numbered from 0 on; the i-th match and the i-th candidate are the
// i-th target's.
//
// Ownership: `fleet` is held by the answer that is being made; pointers into it, and into the
// query, are stale once the query is answered.
struct QueryWalk {
  const FleetSnapshot* fleet = nullptr;
  const ModelTargets* model = nullptr;  // of `fleet`
  PromptNamespace prompt_namespace;     // the query's; of a model asked by an adapter's name, its
  ParsedPrompt prompt;
  uint8_t prompt_keys = 0;  // kinds of keys that the prompt has: bits of KeyKind
  TargetMatches matches;
  std::vector<uint8_t> named;       // by target: whether the query names it; empty: it names none
  size_t unknown_named = 0;         // named candidates that are no target of the model
  bool for_prefill = false;         // half the work: see Query
  bool by_endpoint = false;         // only targets with an endpoint may be chosen
  std::vector<Endpoint> endpoints;  // those that the query names, in order
  std::vector<Candidate> candidates;
  std::array<uint32_t, kLeftOutCount> left_out{};  // candidates by reason, kNo not counted
  std::vector<TextMemory::Found> went_to;          // where the text's beginnings went; by stream
  PromptPieces pieces;                             // of the prompt; none: it is not known
  std::vector<InFlightPrompts::Found> in_flight;   // where beginnings of it are; by stream
  std::vector<uint32_t> order;                     // of targets, best first

  const FleetTarget& target(size_t i) const { return fleet->targets[model->begin + i]; }
  const TargetFacts& facts(size_t i) const { return fleet->facts[model->begin + i]; }

  // NOT_FOUND: nobody serves it, by this name or another; UNAVAILABLE: nobody is known at all.
  absl::Status FindModel(const Query& query);
  absl::Status TakeNamed(absl::Span<const TargetName> targets);
  void TakeEndpoints(const Query& query);
  bool IsNamed(size_t i) const { return named.empty() || named[i] != 0; }
  // kNo: the query allows the target, whether it can serve or not.
  LeftOut NotAllowed(size_t i) const;
  // Puts match, load and health of each target side by side.
  void GatherCandidates();
  // Counts as held what targets are computing already: `in_flight` was found. The candidates were
  // gathered.
  void CountInFlight();
  // If nobody else serves: engines that do not answer us may answer the gateway.
  void TakeBackUnanswering();
  // Of a prompt that is not known: what a target got of its text before is taken for a match. The
  // candidates were gathered. False: nobody that may be chosen got any.
  bool GuessByText();
  // They can serve, and nobody else can that is heard: their load decides.
  void TakeBackIncomparable();
  // Those that are left out for their limit of requests alone may be chosen after all: nobody else
  // serves. False: there is none.
  bool TakeBackOverloaded();
  // UNAVAILABLE, with how many targets were left out for which reason.
  absl::Status WhyNone() const;

  // Of the model's targets the one with this load.
  std::optional<size_t> FindLoad(const TargetLoad* load) const;
  // Whether the target's stream and prompt leave nothing in doubt.
  bool IsExact(size_t i) const;
  Match MatchOf(size_t i) const;
  // All but the lease.
  void FillDecision(const Choice& choice, const Terms& terms, Decision* decision);
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_QUERY_WALK_H_
