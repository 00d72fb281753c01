#include "test/benchmark/support/chains.h"

#include "indexer/base/check.h"
#include "tools/workload/random.h"

namespace kvroute {

BlockChain MakeChain(uint64_t seed, size_t length) { return Extend({}, 0, seed, length); }

BlockChain Extend(const BlockChain& base, size_t shared, uint64_t seed, size_t length) {
  BlockChain chain;
  chain.locals.assign(base.locals.begin(), base.locals.begin() + static_cast<ptrdiff_t>(shared));
  SeededRandom random(seed);
  for (size_t i = 0; i < length; ++i) chain.locals.emplace_back(random.Next());
  ChainLocals(chain.locals, &chain.prefixes);
  for (const PrefixHash prefix : chain.prefixes) chain.engine_hashes.emplace_back(prefix.value());
  return chain;
}

StoreResult StoreBlocks(PrefixIndex* index, StreamId stream, const BlockChain& chain, size_t first,
                        size_t end) {
  StoreRequest request;
  if (first > 0) request.parent = chain.engine_hashes[first - 1];
  request.engine_hashes = absl::MakeConstSpan(chain.engine_hashes).subspan(first, end - first);
  request.local_hashes = absl::MakeConstSpan(chain.locals).subspan(first, end - first);
  return index->Store(stream, request);
}

StoreResult StoreChain(PrefixIndex* index, StreamId stream, const BlockChain& chain) {
  return StoreBlocks(index, stream, chain, 0, chain.size());
}

std::vector<StreamId> OpenStreams(PrefixIndex* index, size_t count) {
  std::vector<StreamId> streams;
  for (size_t i = 0; i < count; ++i) {
    const absl::StatusOr<StreamId> stream = index->Open(CopyMode::kCounted);
    KVROUTE_CHECK(stream.ok());
    streams.push_back(*stream);
  }
  return streams;
}

}  // namespace kvroute
