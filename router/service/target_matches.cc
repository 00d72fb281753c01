#include "router/service/target_matches.h"

#include <algorithm>
#include <optional>

namespace kvroute {

void TargetMatches::ReadStreams(const FleetSnapshot& fleet, const ModelTargets& model) {
  begin_ = model.begin;
  profiles_.clear();
  matches_.assign(model.end - model.begin, TargetMatch{});
  for (size_t i = 0; i < matches_.size(); ++i) {
    const FleetTarget& target = fleet.targets[begin_ + i];
    const StreamStatus& stream = *target.stream;
    TargetMatch& match = matches_[i];
    match.next_seq = stream.next_seq.load(std::memory_order_acquire);
    match.trust = stream.trust.load(std::memory_order_relaxed);
    match.reason = stream.reason.load(std::memory_order_relaxed);
    match.connected = stream.connected.load(std::memory_order_relaxed);
    match.profile = {target.block_size_tokens(), target.worker->spec.bigram};
    if (match.profile.block_size_tokens != 0) match.profile_index = IndexOf(match.profile);
  }
}

uint32_t TargetMatches::IndexOf(HashProfile profile) {
  const auto it = std::find(profiles_.begin(), profiles_.end(), profile);
  if (it != profiles_.end()) return static_cast<uint32_t>(it - profiles_.begin());
  profiles_.push_back(profile);
  return static_cast<uint32_t>(profiles_.size() - 1);
}

void TargetMatches::Match(const FleetSnapshot& fleet, const PrefixIndex& index,
                          const ParsedPrompt& prompt) {
  for (uint32_t p = 0; p < prompt.profile_count; ++p) {
    const ParsedPrompt::Hashes& hashes = prompt.hashes[p];
    if (!hashes.comparable) continue;
    index.Match(hashes.prefixes, &result_);
    for (const StreamMatch& found : result_.matches) {
      const std::optional<uint32_t> target = fleet.TargetOf(found.stream);
      // Another model may hold equal tokens; a stream of another profile, equal hashes by
      // coincidence only.
      if (!target || *target - begin_ >= matches_.size()) continue;
      TargetMatch& match = matches_[*target - begin_];
      if (match.profile_index != p || match.profile.block_size_tokens == 0) continue;
      match.blocks = found.blocks;
      match.blocks_by_tier = found.blocks_by_tier;
    }
  }
  for (TargetMatch& match : matches_) {
    if (match.profile.block_size_tokens != 0)
      match.comparable = prompt.hashes[match.profile_index].comparable;
  }
}

}  // namespace kvroute
