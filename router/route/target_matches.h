#ifndef KVROUTE_ROUTER_ROUTE_TARGET_MATCHES_H_
#define KVROUTE_ROUTER_ROUTE_TARGET_MATCHES_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/stream.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/prompt/prompt_parser.h"

namespace kvroute {

// What one target holds of one prompt, and how its stream stood before the index was asked.
struct TargetMatch {
  uint64_t next_seq = 0;  // every batch below this number is in the match
  Trust trust = Trust::kCold;
  TrustReason reason = TrustReason::kNone;
  bool heard = false;        // see IsHeard; what is not heard has no match
  uint8_t unnamed_keys = 0;  // bits of KeyKind: what the engine's events would not say
  Incomparable incomparable = Incomparable::kNo;
  HashProfile profile;         // block size 0: not known yet, and nothing is held
  uint32_t profile_index = 0;  // in TargetMatches::profiles; meaningless when the block size is 0
  uint32_t blocks = 0;
  std::array<uint32_t, kTierCount> blocks_by_tier{};

  bool comparable() const { return incomparable == Incomparable::kNo; }
  uint64_t tokens() const { return uint64_t{blocks} * profile.block_size_tokens; }
  // What is left of the prompt to prefill. At least 1: an engine computes the last token even when
  // all is cached.
  uint64_t UncachedTokens(uint64_t prompt_tokens) const {
    return tokens() < prompt_tokens ? prompt_tokens - tokens() : 1;
  }
};

// The matches of one prompt with all targets of one model. Reused from query to query; allocates
// nothing in steady state.
//
// ReadStreams comes first, then Match. A lane stores next_seq after a batch is visible in the
// index; so a number that was loaded before the index is asked promises no batch that the match
// lacks.
class TargetMatches {
 public:
  void ReadStreams(const FleetSnapshot& fleet, const ModelTargets& model);
  // The different ways in which the model's targets hash a prompt, each once. At most
  // kMaxHashProfiles: targets of further ones are not compared, since each costs a hash of the
  // prompt.
  absl::Span<const HashProfile> profiles() const { return profiles_; }
  // `prompt` was parsed for profiles(); its chains are hashed as far as somebody holds blocks.
  void Match(const FleetSnapshot& fleet, const PrefixIndex& index, ParsedPrompt* prompt);

  // The i-th target of the model: FleetSnapshot::targets[begin + i].
  const TargetMatch& operator[](size_t i) const { return matches_[i]; }
  size_t size() const { return matches_.size(); }

 private:
  static constexpr uint32_t kNoProfile = UINT32_MAX;

  uint32_t IndexOf(HashProfile profile);  // added when it is new; kNoProfile: there is no room

  uint32_t begin_ = 0;
  std::vector<TargetMatch> matches_;
  std::vector<HashProfile> profiles_;
  MatchResult result_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_TARGET_MATCHES_H_
