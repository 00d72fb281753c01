#include "router/route/target_matches.h"

#include <algorithm>
#include <optional>

#include "indexer/base/limits.h"

namespace kvroute {

void TargetMatches::ReadStreams(const FleetSnapshot& fleet, const ModelTargets& model) {
  begin_ = model.begin;
  profiles_.clear();
  matches_.resize(model.end - model.begin);
  const TargetFacts* facts = fleet.facts.data() + begin_;
  HashProfile common;  // profiles_[0], which nearly always is that of all
  for (TargetMatch& match : matches_) {
    const StreamStatus& stream = *facts->stream;
    // Member by member, and the profile compared as such: what is written as bytes and read back as
    // a word at once stalls for longer than everything else here takes.
    match.next_seq = stream.next_seq.load(std::memory_order_acquire);
    match.trust = stream.trust.load(std::memory_order_relaxed);
    match.reason = stream.reason.load(std::memory_order_relaxed);
    match.heard =
        IsHeard(match.trust, stream.connected.load(std::memory_order_relaxed), facts->discovered);
    match.unnamed_keys = stream.unnamed_keys.load(std::memory_order_relaxed);
    match.incomparable = Incomparable::kNo;
    match.blocks = 0;
    match.blocks_by_tier.fill(0);
    const uint32_t block_size = facts->block_size_tokens();
    const uint32_t lookahead = facts->lookahead_tokens();
    match.profile.block_size_tokens = block_size;
    match.profile.lookahead_tokens = lookahead;
    const bool bare_inputs = stream.bare_inputs.load(std::memory_order_relaxed);
    match.profile.bare_inputs = bare_inputs;
    if (block_size == common.block_size_tokens && lookahead == common.lookahead_tokens &&
        bare_inputs == common.bare_inputs) {
      match.profile_index = 0;
    } else if (block_size != 0) {
      match.profile_index = IndexOf({block_size, lookahead, bare_inputs});
      if (match.profile_index == kNoProfile) match.incomparable = Incomparable::kHashProfiles;
      common = profiles_.front();
    }
    ++facts;
  }
}

uint32_t TargetMatches::IndexOf(HashProfile profile) {
  const auto it = std::find(profiles_.begin(), profiles_.end(), profile);
  if (it != profiles_.end()) return static_cast<uint32_t>(it - profiles_.begin());
  if (profiles_.size() == limits::kMaxHashProfiles) return kNoProfile;
  profiles_.push_back(profile);
  return static_cast<uint32_t>(profiles_.size() - 1);
}

void TargetMatches::Match(const FleetSnapshot& fleet, const PrefixIndex& index,
                          ParsedPrompt* prompt) {
  bool all_comparable = true;
  for (uint32_t p = 0; p < prompt->profile_count; ++p) {
    ParsedPrompt::Hashes& hashes = prompt->hashes[p];
    all_comparable = all_comparable && hashes.comparable();
    if (!hashes.comparable()) continue;
    index.Match(&hashes.chain, &result_);
    for (const StreamMatch& found : result_.matches) {
      const std::optional<uint32_t> target = fleet.TargetOf(found.stream);
      // Another model may hold equal tokens; a stream of another profile, equal hashes by
      // coincidence only.
      if (!target || *target - begin_ >= matches_.size()) continue;
      TargetMatch& match = matches_[*target - begin_];
      if (match.profile_index != p || match.profile.block_size_tokens == 0) continue;
      if (!match.heard) continue;
      match.blocks = found.blocks;
      match.blocks_by_tier = found.blocks_by_tier;
    }
  }
  if (all_comparable) return;
  for (TargetMatch& match : matches_) {
    if (match.profile.block_size_tokens != 0 && match.profile_index != kNoProfile)
      match.incomparable = prompt->hashes[match.profile_index].incomparable;
  }
}

}  // namespace kvroute
