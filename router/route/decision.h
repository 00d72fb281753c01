#ifndef KVROUTE_ROUTER_ROUTE_DECISION_H_
#define KVROUTE_ROUTER_ROUTE_DECISION_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/index/prefix_hash.h"
#include "indexer/stream/stream.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/load/prediction.h"
#include "router/policy/policy.h"

// What the Router answers.
//
// Ownership: an answer holds the snapshot of the fleet it was made from, and its texts are views
// into that. It is meant to be used again for the next answer: as long as the fleet has not
// changed, that then allocates nothing and touches no count of references.
namespace kvroute {

// What a target's engine last said of itself, and when.
struct EngineSaid {
  EngineHealth health = EngineHealth::kNotAsked;
  Nanos at{0};  // Clock::Monotonic; 0: never
  uint32_t waiting = 0;
  uint32_t running = 0;
  double kv_usage = 0;  // 0 to 1
  uint32_t capacity_blocks = 0;
};

// One target beside one prompt: what it holds of it, how far that may be believed, and how busy it
// was when the policy looked.
struct Match {
  std::string_view worker_id;
  std::string_view address;          // of the rank, else of the worker, as registered
  std::optional<Endpoint> endpoint;  // of that address; nullopt: it is none
  uint32_t rank = 0;
  uint32_t ranks = 1;  // of the worker

  uint32_t block_size_tokens = 0;  // of the target; 0: not known yet, and nothing is held
  uint32_t blocks = 0;             // leading full blocks held without a hole, in whichever tier
  std::array<uint32_t, kTierCount> blocks_by_tier{};  // by the fastest copy; sums to `blocks`
  uint64_t uncached_tokens = 0;                       // what it would have to prefill, at least 1

  // Of the uncached ones, leading ones that requests sent there before it are about to compute. The
  // policy counts them as held; `blocks` and a prediction do not.
  uint64_t in_flight_tokens = 0;

  Trust trust = Trust::kCold;
  TrustReason trust_reason = TrustReason::kNone;
  bool unheard = false;   // its events do not arrive: it has no match, and its load decides
  uint64_t next_seq = 0;  // every batch of its stream below this number is in the match

  uint32_t requests_in_flight = 0;
  uint64_t uncached_tokens_outstanding = 0;
  uint64_t output_tokens_expected = 0;
  EngineSaid engine;

  uint64_t tokens() const { return uint64_t{blocks} * block_size_tokens; }
  uint64_t tokens_in(Tier tier) const {
    return uint64_t{blocks_by_tier[static_cast<size_t>(tier)]} * block_size_tokens;
  }
};

// Where a request goes, and why.
struct Decision {
  std::shared_ptr<const FleetSnapshot> fleet;

  Match chosen;
  std::vector<Match> runner_ups;                   // in the policy's order, best first
  std::array<uint32_t, kLeftOutCount> left_out{};  // targets by reason, kNo not counted
  uint64_t total_blocks = 0;  // full blocks of the prompt, as the chosen target cuts it
  uint64_t total_tokens = 0;  // of the prompt
  std::string request_id;     // of the lease; empty: none was wanted
  Prediction prediction;      // of the lease
  PolicyKind policy = PolicyKind::kWork;
  ChoiceReason reason = ChoiceReason::kOnlyOne;
  bool is_repeat = false;  // the request had its lease already
};

// The matches of a prompt, for a client that chooses by itself.
struct Scores {
  std::shared_ptr<const FleetSnapshot> fleet;

  std::vector<Match> matches;  // longest first
  uint64_t total_blocks = 0;   // full blocks of the prompt, as the first match's target cuts it
  uint64_t total_tokens = 0;   // of the prompt
};

// The whole reasoning of a decision.
struct Explanation {
  struct Considered {
    Match match;
    double score = 0;  // the policy's, lower is better; unspecified when left out
    LeftOut left_out = LeftOut::kNo;
  };
  std::shared_ptr<const FleetSnapshot> fleet;

  std::optional<Decision> decision;    // nullopt: every target is left out
  std::vector<Considered> candidates;  // all targets of the model
  // Of the first blocks, as the chosen target's engine hashes them; at most kMaxExplainedHashes.
  std::vector<LocalHash> local_hashes;
  std::vector<PrefixHash> prefix_hashes;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_DECISION_H_
