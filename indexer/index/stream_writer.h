#ifndef KVROUTE_INDEXER_INDEX_STREAM_WRITER_H_
#define KVROUTE_INDEXER_INDEX_STREAM_WRITER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "indexer/index/prefix_index.h"
#include "indexer/index/runs/run_store.h"
#include "indexer/index/tables/name_columns.h"

namespace kvroute {

// How far ahead of the block at hand the records of a batch are fetched from memory.
inline constexpr uint32_t kRecordsAhead = 8;

inline uint32_t Index(Tier tier) { return static_cast<uint32_t>(tier); }

// One stream's side of the writing: what its engine hashes name.
//
// The usual holding (one gpu copy, under the engine hash that the run has for the block) costs
// nothing here: the run's name and the slot's coverage say it all. A block that the run has under
// another engine hash (it was first stored by a stream with another hash scheme: the usual thing
// when every engine seeds its hashes at random) has a name in this stream's columns. Only what is
// left has a record: other tiers, further copies, a second name of a block (an alias).
//
// So a place that the stream covers is known to it by exactly one of: the run's name alone; the
// column's name alone; what `aliased_` says.
//
// Thread safety: one thread at a time (the stream's lane), under an EpochPin; holdings() from any
// thread.
class StreamWriter {
 public:
  StreamWriter(RunStore* store, StreamId id, Slot slot, CopyMode mode)
      : store_(store), id_(id), mode_(mode), slot_(slot) {}

  StreamId id() const { return id_; }
  Slot slot() const { return slot_; }
  uint64_t holdings() const { return holdings_.load(std::memory_order_relaxed); }

  StoreResult Store(const StoreRequest& request);
  PrefixIndex::AddCopiesResult AddCopies(absl::Span<const EngineHash> engine_hashes, Tier tier);
  RemoveResult Remove(absl::Span<const EngineHash> engine_hashes, Tier tier);
  bool Holds(EngineHash engine_hash) const { return Find(engine_hash.value()).run != 0; }
  // Starts anew under another slot; what the old one covers is the caller's to scrub.
  void Restart(Slot slot);
  // Before Restart or the end: giving their memory back takes a while and can be done elsewhere.
  // May be null.
  std::unique_ptr<NameColumns> TakeColumns() { return std::move(columns_); }
  uint64_t RecordBytes() const { return record_bytes_.load(std::memory_order_relaxed); }

 private:
  using Copies = std::array<uint16_t, kTierCount>;
  static constexpr Copies kOneGpuCopy = {1, 0, 0, 0};

  struct Record {
    Copies copies{};
    Place alias;  // nowhere: the engine hash is the run's own, or in the columns
  };
  // A place that the stream covers under several names.
  struct PlaceNames {
    bool own = false;  // also under the run's
    absl::InlinedVector<uint64_t, 1> aliases;
  };
  static uint64_t KeyOf(Place place) { return uint64_t{place.run} << 16 | place.offset; }

  bool HasColumns() const { return columns_ != nullptr && !columns_->empty(); }
  NameColumns& Columns();  // made when first needed

  Place Find(uint64_t engine) const;
  // Whether the run's own name for a place that the stream covers is one of the stream's names.
  bool OwnName(Place place) const;
  // The blocks around `place` for which that is so, as far as is quickly known, and up to `most` to
  // either side. Empty when it is not so for `place`.
  BlockRange OwnNames(Place place, size_t most) const;
  // Leading engine hashes that the stream holds nowhere.
  uint32_t PlainCount(absl::Span<const EngineHash> engines) const;
  void Added(const RunStore::Stretch& stretch, absl::Span<const EngineHash> engines, Tier tier,
             StoreResult* result);
  // For the blocks of a kForeign stretch, the first `plain` of whose engine hashes are in no record
  // and no column: how many of the leading ones are now held under names in the columns.
  uint32_t StoreForeign(const RunStore::Stretch& stretch, absl::Span<const PrefixHash> prefixes,
                        absl::Span<const EngineHash> engines, uint32_t plain, StoreResult* result);
  // How many of the stretch's blocks were stored under their names; fewer when the place has
  // vanished.
  uint32_t StoreNamed(const RunStore::Stretch& stretch, absl::Span<const PrefixHash> prefixes,
                      absl::Span<const EngineHash> engines, Tier tier, StoreResult* result);
  // How many of the leading engine hashes, which have no records, went as neighbours under names in
  // the columns; 0: the first is no such name.
  uint32_t RemoveForeign(absl::Span<const EngineHash> engines);

  // stream_records.cc: block by block, whatever names and copies there are.

  // What StoreName will look at for the block `ahead` blocks behind `place`.
  void FetchRecords(Place place, uint32_t ahead, uint64_t engine) const;
  // False: the place has vanished.
  bool StoreName(Place place, uint64_t prefix, uint64_t engine, Tier tier, StoreResult* result);
  // A place that has a name in the columns gets a second name.
  void MoveNameToRecords(Place place);
  // The usual holding needs no record.
  void Write(uint64_t engine, const Copies& copies, Place alias);
  // True when it is the first copy in that tier.
  bool AddCopy(Place place, uint64_t engine, Tier tier);
  // What RemoveCopy will look at for names some way into `engines`.
  void FetchAliases(absl::Span<const EngineHash> engines) const;
  void RemoveCopy(uint64_t engine, Tier tier, RemoveResult* result);
  // Ends the holding with all its copies.
  void Forget(uint64_t engine, Place place);
  void DropName(uint64_t engine, Place place);
  void RefreshTier(Place place);

  void AddHoldings(int64_t count) {
    holdings_.store(holdings() + static_cast<uint64_t>(count), std::memory_order_relaxed);
  }
  void CountRecords();

  RunStore* const store_;
  const StreamId id_;
  const CopyMode mode_;
  Slot slot_;
  Place cursor_;  // a place that the slot covers, where the next event probably goes on; or nowhere
  std::unique_ptr<NameColumns> columns_;  // null until needed
  absl::flat_hash_map<uint64_t, Record> records_;
  absl::flat_hash_map<uint64_t, PlaceNames> aliased_;
  std::atomic<uint64_t> holdings_{0};
  std::atomic<uint64_t> record_bytes_{0};
  std::vector<PrefixHash> prefixes_;  // of the request being stored, like the next
  std::vector<std::pair<uint64_t, Place>> twins_;
  std::vector<Place> displaced_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_STREAM_WRITER_H_
