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

// Moves the stream's tail of a chain that it holds into cpu memory and the end of it to disk, as an
// engine does that evicts from gpu: 40 % of the holdings on average, but of each chain and stream
// another part.
template <typename Index>
void OffloadTail(Index* index, StreamId stream, const BlockChain& chain, double draw) {
  const auto length = static_cast<double>(chain.size());
  const double kept = 0.3 + 0.6 * draw;
  const auto cpu = static_cast<size_t>(length * kept);
  const auto disk = static_cast<size_t>(length * (kept + (1 - kept) * 0.625));
  const auto engines = absl::MakeConstSpan(chain.engine_hashes);
  index->AddCopies(stream, engines.subspan(cpu, disk - cpu), Tier::kCpu);
  index->AddCopies(stream, engines.subspan(disk), Tier::kDisk);
  for (int copy = 0; copy < 2; ++copy) {  // some were stored twice
    index->Remove(stream, engines.subspan(cpu), Tier::kGpu);
  }
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
