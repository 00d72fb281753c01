#include "tools/placement/policies/dualmap_policy.h"

#include <algorithm>

#include "tools/workload/random.h"

namespace kvroute {
namespace {

constexpr uint64_t kPartTokens = 512;
constexpr size_t kFirstParts = 2, kMostParts = 32;
constexpr uint64_t kFewArrivals = 5;  // fewer say nothing of a share
constexpr Nanos kShareWindow = std::chrono::seconds(60);
constexpr double kDualmapObjectiveMs = 5'000;

}  // namespace

DualmapPolicy::DualmapPolicy(const PolicySetting& setting)
    : PrefillTimePolicy(setting),
      part_blocks_(std::max<size_t>(kPartTokens / setting.block_size_tokens, 1)),
      arrivals_(kShareWindow),
      all_(kShareWindow) {}

uint64_t DualmapPolicy::KeyOf(const PlacementQuery& query, size_t targets) {
  all_.Add(query.now, 0);
  uint64_t key = MixBits(query.number);  // of a prompt without a full block
  for (size_t parts = 1; parts <= kMostParts; ++parts) {
    const size_t blocks = std::min(parts * part_blocks_, query.prompt_blocks.size());
    if (blocks == 0) break;
    key = query.prompt_blocks[blocks - 1].value();
    if (parts < kFirstParts && blocks < query.prompt_blocks.size()) continue;
    arrivals_.Add(query.now, key);
    const uint64_t arrived = arrivals_.Count(key);
    const bool hot = arrived >= kFewArrivals && arrived * targets > 2 * all_.total();
    if (!hot || blocks == query.prompt_blocks.size()) break;
  }
  return key;
}

size_t DualmapPolicy::Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) {
  const uint64_t key = KeyOf(query, targets.size());
  const size_t first = MixBits(key) % targets.size();
  if (targets.size() == 1) return first;
  const size_t second = (first + 1 + MixBits(~key) % (targets.size() - 1)) % targets.size();
  const Candidate& one = targets[first];
  const Candidate& other = targets[second];
  const Candidate& richer = other.matched_tokens > one.matched_tokens ? other : one;
  if (FirstTokenMs(richer) <= kDualmapObjectiveMs && one.matched_tokens != other.matched_tokens) {
    return richer.target;
  }
  return FirstTokenMs(other) < FirstTokenMs(one) ? second : first;
}

}  // namespace kvroute
