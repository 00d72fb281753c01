#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_CHAINS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_CHAINS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/check.h"
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

// What follows is for PrefixIndex and for the flat yardstick.

// Stores blocks [first, end) of the chain; the block before `first` must be held.
template <typename Index>
StoreResult StoreBlocks(Index* index, StreamId stream, const BlockChain& chain, size_t first,
                        size_t end) {
  StoreRequest request;
  if (first > 0) request.parent = chain.engine_hashes[first - 1];
  request.engine_hashes = absl::MakeConstSpan(chain.engine_hashes).subspan(first, end - first);
  request.local_hashes = absl::MakeConstSpan(chain.locals).subspan(first, end - first);
  return index->Store(stream, request);
}

template <typename Index>
StoreResult StoreChain(Index* index, StreamId stream, const BlockChain& chain) {
  return StoreBlocks(index, stream, chain, 0, chain.size());
}

template <typename Index>
std::vector<StreamId> OpenStreams(Index* index, size_t count) {
  std::vector<StreamId> streams;
  for (size_t i = 0; i < count; ++i) {
    const absl::StatusOr<StreamId> stream = index->Open(CopyMode::kCounted);
    KVROUTE_CHECK(stream.ok());
    streams.push_back(*stream);
  }
  return streams;
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_CHAINS_H_
