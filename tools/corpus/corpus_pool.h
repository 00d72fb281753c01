#ifndef KVROUTE_TOOLS_CORPUS_CORPUS_POOL_H_
#define KVROUTE_TOOLS_CORPUS_CORPUS_POOL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "indexer/index/prefix_hash.h"

namespace kvroute {

// The prefix cache of one worker as vLLM keeps it, reduced to what it publishes: a fixed number of
// physical blocks, freed blocks stay cached until they are needed again, least recently freed first
// and of one request tail first. One content may lie in several physical blocks (a request
// recomputes what it may not reuse); each copy is evicted for itself.
class CorpusPool {
 private:
  using Place = uint32_t;  // index of a physical block; capacity is the head of the free list

 public:
  // The physical blocks of a request under way, first block first. Nothing evicts them.
  class Use {
    friend class CorpusPool;
    std::vector<Place> places_;
  };

  explicit CorpusPool(uint32_t capacity_blocks);

  // Leading blocks of `chain` that are cached.
  size_t Hits(absl::Span<const PrefixHash> chain) const;

  // A request begins that reuses these blocks, which are cached.
  Use Begin(absl::Span<const PrefixHash> reused);
  // It computes its next block, in the least recently freed one; appends what was there to
  // `evicted`. False: all blocks are in use.
  bool Compute(PrefixHash content, Use* use, std::vector<PrefixHash>* evicted);
  // It frees its blocks.
  void End(const Use& use);

  // All three at one moment: reuses the first `reuse` (<= Hits) blocks and computes the others. A
  // chain longer than the pool is cut; returns how many of its blocks were run.
  size_t Run(absl::Span<const PrefixHash> chain, size_t reuse, std::vector<PrefixHash>* evicted);

  // Frees one copy of the block out of turn; false when none is cached, or it is in use.
  bool Drop(PrefixHash block);
  // Every Use ends and is not to be used again.
  void Clear();

 private:
  struct Block {
    PrefixHash content;
    bool cached = false;
    uint32_t uses = 0;    // requests under way; free: 0
    Place next_copy = 0;  // of the same content; own index: none
    Place older = 0;      // free list
    Place newer = 0;
  };

  void Uncache(Place place);
  void Cache(Place place, PrefixHash content);
  void Unlink(Place place);
  void LinkNewest(Place place);
  void LinkOldest(Place place);

  const Place head_;
  std::vector<Block> blocks_;                      // the last one is the list's head
  absl::flat_hash_map<PrefixHash, Place> cached_;  // to the newest copy
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CORPUS_CORPUS_POOL_H_
