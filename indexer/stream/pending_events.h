#ifndef KVROUTE_INDEXER_STREAM_PENDING_EVENTS_H_
#define KVROUTE_INDEXER_STREAM_PENDING_EVENTS_H_

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "indexer/base/memory_budget.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/block_contents.h"

namespace kvroute {

// Stored events of one stream whose parent is not known (yet): where their blocks stand in a prompt
// cannot be told. They wait for their parent; what happens to their blocks meanwhile is remembered
// as the number of copies in each tier, so that resolving them later gives what the right order
// would have given.
//
// Room. A parent that never comes would take its children's room for ever, so where there is none
// the event that has waited longest is forgotten, but for its parent's hash: should that come after
// all, it is known that something is missing (WasForgotten). An event equal to one that waits is
// one more copy of its blocks and takes no room.
//
// Work. Every call takes time by its own arguments, and Take by what it returns, whatever waits: a
// block is in kMaxEventsOfBlock waiting events at most, and events that wait for one parent are a
// linked list.
//
// Thread safety: one thread at a time. Memory: bounded by `max_bytes` (see Cost), and by what all
// streams together may take of the budget. Ownership: the budget outlives it.
class PendingEvents {
 public:
  static constexpr size_t kMaxEventsOfBlock = 16;
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

  // `budget`: of all streams; may be null.
  PendingEvents(CopyMode mode, size_t max_bytes, MemoryBudget* budget = nullptr)
      : mode_(mode), share_(budget, max_bytes) {}

  // False when there is no room even without those that have waited longer, or when a block is in
  // too many events already; the event is not kept then.
  bool Add(EngineHash parent, absl::Span<const EngineHash> hashes, const BlockContents& contents,
           Tier tier);
  // Another copy of a pending block, or one less. False when no pending event has (a copy of) the
  // block.
  bool AddCopy(EngineHash hash, Tier tier);
  bool Remove(EngineHash hash, Tier tier);
  // Every copy in that tier.
  void ClearTier(Tier tier);
  // Takes out the events that wait for `parent`, oldest first.
  std::vector<Entry> Take(EngineHash parent);
  void Clear();
  // Clear after an exception: what is kept is left where it is, because it may be damaged.
  void Abandon();

  // Whether a block waits, or others for it.
  bool Waits(EngineHash hash) const { return by_hash_.contains(hash); }
  // Whether an event that waited for this parent was forgotten.
  bool WasForgotten(EngineHash parent) const { return forgotten_.contains(parent); }
  // How many were forgotten since this was last asked; and whether there was no room even to
  // remember that.
  struct Forgotten {
    uint64_t events = 0;
    bool overflowed = false;
  };
  Forgotten TakeForgotten() { return std::exchange(news_, {}); }

  bool empty() const { return slots_.empty(); }
  // Whether a block that is stored may be somebody's parent.
  bool awaits_any() const { return !slots_.empty() || !forgotten_.empty(); }
  size_t size() const { return slots_.size(); }
  size_t bytes() const { return share_.bytes(); }

 private:
  using Id = uint64_t;
  static constexpr Id kNone = ~Id{0};
  struct Place {
    Id id;
    uint32_t position;
  };
  struct Slot {
    Entry entry;
    Id older = kNone;  // among those that wait for the same parent
    Id newer = kNone;
    size_t live = 0;     // (hash, tier) pairs with a copy
    size_t awaited = 0;  // positions whose hash others wait for
  };
  struct Siblings {
    Id oldest = kNone;
    Id newest = kNone;
  };
  using Places = absl::InlinedVector<Place, 1>;

  static size_t Cost(absl::Span<const EngineHash> hashes, const BlockContents& contents);
  bool AddToEqual(EngineHash parent, absl::Span<const EngineHash> hashes,
                  const BlockContents& contents, Tier tier);
  bool TakeRoom(size_t cost);
  void ForgetOldest();
  void Remember(EngineHash parent);
  // False: a block is in too many events. Its places are to be taken back.
  bool AddPlaces(Id id, Slot* slot);
  void AddCopyAt(Slot* slot, uint32_t position, Tier tier);
  void LinkToParent(Id id, Slot* slot);
  void UnlinkFromParent(const Slot& slot);
  void DropPlaces(Id id, const Entry& entry);
  Entry Extract(Id id);
  // Events whose blocks are all gone matter only as long as others wait for those as their parents.
  void EraseDead();
  void ReleaseIfEmpty();

  const CopyMode mode_;
  MemoryShare share_;
  Id next_id_ = 0;
  Id oldest_ = 0;  // none is older
  absl::flat_hash_map<Id, Slot> slots_;
  absl::flat_hash_map<EngineHash, Siblings> by_parent_;
  absl::flat_hash_map<EngineHash, Places> by_hash_;  // oldest first
  std::vector<Id> maybe_dead_;
  absl::flat_hash_set<EngineHash> forgotten_;  // parents
  Forgotten news_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_PENDING_EVENTS_H_
