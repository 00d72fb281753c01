#ifndef KVROUTE_INDEXER_INDEX_STREAM_WRITER_H_
#define KVROUTE_INDEXER_INDEX_STREAM_WRITER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "indexer/base/memory_budget.h"
#include "indexer/index/runs/run_store.h"
#include "indexer/index/store_journal.h"
#include "indexer/index/stream_changes.h"
#include "indexer/index/stream_id.h"
#include "indexer/index/tables/engine_hash_columns.h"
#include "indexer/index/tables/steady_map.h"

namespace kvroute {

// How far ahead of the block at hand the records of a batch are fetched from memory.
inline constexpr uint32_t kRecordsAhead = 8;

inline uint32_t Index(Tier tier) { return static_cast<uint32_t>(tier); }

// One stream's side of the writing: which blocks its engine hashes stand for.
//
// A stream knows a place that it covers by one or more engine hashes, in one of three ways:
//   - by the run's hash: the one that the run carries for the block. This is the usual holding (one
//     gpu copy), and costs nothing here: the run's hash and the slot's coverage say it all.
//   - by a foreign hash: a stream with another hash scheme stored the block first, so the run
//     carries that one's (the usual case when every engine seeds its hashes at random), or none,
//     because its hash was another block's already. It is in the stream's columns.
//   - by several hashes: then all of them but the run's are aliases, each with a record, and
//     `aliased_` has the place.
// Apart from aliases, only copies in other tiers and further copies have records.
//
// Thread safety: one thread at a time (the stream's lane), under an EpochPin; holdings() from any
// thread. Ownership: store and budget outlive it.
class StreamWriter {
 public:
  // What it takes outside the arena is charged to `budget`. Only where that has a limit does the
  // stream remember what it has held longest.
  StreamWriter(RunStore* store, StreamId id, Slot slot, CopyMode mode, MemoryBudget* budget)
      : store_(store),
        id_(id),
        mode_(mode),
        budget_(budget),
        has_journal_(budget->limit() != MemoryBudget::kUnlimited),
        slot_(slot) {}
  ~StreamWriter() { budget_->Charge(-static_cast<int64_t>(RecordBytes())); }

  StreamId id() const { return id_; }
  Slot slot() const { return slot_; }
  CopyMode mode() const { return mode_; }
  uint64_t holdings() const { return holdings_.load(std::memory_order_relaxed); }

  StoreResult Store(const StoreRequest& request);
  AddCopiesResult AddCopies(absl::Span<const EngineHash> engine_hashes, Tier tier, uint32_t copies);
  RemoveResult Remove(absl::Span<const EngineHash> engine_hashes, Tier tier);
  uint32_t Adopt(EngineHash engine_hash, std::vector<EngineHash>* adopted);
  bool Holds(EngineHash engine_hash) const { return Find(engine_hash.value()).run != 0; }
  // What the stream's own maps would take more than now if so many blocks were added to them: they
  // double, and have both sizes for a moment.
  uint64_t GrowthBytes(size_t blocks) const;
  // Gives up what the stream has held longest, and nothing was stored behind lately, until about so
  // much memory is free again or nothing is left whose end frees any: blocks that others hold as
  // well stay. What `spared` stands for stays, with all around it. Does a bounded piece of work.
  // Returns the number of holdings that went.
  uint64_t CutBack(uint64_t bytes, std::optional<EngineHash> spared);
  // Starts anew under another slot; what the old one covers is the caller's to scrub.
  void Restart(Slot slot);
  // What a stream leaves behind when it is cleared or closed: giving it back takes a while.
  struct Leavings;
  // Whether anything has a copy in another tier than the gpu.
  bool HasOtherTiers() const;
  // Every copy in a tier that is not the gpu.
  void DropTier(Tier tier);
  // Restart that takes along what has copies in other tiers than the gpu, without those in the gpu.
  // Returns what TakeLeavings would.
  Leavings MoveWithoutGpu(Slot slot);
  // Before Restart or the end, so that it can be done elsewhere.
  Leavings TakeLeavings();
  uint64_t RecordBytes() const { return record_bytes_.load(std::memory_order_relaxed); }

 private:
  using Copies = std::array<uint16_t, kTierCount>;
  static constexpr Copies kOneGpuCopy = {1, 0, 0, 0};

  struct Record {
    Copies copies{};
    Place alias;  // the place that it is an alias for; nowhere: it is none
  };
  // By which engine hashes the stream knows a place that has aliases.
  struct PlaceHashes {
    bool runs = false;  // also by the run's
    absl::InlinedVector<uint64_t, 1> aliases;
  };
  using Records = SteadyMap<Record>;       // by engine hash
  using Aliased = SteadyMap<PlaceHashes>;  // by KeyOf(place)
  static uint64_t KeyOf(Place place) { return uint64_t{place.run} << 16 | place.offset; }

  bool HasColumns() const { return columns_ != nullptr && !columns_->empty(); }
  EngineHashColumns& Columns();  // made when first needed

  Place Find(uint64_t engine) const;
  // Whether the stream knows a place, which it covers, by the run's hash.
  bool KnowsRunsHash(Place place) const;
  // The blocks around `place` that it knows so if it covers them, as far as that is quickly seen
  // and up to `most` to either side. Empty when `place` is not one of them.
  BlockRange KnowsRunsHashAround(Place place, size_t most) const;
  // Leading engine hashes, of about `lookahead`, that the stream has in no record and no column.
  uint32_t PlainCount(absl::Span<const EngineHash> engines, size_t lookahead) const;
  void Added(const RunStore::Stretch& stretch, absl::Span<const EngineHash> engines, Tier tier,
             StoreResult* result);
  // For an added block whose engine hash the run does not carry: takes the hash from the block that
  // has it, if that is this stream's, and knows the new one by it.
  void StoreBlank(const RunStore::Stretch& stretch, const RunStore::Blank& blank, uint64_t engine,
                  Tier tier, StoreResult* result);
  // Uncovers the place if the stream knows it by the run's hash.
  bool DropByRunsHash(Place place);
  // For the blocks of a kForeign stretch, the first `plain` of whose engine hashes are in no record
  // and no column: how many of the leading ones are now held by foreign hashes.
  uint32_t StoreForeign(const RunStore::Stretch& stretch, absl::Span<const PrefixHash> prefixes,
                        absl::Span<const EngineHash> engines, uint32_t plain, StoreResult* result);
  // Stores the stretch's blocks one after the other. Returns how many: fewer than all when the
  // place has vanished meanwhile.
  uint32_t StoreOneByOne(const RunStore::Stretch& stretch, absl::Span<const PrefixHash> prefixes,
                         absl::Span<const EngineHash> engines, Tier tier, StoreResult* result);
  // Removes as many of the leading engine hashes, which have no records, as are foreign hashes of
  // neighbours. Returns how many; 0: the first is not in the columns.
  uint32_t RemoveForeign(absl::Span<const EngineHash> engines);

  // stream_records.cc: block by block, whatever engine hashes and copies there are.

  // What StoreBlock will look at for the block `ahead` blocks behind `place`.
  void FetchRecords(Place place, uint32_t ahead, uint64_t engine) const;
  // False: the place has vanished.
  bool StoreBlock(Place place, uint64_t prefix, uint64_t engine, Tier tier, StoreResult* result);
  // For a place whose foreign hash becomes an alias, because it gets a second engine hash.
  void MoveFromColumnToRecord(Place place);
  // The usual holding needs no record.
  void Write(uint64_t engine, const Copies& copies, Place alias);
  // True when it is the first copy in that tier.
  bool AddCopy(Place place, uint64_t engine, Tier tier, uint32_t copies = 1);
  // For one more engine hash of the place. False: it had kMaxAliases, and the oldest was dropped.
  bool AddAlias(Place place, uint64_t engine, bool runs_hash_too);
  // What RemoveCopy will look at for the engine hashes some way into `engines`.
  void FetchAliases(absl::Span<const EngineHash> engines) const;
  void RemoveCopy(uint64_t engine, Tier tier, RemoveResult* result);
  // Calls `visit` with the copies of every engine hash by which the stream knows the place.
  template <typename Visit>
  void ForEachHashOf(Place place, Visit visit) const;
  bool HasCopyIn(Place place, Tier tier) const;
  // Ends the holding with all its copies.
  void Forget(uint64_t engine, Place place);
  void DropEngineHash(uint64_t engine, Place place);
  void RefreshTier(Place place);

  void AddHoldings(int64_t count) {
    holdings_.store(holdings() + static_cast<uint64_t>(count), std::memory_order_relaxed);
  }
  void CountRecords();

  // stream_cut.cc: what the stream has held longest.

  // The blocks that a Store call added begin here.
  void Note(uint64_t engine);
  // Ends the holdings of blocks that the slot covers. Returns the memory that this frees, about.
  uint64_t GiveUp(Place place, uint32_t count);

  RunStore* const store_;
  const StreamId id_;
  const CopyMode mode_;
  MemoryBudget* const budget_;
  const bool has_journal_;
  Slot slot_;
  // It has stored a block that another stream's run carried already under the very same hash.
  bool shares_hashes_ = false;
  Place cursor_;  // a place that the slot covers, where the next event probably goes on; or nowhere
  std::unique_ptr<EngineHashColumns> columns_;  // null until needed
  Records records_;
  Aliased aliased_;
  std::atomic<uint64_t> holdings_{0};
  std::atomic<uint64_t> record_bytes_{0};
  std::vector<PrefixHash> prefixes_;  // of the request being stored, like the next
  std::vector<RunStore::Blank> blanks_;
  std::vector<Place> displaced_;
  StoreJournal journal_;
};

struct StreamWriter::Leavings {
  std::unique_ptr<EngineHashColumns> columns;  // may be null
  Records records;
  Aliased aliased;
};

inline StreamWriter::Leavings StreamWriter::TakeLeavings() {
  return Leavings{std::move(columns_), std::move(records_), std::move(aliased_)};
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_STREAM_WRITER_H_
