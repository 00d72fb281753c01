#ifndef KVROUTE_TOOLS_FLEET_ENGINE_POOL_H_
#define KVROUTE_TOOLS_FLEET_ENGINE_POOL_H_

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "indexer/base/strong_int.h"
#include "indexer/event/block_hasher.h"
#include "tools/fleet/cache_events.h"

namespace kvroute {

using BlockIndex = StrongInt<struct BlockIndexTag, uint32_t>;

// Which copies of a block a pool announces.
enum class Announce : uint8_t {
  kEveryCopy,  // vLLM: each physical copy's Stored and Removed
  kFirstCopy,  // SGLang: its tree knows one copy of a prefix, so only the first Stored and the last
               // Removed
};

// The KV blocks of one engine rank, as vLLM's v1 block pool keeps them: a block that no request
// refers to any more stays findable by its hash until it is handed out again, which happens in the
// order in which blocks became free; a request's blocks become free last block first, so that
// chains are evicted from their tails. Equal blocks computed twice are two copies.
//
// `Hash`: Digest or BlockKey.
//
// Thread safety: one thread at a time. Ownership: `events` (nullptr: nobody listens) must outlive
// the pool.
template <typename Hash>
class BasicEnginePool {
 public:
  using Events = BasicCacheEvents<Hash>;

  BasicEnginePool(uint32_t capacity_blocks, uint32_t block_size_tokens, Announce announce,
                  Events* events);

  // How many leading blocks of the chain are resident.
  uint32_t CountResident(absl::Span<const Hash> chain) const;

  // Appends to `blocks` a resident block for each of `hits` and then `fresh` blocks to write,
  // evicting what they held. False, and nothing changed, when too few are free. `hits` must be
  // resident.
  bool Acquire(absl::Span<const Hash> hits, uint32_t fresh, std::vector<BlockIndex>* blocks);

  // Makes blocks [first, end) of a request findable: they are full, hold these tokens and have
  // these hashes, into which `names` went. All spans start at the request's first block;
  // `tokens` may be empty.
  void Register(absl::Span<const BlockIndex> blocks, absl::Span<const Hash> hashes,
                absl::Span<const TokenId> tokens, size_t first, size_t end,
                const HashNamespace& names = {});

  // Takes a request's references back, last block first.
  void Release(absl::Span<const BlockIndex> blocks);

  // Forgets every hash. Only while no block is referred to (CHECK).
  void Clear();

  uint32_t capacity_blocks() const { return sentinel_; }
  uint32_t free_blocks() const { return free_blocks_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Block {
    Hash hash{};
    uint32_t references = 0;
    bool findable = false;
    uint32_t free_previous = kNone, free_next = kNone;  // while references == 0
    uint32_t copy_previous = kNone,
             copy_next = kNone;  // copies of one hash; the oldest is the head
  };
  struct FirstWord {  // hashes are uniform: any 8 bytes of one will do
    size_t operator()(const Hash& hash) const {
      size_t word;
      std::memcpy(&word, &hash, sizeof(word));
      return word;
    }
  };

  void PushFree(uint32_t block);
  void RemoveFree(uint32_t block);
  // Both return whether it changed if the hash is resident at all.
  bool Link(uint32_t block);
  bool Unlink(uint32_t block);
  void Evict(uint32_t block);

  const uint32_t block_size_tokens_;
  const Announce announce_;
  Events* const events_;
  const uint32_t sentinel_;  // of the free list: one past the last block
  std::vector<Block> blocks_;
  uint32_t free_blocks_ = 0;
  absl::flat_hash_map<Hash, uint32_t, FirstWord> heads_;
};
using EnginePool = BasicEnginePool<Digest>;

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_ENGINE_POOL_H_
