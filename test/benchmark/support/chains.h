#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_CHAINS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_CHAINS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {

// A made-up prompt: its blocks' hashes. Engine hashes are the prefix hashes.
struct BlockChain {
  std::vector<LocalHash> locals;
  std::vector<PrefixHash> prefixes;
  std::vector<EngineHash> engine_hashes;

  size_t size() const { return locals.size(); }
};

// `length` random blocks; equal seeds give equal chains.
BlockChain MakeChain(uint64_t seed, size_t length);
// The first `shared` blocks of `base`, then `length` blocks of its own.
BlockChain Extend(const BlockChain& base, size_t shared, uint64_t seed, size_t length);

// Stores blocks [first, end) of the chain; the block before `first` must be held.
StoreResult StoreBlocks(PrefixIndex* index, StreamId stream, const BlockChain& chain, size_t first,
                        size_t end);
StoreResult StoreChain(PrefixIndex* index, StreamId stream, const BlockChain& chain);

std::vector<StreamId> OpenStreams(PrefixIndex* index, size_t count);

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_CHAINS_H_
