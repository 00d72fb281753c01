#ifndef KVROUTE_TOOLS_FLEET_CACHE_EVENTS_H_
#define KVROUTE_TOOLS_FLEET_CACHE_EVENTS_H_

#include "absl/types/span.h"
#include "indexer/event/block_hasher.h"
#include "indexer/event/event.h"

namespace kvroute {

// What an engine tells about its block pool, in the order in which it happens. The border between
// the simulated engine and the sockets: tests record it. Pointers and spans are valid during the
// call only. `Hash` is what the pool knows blocks by: a Digest, or a BlockKey where nobody
// publishes.
template <typename Hash>
class BasicCacheEvents {
 public:
  virtual ~BasicCacheEvents() = default;
  // Consecutive blocks of one chain; `parent` nullptr: the first is a prompt's first block. `names`
  // went into the hashes; `tokens` are empty where the engine has none.
  virtual void Stored(const Hash* parent, absl::Span<const Hash> hashes,
                      absl::Span<const TokenId> tokens, const HashNamespace& names) = 0;
  virtual void Removed(const Hash& hash) = 0;
  virtual void Cleared() = 0;
};
using CacheEvents = BasicCacheEvents<Digest>;

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_CACHE_EVENTS_H_
