#ifndef KVROUTE_INDEXER_INDEX_RUNS_RUN_STORE_H_
#define KVROUTE_INDEXER_INDEX_RUNS_RUN_STORE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "indexer/base/mutex.h"
#include "indexer/base/thread_pulse.h"
#include "indexer/event/event.h"
#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/arena_ahead.h"
#include "indexer/index/memory/epoch.h"
#include "indexer/index/memory/reclaimer.h"
#include "indexer/index/memory/spin_lock.h"
#include "indexer/index/memory/writer_gate.h"
#include "indexer/index/prefix_hash.h"
#include "indexer/index/runs/growing_runs.h"
#include "indexer/index/runs/holders.h"
#include "indexer/index/runs/run.h"
#include "indexer/index/runs/tiers.h"
#include "indexer/index/tables/engine_hash_columns.h"
#include "indexer/index/tables/engine_hash_table.h"
#include "indexer/index/tables/head_table.h"
#include "indexer/index/tables/steady_map.h"

namespace kvroute {

// How far ahead of the engine hash at hand its bucket is fetched from memory.
inline constexpr uint32_t kPrefetchAhead = 16;

// All runs, and who covers which of their blocks. It knows streams as slots, and engine hashes only
// as those that runs carry; by what other engine hashes a stream knows a block is StreamWriter's
// business.
//
// Invariants, each with why it holds and the test that fails without it. All of them are held by
// writers under the shard's lock; what readers may rely on without one is said in run.h.
//
// S1. A prefix hash is at one place. A block is stored behind its parent if it is there already;
//     else it joins the run that it heads; else it is appended to its parent's run (only by the
//     run's sole holder, who covers all of it); else it heads a new run. A stretch that is appended
//     or becomes a run ends before the first block that is a head already: that run may be what is
//     left of a chain whose beginning its holders have dropped.
//     Test: PrefixIndexModelTest.SeveralStreamsShareChains.
// S2. A run ends where somebody's coverage ends. When the last holder of its last blocks drops
//     them, the run becomes shorter, and their engine hashes leave the tables; memory behind it is
//     given back from two granules on. A run that nobody covers dies.
//     Tests: PrefixIndexMemoryTest.ChurnDoesNotGrow,
//     PrefixIndexModelTest.SeveralStreamsShareChains.
// S3. Every live run is in the head table of the shard that its first prefix hash belongs to, and
//     each of its blocks is in the engine hash table, under the hash that the run carries for it,
//     unless it carries none (0, a blank).
//     Both are made before readers can find the run, and taken back before it is retired, so an
//     entry never leads to memory that is something else. The tables check that what they erase is
//     there, in every build.
//     Test: PrefixIndexModelTest.SeveralStreamsShareChains.
// S4. What a table says is only a hint: entries hold a part of the hash. Who looks up compares with
//     the run, and a writer again under the lock.
//     Test: PrefixIndexCollisionTest.EngineHashesThatATableCannotTellApart.
// S5. An engine hash is at one place: no two places that anybody covers carry the same one. Whoever
//     enters a hash looks, under the lock of its table's shard, whether it is there already; if so,
//     the new block's place stays blank, and the stream that stores it knows it by a foreign hash.
//     So a place that carries an engine hash proves that the hash stands for nothing else as a
//     run's hash, and what streams with broken hash schemes do costs nobody else anything.
//     Tests: RunStoreTest.AnEngineHashIsAtOnePlace, PrefixIndexTwinsTest.
// S6. Nobody waits for a lock in a circle: a thread takes one shard's lock, under it one of an
//     engine hash table, the arena or the reclaimer, and under those none.
//     Test: none.
// S7. A run has granules behind its blocks that it does not need, more than one, only while it is
//     among its shard's GrowingRuns, which together have a bounded part of the index.
//     Who makes a run longer counts them, and whoever ends or shortens it takes it off that list.
//     Test: GrowingRunsTest.ChainsThatGrowTogetherLieInFewRuns.
//
// Thread safety: FindHead and the readers' parts of a run without a lock. Others lock; one thread
// at a time per slot. Every call under an EpochPin, those that change something within a Write.
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
    kAdded,    // `count` blocks newly covered by the slot, which knows them by the run's hashes
    kHeld,     // `count` blocks that the slot covers already
    kForeign,  // `count` blocks exist from `place` on; the first needs a foreign hash, or a look at
               // what its engine hash stood for until now, and so may the others
    kBlocked,  // the block is nowhere, and its engine hash must be dropped from the block that it
               // stands for before it can stand for a new one
  };
  // Consecutive blocks of one run, and what became of them.
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
    // The first is given. The others are computed on the way, as far as the stretch goes that is
    // stored: chaining is all latency, which what a store looks up meanwhile hides.
    absl::Span<PrefixHash> prefixes;
    absl::Span<const EngineHash> engines;
    uint32_t plain;  // leading blocks whose engine hash the slot holds nowhere
  };

  // A block of an added stretch for which the run carries no engine hash (S5).
  struct Blank {
    uint32_t index;  // in the stretch
    Place twin;      // that carries it; nowhere: the engine hash is 0, which no run carries
  };

  explicit RunStore(uint64_t secret);

  // Stores what can be stored in one run. Blocks of the stretch that became blanks are appended to
  // `blanks`, in order; the run is fixed then.
  Stretch Store(const StoreArgs& args, std::vector<Blank>* blanks);

  // The place of a block that the slot covers, whose run carries this engine hash for it, and for
  // which accept(Place) is true; or nowhere.
  Place Locate(Slot slot, uint64_t engine, absl::FunctionRef<bool(Place)> accept) const;
  // The same of a block that anybody covers; nowhere when there are several.
  Place LocateAnyones(uint64_t engine) const;
  void PrefetchEngineHash(uint64_t engine) const {
    const TableHash hash = Hash(engine);
    TableOf(hash).Fetch(hash.fragment());
  }
  void PrefetchRunOf(uint64_t engine) const;

  // Uncovers blocks that the slot knows by the run's hashes: the block of the first of `engines`,
  // and as many of its neighbours as are those of the next ones. accept(place) says which blocks
  // around a place the slot knows so, if it covers them. `hint` is where to look first; it may be
  // nowhere. Returns how many blocks went, 0 if the first was not found; `cursor` becomes a
  // neighbour that the slot still covers, or nowhere.
  uint32_t Remove(Slot slot, Place hint, absl::Span<const EngineHash> engines,
                  absl::FunctionRef<BlockRange(Place)> accept, Place* cursor);

  // For blocks that are known by foreign hashes (run_foreign.cc). Covers the blocks from `place` on
  // that have these prefix hashes, in the gpu tier, up to the first that the slot covers already.
  // From then on the run is fixed: it may not move. Returns how many; 0 also when the place has
  // vanished.
  uint32_t CoverStretch(Slot slot, Place place, absl::Span<const PrefixHash> prefixes);
  // `count` blocks, all of them covered; `cursor` as in Remove.
  void UncoverStretch(Slot slot, Place place, uint32_t count, Place* cursor);

  // One block. kGone: the place no longer has that prefix hash. `fix`: the run may not move from
  // now on. `tier` is taken when the block was not covered before.
  enum class Coverage : uint8_t { kGone, kNew, kAlready };
  Coverage Cover(Slot slot, Place place, uint64_t prefix, Tier tier, bool fix);
  void Uncover(Slot slot, Place place);
  // Uncovers the place if the slot covers it.
  bool UncoverIfCovered(Slot slot, Place place);
  void SetTier(Slot slot, Place place, Tier tier);

  // What a slot covers from a place on, for a stream that has to give something up (run_cut.cc).
  struct Holding {
    uint32_t count = 0;    // blocks without a hole; 0: not the place itself
    bool sole = false;     // nobody else covers anything of the run
    bool touched = false;  // something was stored again, or behind it, since this was last asked
  };
  Holding HoldingAt(Slot slot, Place place);

  // For a stream's foreign hashes. `stagger`: see EngineHashTable.
  std::unique_ptr<EngineHashColumns> NewColumns(uint32_t stagger) {
    return std::make_unique<EngineHashColumns>(&arena_, &reclaimer_, hasher_, stagger);
  }

  // Takes all slots marked in `slots` (a bit each) out of every run; `pulse` beats with each shard.
  void Scrub(absl::Span<const uint64_t> slots, ThreadPulse* pulse);

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

  const Tiers& tiers() const { return tiers_; }
  void PrefetchTiers(const Run& run) const {
    if (const TierTable* table = tiers_.TableOf(run)) __builtin_prefetch(table);
  }

  // Frees what no reader can reach any more.
  void Collect() { reclaimer_.Collect(); }

  // In the arena, without what only waits for its last readers, and of islands; without a lock.
  uint64_t UsedBytes() const;
  // The same including the gaps in it: what the arena has grown to.
  uint64_t GrownBytes() const { return arena_.ReservedBytes(); }
  uint64_t CapacityBytes() const { return arena_.CapacityBytes(); }
  // Returns long stretches of free memory to the system.
  void ReturnFree() { arena_.ReturnFree(); }

  struct Totals {
    uint64_t runs = 0;
    uint64_t blocks = 0;
    uint64_t bytes = 0;
    uint64_t twins = 0;  // blocks that became blanks because another carries their engine hash
  };
  Totals Count() const;  // reads counters only

 private:
  struct Interval {
    uint16_t begin;
    uint16_t end;
  };
  static constexpr size_t kInlineIslands = 4;
  static constexpr size_t kHeapOverheadBytes = 16;
  using Intervals = absl::InlinedVector<Interval, kInlineIslands>;
  struct alignas(128) Shard {
    mutable Mutex mutex;
    // Per run and slot: what the slot covers behind its first hole.
    SteadyMap<Intervals> islands ABSL_GUARDED_BY(mutex);
    // Written under the mutex, read by Count.
    GrowingRuns growing ABSL_GUARDED_BY(mutex);
    std::atomic<uint64_t> runs{0};
    std::atomic<uint64_t> covered_blocks{0};
    std::atomic<uint64_t> island_bytes{0};
    uint64_t long_island_bytes ABSL_GUARDED_BY(mutex) = 0;  // of lists that are on the heap
  };
  static void Add(std::atomic<uint64_t>* counter, int64_t change) {
    counter->store(counter->load(std::memory_order_relaxed) + static_cast<uint64_t>(change),
                   std::memory_order_relaxed);
  }
  struct alignas(64) EngineHashShard {
    SpinLock lock;
    EngineHashTable table;  // written under the lock, or by who is alone behind the gate
  };

  TableHash Hash(uint64_t key) const { return hasher_(key); }
  Shard& ShardOf(const Run& run) { return shards_[Hash(run.Prefix(0)).shard()]; }
  const Shard& ShardOf(const Run& run) const { return shards_[Hash(run.Prefix(0)).shard()]; }
  HeadTable& HeadsOf(const Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex) {
    return heads_[static_cast<size_t>(&shard - shards_.get())];
  }
  const EngineHashTable& TableOf(TableHash hash) const {
    return engine_hashes_[hash.shard()].table;
  }
  Place PlaceOf(const Run& run, uint32_t offset) const {
    return Place{arena_.Of(&run), static_cast<uint16_t>(offset)};
  }
  static uint64_t IslandKey(Granule run, Slot slot) { return uint64_t{run} << 16 | slot; }

  // The shard's lock is held by the callers of all these.
  Stretch Join(Shard& shard, Run* run, uint32_t offset, const StoreArgs& args)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // `grown`: see GranulesToGrow; 0: no more than is needed.
  Stretch Create(Shard& shard, const StoreArgs& args, uint32_t grown, std::vector<Blank>* blanks)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Count 0: the run cannot take more.
  Stretch Append(Shard& shard, Run* run, const StoreArgs& args, std::vector<Blank>* blanks)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // How many leading blocks may be appended or become a run: those before the first that is the
  // head of a run already (S1).
  uint32_t FreshCount(const StoreArgs& args, size_t most) const;
  Run* MakeRoom(Shard& shard, Run* run, uint32_t blocks) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  Run* Relocate(Shard& shard, Run* run, uint32_t capacity)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // After a run became longer: it is the last one to lose the room that it has left.
  void KeepGrowing(Shard& shard, Run* run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Its room is not counted any more; whose it is then is the caller's.
  void StopGrowing(Shard& shard, Run* run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void GiveBackSpare(Shard& shard, Run* run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  uint32_t GranulesToGrow(uint32_t blocks, uint32_t grown) const;
  // How many granules the growing runs of a shard may have to grow into.
  uint32_t MostSpareGranules() const;
  // Enters those of blocks [begin, end); some may become blanks.
  void AddEngineHashes(Run* run, uint32_t begin, uint32_t end, std::vector<Blank>* blanks);
  // Another place that carries the engine hash that was entered for `place`, or nowhere.
  Place TwinOf(const EngineHashTable& table, uint64_t engine, Place place) const;
  void DropEngineHashes(const Run& run, uint32_t begin, uint32_t end);
  void MoveEngineHashes(const Run& from, const Run& to);
  // use(table, fetched, i) for the engine hashes of the run's blocks [begin, end), each under
  // its shard's lock unless nobody else writes; their lines are fetched ahead.
  template <typename Use>
  void ForEachEngineHash(const Run& run, uint32_t begin, uint32_t end, Use use);
  // The same with use(EngineHashShard*, fetched, i) and no lock.
  template <typename Use>
  void ForEachFetchedEngineHash(const Run& run, uint32_t begin, uint32_t end, Use use);
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
  // After coverage went: shortens the run to what anybody covers; one that nobody covers dies. True
  // when it is gone.
  bool Settle(Shard& shard, Run* run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  uint32_t CoveredEnd(const Shard& shard, const Run& run) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // After coverage changed: counts the run's blocks that nobody covers, if there can be any.
  // Returns how many fewer they are than before.
  int64_t CountUncovered(const Shard& shard, Run* run) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  uint32_t UncoveredBlocks(const Shard& shard, const Run& run) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Says what the slot covers behind its first hole; may be nothing.
  static uint64_t HeapBytes(const Intervals& islands);
  void CountIslands(Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void PutIslands(Shard& shard, Run* run, Slot slot, absl::Span<const Interval> islands)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void Kill(Shard& shard, Run* run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void ScrubRun(Shard& shard, Run* run, absl::Span<const uint64_t> slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  const TableHasher hasher_;
  Arena arena_;
  const ArenaAhead ahead_{&arena_};
  mutable Reclaimer reclaimer_{&arena_};
  const Holders holders_{&arena_, &reclaimer_};
  const Tiers tiers_{&arena_, &reclaimer_};
  std::unique_ptr<Shard[]> shards_;
  // Each written under its shard's mutex; apart from the mutexes, which readers have no use for.
  std::unique_ptr<HeadTable[]> heads_;
  std::unique_ptr<EngineHashShard[]> engine_hashes_;
  WriterGate gate_;
  std::atomic<uint64_t> twins_{0};
  std::atomic<uint64_t> island_bytes_{0};  // of all shards
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_RUN_STORE_H_
