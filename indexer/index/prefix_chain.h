#ifndef KVROUTE_INDEXER_INDEX_PREFIX_CHAIN_H_
#define KVROUTE_INDEXER_INDEX_PREFIX_CHAIN_H_

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "indexer/index/prefix_hash.h"

namespace kvroute {

inline constexpr uint64_t kHashSeed = 1337;  // see prefix_hash.h

// ChainPrefix for loops that have other work to do while it computes: 14 cycles a block, all of it
// latency, so inline. For sources only: it brings in all of xxHash.
static inline PrefixHash ChainPrefixInline(PrefixHash parent, LocalHash local) {
  const uint64_t words[2] = {parent.value(), local.value()};
  return PrefixHash(XXH3_64bits_withSeed(words, sizeof(words), kHashSeed));
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_PREFIX_CHAIN_H_
