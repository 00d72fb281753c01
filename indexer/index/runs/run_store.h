#ifndef KVROUTE_INDEXER_INDEX_RUNS_RUN_STORE_H_
#define KVROUTE_INDEXER_INDEX_RUNS_RUN_STORE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "indexer/base/mutex.h"
#include "indexer/event/event.h"
#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/epoch.h"
#include "indexer/index/memory/spin_lock.h"
#include "indexer/index/memory/writer_gate.h"
#include "indexer/index/prefix_hash.h"
#include "indexer/index/runs/holders.h"
#include "indexer/index/runs/run.h"
#include "indexer/index/tables/head_table.h"
#include "indexer/index/tables/name_columns.h"
#include "indexer/index/tables/name_table.h"

namespace kvroute {

// How far ahead of the engine hash at hand its bucket is fetched from memory.
inline constexpr uint32_t kPrefetchAhead = 16;

// All runs and who covers which of their blocks. It knows slots and places; what a stream's engine
// hashes mean beyond the names that runs carry is StreamNames' business.
//
// Every live run is in the head table of the shard its first prefix hash belongs to, and that
// shard's lock guards it. Every block in a run's window is in the name table under the run's engine
// hash for it. A prefix hash is at one place: a block is stored behind its parent or as the head of
// a run, and a run is appended to only by a sole holder.
//
// Thread safety: FindHead and the readers' parts of a run without a lock. Others lock; one thread
// at a time per slot. Every call under an EpochPin, those that change something within a Write.
// Lock order: shard, then name shard, arena or reclaimer (leaves).
class RunStore {
 public:
  // An EpochPin of a thread that changes something. Not to be made under a lock.
  class Write {
   public:
    explicit Write(RunStore* store) { store->gate_.Enter(); }

   private:
    EpochPin pin_;
  };

  // What a Store call could do with the blocks at the front of a request.
  enum class Outcome : uint8_t {
    kAdded,    // `count` blocks newly covered by the slot, under the run's own engine hashes
    kHeld,     // `count` blocks that the slot covers already
    kForeign,  // `count` blocks exist from `place` on; the first needs a name of its own, or a look
               // at what its engine hash meant, and so may the others
    kBlocked,  // the block is nowhere, and its engine hash may not name a new one before its old
               // meaning is dropped
  };
  struct Stretch {
    Outcome outcome;
    Place place;  // of the first block
    uint32_t count;
  };
  struct StoreArgs {
    Slot slot;
    Tier tier;
    Place parent;  // place of the block before, or nowhere
    uint64_t parent_prefix;
    absl::Span<const LocalHash> locals;
    // The first is there. The others are chained on the way, as far as the stretch that is stored:
    // chaining is all latency, and what a store looks up meanwhile hides it.
    absl::Span<PrefixHash> prefixes;
    absl::Span<const EngineHash> engines;
    uint32_t plain;  // leading blocks whose engine hash the slot holds nowhere
  };

  explicit RunStore(uint64_t secret);
  ~RunStore();

  // Stores what can be stored in one run. Places that carry an engine hash of the stretch already
  // are appended to `twins`.
  Stretch Store(const StoreArgs& args, std::vector<std::pair<uint64_t, Place>>* twins);

  // The place where the slot covers a block that the run has under this name, and accept(Place)
  // agrees; or nowhere.
  Place Locate(Slot slot, uint64_t engine, absl::FunctionRef<bool(Place)> accept) const;
  void PrefetchName(uint64_t engine) const {
    const TableHash hash = Hash(engine);
    NamesOf(hash).Fetch(hash.fragment());
  }
  void PrefetchRunOf(uint64_t engine) const;

  // Removes as many of the leading `engines` as are neighbours in one run and covered by the slot,
  // starting where the slot covers a block that the run has under the first of these names, and
  // within accept(Place): the blocks around that place which, if covered, are the slot's under the
  // run's names. `hint` is looked at before the names are; it may be nowhere. Returns how many, 0
  // if there is no such place; `cursor` becomes a neighbour that the slot still covers, or nowhere.
  uint32_t Remove(Slot slot, Place hint, absl::Span<const EngineHash> engines,
                  absl::FunctionRef<BlockRange(Place)> accept, Place* cursor);

  // Blocks of one run, for names that are not the run's (run_foreign.cc). Covers those from `place`
  // on that hold these prefix hashes, in the gpu tier, up to the first that the slot covers
  // already; the run may not move from now on. Returns how many: 0 also when the place has
  // vanished.
  uint32_t CoverStretch(Slot slot, Place place, absl::Span<const PrefixHash> prefixes);
  // `count` blocks, all of them covered; `cursor` as in Remove.
  void UncoverStretch(Slot slot, Place place, uint32_t count, Place* cursor);

  // One block. kGone: the place no longer holds that prefix hash. `pin`: the run may not move from
  // now on. `tier` is taken when the block was not covered before.
  enum class Coverage : uint8_t { kGone, kNew, kAlready };
  Coverage Cover(Slot slot, Place place, uint64_t prefix, Tier tier, bool pin);
  void Uncover(Slot slot, Place place);
  // Uncovers the place if the slot covers it.
  bool UncoverIfCovered(Slot slot, Place place);
  void SetTier(Slot slot, Place place, Tier tier);

  // For the names of a stream that are not the runs'. `phase`: see NameTable.
  std::unique_ptr<NameColumns> NewColumns(uint32_t phase) {
    return std::make_unique<NameColumns>(&arena_, &reclaimer_, hasher_, phase);
  }

  // Takes all slots marked in `slots` (a bit each) out of every run.
  void Scrub(absl::Span<const uint64_t> slots);

  // Readers: offers the live or dying runs whose first block may have this prefix hash.
  template <typename Accept>
  const Run* FindHead(uint64_t prefix, Accept accept) const {
    const TableHash hash = Hash(prefix);
    const Granule found = heads_[hash.shard()].Find(
        hash.fragment(), [&](Granule run) { return accept(*arena_.At<Run>(run)); });
    return found == 0 ? nullptr : arena_.At<Run>(found);
  }
  void PrefetchHead(uint64_t prefix) const {
    const TableHash hash = Hash(prefix);
    heads_[hash.shard()].Prefetch(hash.fragment());
  }
  const DenseHolders* DenseAt(Granule granule) const { return arena_.At<DenseHolders>(granule); }
  void PrefetchHolders(const Run& run) const {
    if (run.holder_count.load(std::memory_order_acquire) == Run::kDense) {
      __builtin_prefetch(DenseAt(run.dense.load(std::memory_order_acquire)));
    }
  }
  Run* RunAt(Place place) const { return arena_.At<Run>(place.run); }

  // Engine hashes were seen twice: a place that carries a name no longer proves that the name means
  // nothing else.
  bool twins_seen() const { return twins_seen_.load(std::memory_order_acquire); }

  // Frees what no reader can reach any more.
  void Collect() { reclaimer_.Collect(); }

  struct Totals {
    uint64_t runs = 0;
    uint64_t blocks = 0;
    uint64_t bytes = 0;
  };
  Totals Count() const;

 private:
  struct Interval {
    uint16_t begin;
    uint16_t end;
  };
  using Intervals = absl::InlinedVector<Interval, 4>;
  struct alignas(128) Shard {
    mutable Mutex mutex;
    // What holders cover behind their first hole, by run and slot.
    absl::flat_hash_map<uint64_t, Intervals> islands ABSL_GUARDED_BY(mutex);
    uint64_t blocks ABSL_GUARDED_BY(mutex) = 0;
  };
  struct alignas(64) NameShard {
    SpinLock lock;
    NameTable names;  // written under the lock, or by who is alone behind the gate
  };

  TableHash Hash(uint64_t key) const { return hasher_(key); }
  Shard& ShardOf(const Run& run) { return shards_[Hash(run.Prefix(0)).shard()]; }
  const Shard& ShardOf(const Run& run) const { return shards_[Hash(run.Prefix(0)).shard()]; }
  HeadTable& HeadsOf(const Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex) {
    return heads_[static_cast<size_t>(&shard - shards_.get())];
  }
  const NameTable& NamesOf(TableHash hash) const { return names_[hash.shard()].names; }
  Place PlaceOf(const Run& run, uint32_t offset) const {
    return Place{arena_.Of(&run), static_cast<uint16_t>(offset)};
  }
  static uint64_t IslandKey(Granule run, Slot slot) { return uint64_t{run} << 16 | slot; }

  // The shard's lock is held by the callers of all these.
  Stretch Join(Shard& shard, Run* run, uint32_t offset, const StoreArgs& args)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  Stretch Create(Shard& shard, const StoreArgs& args,
                 std::vector<std::pair<uint64_t, Place>>* twins)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Count 0: the run cannot take more.
  Stretch Append(Shard& shard, Run* run, const StoreArgs& args,
                 std::vector<std::pair<uint64_t, Place>>* twins)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Leading blocks that a new stretch may take: up to the first that is the head of a run already.
  // (Its holders have dropped what came before it.)
  uint32_t FreshCount(const StoreArgs& args, size_t most) const;
  Run* MakeRoom(Shard& shard, Run* run, uint32_t blocks) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  Run* Relocate(Shard& shard, Run* run, uint32_t capacity)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void AddNames(const Run& run, uint32_t begin, uint32_t end,
                std::vector<std::pair<uint64_t, Place>>* twins);
  // Where else a new name is: for ForEachName's use.
  void NoteTwins(const NameTable& names, uint64_t engine, Place place,
                 std::vector<std::pair<uint64_t, Place>>* twins);
  void DropNames(const Run& run, uint32_t begin, uint32_t end);
  // use(NameTable*, spot, i) for the names of the run's blocks [begin, end), each under its shard's
  // lock unless nobody else writes; their lines are fetched ahead.
  template <typename Use>
  void ForEachName(const Run& run, uint32_t begin, uint32_t end, Use use);
  // The same with use(NameShard*, spot, i) and no lock.
  template <typename Use>
  void ForEachFetchedName(const Run& run, uint32_t begin, uint32_t end, Use use);
  // Remove at a place. 0: it is not that.
  uint32_t RemoveStretch(Slot slot, Place place, BlockRange own,
                         absl::Span<const EngineHash> engines, Place* cursor);

  // Whether the slot covers `offset`, and from where (if it does) and up to where that is so.
  struct Covered {
    bool covered;
    uint32_t begin;
    uint32_t until;
  };
  Covered CoveredAt(const Shard& shard, const Run& run, Slot slot, uint32_t offset) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  Intervals CoverageOf(const Shard& shard, const Run& run, HolderEntry entry) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void PutCoverage(Shard& shard, Run* run, Slot slot, const Intervals& coverage)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void AddCoverage(Shard& shard, Run* run, Slot slot, uint32_t begin, uint32_t end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void DropCoverage(Shard& shard, Run* run, Slot slot, uint32_t begin, uint32_t end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void SetTiers(Run* run, Slot slot, uint32_t begin, uint32_t end, Tier tier);
  // After coverage went: shortens the window to what anybody covers; an empty run dies. True when
  // it is gone.
  bool Settle(Shard& shard, Run* run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  uint32_t CoveredEnd(const Shard& shard, const Run& run) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Blocks inside the shard's windows that nobody covers.
  uint64_t UncoveredBlocks(const Shard& shard) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void Kill(Shard& shard, Run* run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void ScrubRun(Shard& shard, Run* run, absl::Span<const uint64_t> slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  const TableHasher hasher_;
  Arena arena_;
  mutable Reclaimer reclaimer_{&arena_};
  const Holders holders_{&arena_, &reclaimer_};
  std::unique_ptr<Shard[]> shards_;
  // Each written under its shard's mutex; apart from the mutexes, which readers have no use for.
  std::unique_ptr<HeadTable[]> heads_;
  std::unique_ptr<NameShard[]> names_;
  WriterGate gate_;
  std::atomic<bool> twins_seen_{false};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_RUN_STORE_H_
