#ifndef KVROUTE_ROUTER_POLICY_POLICY_H_
#define KVROUTE_ROUTER_POLICY_POLICY_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/enum_names.h"

namespace kvroute {

// How a target is chosen. docs/life-of-a-query.md, "The policies", gives each in one line.
enum class PolicyKind : uint8_t {
  kWork,  // the default
  kLmetric,
  kLpwl,
  kPrefix,
  kLeastLoaded,
  kRoundRobin,
  kRandom,
};
inline constexpr auto kPolicyNames = NamesUpTo<PolicyKind::kRandom>(
    "work", "lmetric", "lpwl", "prefix", "least_loaded", "round_robin", "random");
inline constexpr size_t kPolicyKindCount = kPolicyNames.size();
inline std::string_view PolicyName(PolicyKind policy) { return kPolicyNames[policy]; }
inline std::optional<PolicyKind> ParsePolicy(std::string_view name) {
  return kPolicyNames.Parse(name);
}

// Why a target may not be chosen. Also metric label values.
enum class LeftOut : uint8_t {
  kNo,             // it may be chosen
  kRole,           // of the request's halves, prefill and decode, it does the other one
  kNotACandidate,  // the request names its candidates and this is none of them
  kNoEndpoint,     // the request is for an endpoint, and its address is no IP address with a port
  kDraining,
  kOverloaded,    // max_requests_in_flight is reached, and not that of all others
  kNotAnswering,  // its engine does not answer HTTP, and others do
  // Nothing can be said about its cache, and others can serve. The request's hashes are of another
  // block size, or cover other tokens behind a block; the prompt has too many blocks of its size;
  // the model's workers hash in too many ways.
  kBlockSize,
  kLookahead,
  kPromptBlocks,
  kHashProfiles,
};
inline constexpr auto kLeftOutNames = NamesUpTo<LeftOut::kHashProfiles>(
    "", "role", "not_a_candidate", "no_endpoint", "draining", "overloaded", "not_answering",
    "block_size", "lookahead", "prompt_blocks", "hash_profiles");
inline constexpr size_t kLeftOutCount = kLeftOutNames.size();
inline std::string_view LeftOutName(LeftOut left_out) { return kLeftOutNames[left_out]; }

// Why the chosen one was chosen. Also metric label values.
enum class ChoiceReason : uint8_t {
  kOnlyOne,         // no other was left
  kLeastScore,      // work, lmetric, lpwl
  kLongestMatch,    // prefix
  kSpilledFromHot,  // prefix: a target with a better match is too busy
  kLeastLoad,       // least_loaded, and prefix when nobody holds anything
  kNextInTurn,      // round_robin
  kDrawn,           // random
  kAllOverloaded,   // the least loaded: all that serve have reached their max_requests_in_flight
  kWarmsUp,         // work: it is new beside the others, and is given a turn
};
inline constexpr auto kChoiceReasonNames = NamesUpTo<ChoiceReason::kWarmsUp>(
    "only_one", "least_score", "longest_match", "spilled_from_hot_worker", "least_load",
    "next_in_turn", "drawn", "all_overloaded", "warms_up");
inline constexpr size_t kChoiceReasonCount = kChoiceReasonNames.size();
inline std::string_view ChoiceReasonName(ChoiceReason reason) { return kChoiceReasonNames[reason]; }

// One target as the policy sees it.
struct Candidate {
  uint32_t target = 0;  // the caller's own index
  LeftOut left_out = LeftOut::kNo;
  bool unheard = false;          // nothing is known of its cache: behind equals that are heard
  uint64_t matched_tokens = 0;   // in whichever tier
  uint64_t uncached_tokens = 1;  // of this request, by what is held there
  // Of them, leading ones that requests sent there before it will have computed; always less.
  uint64_t in_flight_tokens = 0;
  uint64_t loading_tokens = 0;      // what takes as long as loading what is matched in slower tiers
  uint32_t requests_in_flight = 0;  // as TargetLoad::RequestsInFlight says
  uint32_t requests_begun = 0;      // ever
  // As its engine says; 0: it says nothing, or did so too long ago.
  uint32_t waiting = 0;
  uint32_t running = 0;
  uint32_t kv_usage_millionths = 0;
  uint32_t capacity_blocks = 0;
  uint64_t uncached_tokens_outstanding = 0;  // of the requests routed there before
  uint64_t output_tokens_expected = 0;  // of the requests in flight, as far as their clients said

  double score = 0;  // out: the policy's, lower is better; unspecified when left out

  // What the request adds to the target's work, in tokens to prefill; at least 1.
  uint64_t work_tokens() const { return uncached_tokens - in_flight_tokens + loading_tokens; }
};

struct Choice {
  size_t index = 0;  // into the candidates
  ChoiceReason reason = ChoiceReason::kOnlyOne;
};

// Of the policy `prefix`: a target is hot when it has at least kSpillMinRequests in flight and more
// than kSpillFactor times the mean of the other targets that may be chosen. Hot targets rank behind
// all others, whatever they hold.
inline constexpr uint32_t kSpillMinRequests = 8;
inline constexpr double kSpillFactor = 2.0;

// Of the policy `work`: what a request in flight costs a newcomer, in tokens to prefill. Placement
// differs little between 64 and 1,024 (docs/decisions/0064).
inline constexpr double kTokensPerRequest = 256;
// A target is new while it was given less than an eighth of what the others were on the average,
// and fewer than kWarmUpRequests. As long as one is, every 2N-th decision of N targets is its,
// which is half its share: what it computes then others need not compute again.
inline constexpr uint32_t kNewShare = 8;
inline constexpr uint32_t kWarmUpRequests = 256;

// A number for Choose's `tie_break`, far from those of all other decisions: Choose mixes it with
// small indices. `decision` counts the decisions of a model. Whoever knows the seed and the count
// breaks ties alike.
uint64_t TieBreak(uint64_t seed, uint64_t decision);

// Scores the candidates and chooses among those not left out; nullopt when all are. Pure: no clock,
// no state, no allocation. Of equal scores one that is heard wins; `tie_break` is a uniformly
// random number: among equals each wins with equal probability. Turns are taken by those that are
// heard, if any is. `turn` counts the decisions made for the model; work and round_robin read it.
std::optional<Choice> Choose(PolicyKind policy, absl::Span<Candidate> candidates,
                             uint64_t tie_break, uint64_t turn);

// Indices of the best `count` candidates that are not left out, best first. To be called after
// Choose, which fills in the scores, and with the same tie_break: the chosen one then comes first.
void RankCandidates(absl::Span<const Candidate> candidates, uint64_t tie_break, size_t count,
                    std::vector<uint32_t>* order);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_POLICY_POLICY_H_
