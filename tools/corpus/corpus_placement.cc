#include "tools/corpus/corpus_placement.h"

#include <algorithm>

namespace kvroute {
namespace {

// Share of the mean load that a worker may have before affinity gives way, and a start during which
// it does not.
constexpr double kOverload = 1.25;
constexpr uint64_t kGraceBlocks = 4'096;

}  // namespace

CorpusPlacement::CorpusPlacement(CorpusPlacementPolicy policy, uint32_t workers, uint64_t seed)
    : policy_(policy), random_(MixBits(seed)), computed_(workers) {}

uint32_t CorpusPlacement::Choose(absl::Span<const PrefixHash> chain) {
  switch (policy_) {
    case CorpusPlacementPolicy::kRandom:
      return static_cast<uint32_t>(random_.Below(computed_.size()));
    case CorpusPlacementPolicy::kRoundRobin:
      return next_++ % static_cast<uint32_t>(computed_.size());
    case CorpusPlacementPolicy::kCacheAware:
      break;
  }
  for (size_t i = chain.size(); i-- > 0;) {
    const auto served = served_by_.find(chain[i]);
    if (served == served_by_.end()) continue;
    if (!Overloaded(served->second)) return served->second;
    break;
  }
  return LeastLoaded();
}

void CorpusPlacement::Served(uint32_t worker, absl::Span<const PrefixHash> chain,
                             size_t computed_blocks) {
  if (policy_ != CorpusPlacementPolicy::kCacheAware) return;
  computed_[worker] += computed_blocks;
  total_computed_ += computed_blocks;
  for (const PrefixHash block : chain) served_by_[block] = worker;
}

uint32_t CorpusPlacement::LeastLoaded() const {
  return static_cast<uint32_t>(std::min_element(computed_.begin(), computed_.end()) -
                               computed_.begin());
}

bool CorpusPlacement::Overloaded(uint32_t worker) const {
  const double mean = static_cast<double>(total_computed_) / static_cast<double>(computed_.size());
  return static_cast<double>(computed_[worker]) > kOverload * mean + kGraceBlocks;
}

}  // namespace kvroute
