#ifndef KVROUTE_TOOLS_CORPUS_CORPUS_PLACEMENT_H_
#define KVROUTE_TOOLS_CORPUS_CORPUS_PLACEMENT_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "indexer/index/prefix_hash.h"
#include "tools/workload/random.h"

namespace kvroute {

enum class CorpusPlacementPolicy : uint8_t {
  kRandom,  // seeded; what the public harnesses do
  kRoundRobin,
  kCacheAware,  // where the longest prefix of the prompt was served last, unless that worker has
                // much more than its share
};

// Decides which worker of a corpus serves a request. Deterministic; knows only its own past
// decisions, not the pools.
class CorpusPlacement {
 public:
  CorpusPlacement(CorpusPlacementPolicy policy, uint32_t workers, uint64_t seed);

  uint32_t Choose(absl::Span<const PrefixHash> chain);
  // The request was served and computed so many blocks.
  void Served(uint32_t worker, absl::Span<const PrefixHash> chain, size_t computed_blocks);

 private:
  uint32_t LeastLoaded() const;
  bool Overloaded(uint32_t worker) const;

  const CorpusPlacementPolicy policy_;
  SeededRandom random_;
  uint32_t next_ = 0;
  uint64_t total_computed_ = 0;
  std::vector<uint64_t> computed_;  // blocks, by worker
  absl::flat_hash_map<PrefixHash, uint32_t> served_by_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CORPUS_CORPUS_PLACEMENT_H_
