#ifndef KVROUTE_INDEXER_STREAM_PENDING_EVENTS_H_
#define KVROUTE_INDEXER_STREAM_PENDING_EVENTS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/block_contents.h"

namespace kvroute {

// Stored events of one stream whose parent is not known (yet): where their blocks stand in a prompt
// cannot be told. They wait for their parent; what happens to their blocks meanwhile is remembered
// as the number of copies in each tier, so that resolving them later gives what the right order
// would have given.
//
// Thread safety: one thread at a time. Memory: bounded by `max_bytes`, see Cost.
class PendingEvents {
 public:
  using TierCopies = std::array<uint16_t, kTierCount>;

  struct Entry {
    EngineHash parent;
    std::vector<EngineHash> hashes;
    std::vector<TierCopies> copies;  // of each hash, now
    Tier stored_tier = Tier::kGpu;   // as the event said
    std::vector<TokenId> tokens;
    std::vector<uint64_t> mix;
    std::vector<uint32_t> mix_ends;
    BlockContents contents;  // its spans point into the members above, also after a move
    size_t bytes = 0;
  };

  PendingEvents(CopyMode mode, size_t max_bytes) : mode_(mode), max_bytes_(max_bytes) {}

  // False when it would exceed the bound; nothing is kept then.
  bool Add(EngineHash parent, absl::Span<const EngineHash> hashes, const BlockContents& contents,
           Tier tier);
  // Another copy of a pending block, or one less. False when no pending event has (a copy of) the
  // block.
  bool AddCopy(EngineHash hash, Tier tier);
  bool Remove(EngineHash hash, Tier tier);
  // Takes out the events that wait for `parent`, oldest first.
  std::vector<Entry> Take(EngineHash parent);
  void Clear();

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  using Id = uint64_t;
  struct Place {
    Id id;
    uint32_t position;
  };

  static size_t Cost(absl::Span<const EngineHash> hashes, const BlockContents& contents);
  void EraseIfDead(Id id);
  Entry Extract(Id id);

  const CopyMode mode_;
  const size_t max_bytes_;
  size_t bytes_ = 0;
  Id next_id_ = 0;
  absl::flat_hash_map<Id, Entry> entries_;
  absl::flat_hash_map<EngineHash, absl::InlinedVector<Id, 1>> by_parent_;
  absl::flat_hash_map<EngineHash, absl::InlinedVector<Place, 1>> by_hash_;
  absl::flat_hash_map<Id, size_t> live_;  // (hash, tier) pairs of the entry with a copy
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_PENDING_EVENTS_H_
