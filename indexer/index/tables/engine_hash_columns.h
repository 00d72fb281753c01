#ifndef KVROUTE_INDEXER_INDEX_TABLES_ENGINE_HASH_COLUMNS_H_
#define KVROUTE_INDEXER_INDEX_TABLES_ENGINE_HASH_COLUMNS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "indexer/event/event.h"
#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/reclaimer.h"
#include "indexer/index/runs/place.h"
#include "indexer/index/tables/bucket_array.h"
#include "indexer/index/tables/engine_hash_table.h"
#include "indexer/index/tables/steady_map.h"

namespace kvroute {

// The foreign hashes of one stream: its engine hashes for blocks whose runs carry another stream's.
// A place has at most one of them, and each belongs to at most one place.
//
// Beside a run lies a column: the stream's hash for each position of the run, or a blank. So
// neighbours are compared as with the run's own hashes. Engine hash tables of the stream's own lead
// from a hash to its place; nobody else reads them, and they hold nobody else's entries. They are
// eight, which grow at different sizes, because the array that one leaves when it grows is then as
// large as the next one needs.
//
// A column is kept in pages of 64 positions, of which only the lines (of 8) from the first to the
// last in use are there. What a foreign hash costs is in docs/index.md, "Bytes".
//
// Thread safety: none; the stream's own thread. The engine hash 0 cannot be put: it is the blank.
class EngineHashColumns {
 public:
  // `stagger`: see EngineHashTable. Streams should differ in it.
  EngineHashColumns(Arena* arena, Reclaimer* reclaimer, TableHasher hasher, uint32_t stagger)
      : arena_(arena), reclaimer_(reclaimer), hasher_(hasher), stagger_(stagger) {}
  ~EngineHashColumns();  // gives all memory back
  EngineHashColumns(const EngineHashColumns&) = delete;
  EngineHashColumns& operator=(const EngineHashColumns&) = delete;

  bool empty() const { return used_ == 0; }
  // 0: blank.
  uint64_t At(Place place) const;
  // Nowhere: it is not in the columns.
  Place Find(uint64_t engine) const;
  void Prefetch(uint64_t engine) const {
    if (used_ != 0) Fetch(engine);
  }
  // How many of the leading engine hashes are not in the columns.
  uint32_t CountUnknown(absl::Span<const EngineHash> engines) const;
  // How many of the leading engine hashes are those of the place and, one after the other, of the
  // places before it (backward) or behind it (forward).
  uint32_t CountBackward(Place place, absl::Span<const EngineHash> engines) const;
  uint32_t CountForward(Place place, absl::Span<const EngineHash> engines) const;
  // The positions of the run around `place`, up to `most` to either side, that are blank. Empty
  // when `place` is not.
  BlockRange BlanksAround(Place place, uint32_t most) const;

  // Writes the hashes into the positions from `place` on, which must be blank. A place that had one
  // of these hashes until then becomes blank, and is appended to `displaced`.
  void Put(Place place, absl::Span<const EngineHash> engines, std::vector<Place>* displaced);
  // Makes `count` positions from `place` on blank; none of them is.
  void Erase(Place place, uint32_t count);

  // Outside the arena.
  uint64_t HeapBytes() const { return pages_.Bytes(); }

 private:
  static constexpr uint32_t kTables = 8;
  static constexpr uint32_t kPageHashes = 64;
  static constexpr uint32_t kLineHashes = kGranuleBytes / sizeof(uint64_t);
  // Lines [first, first + lines) of the eight.
  struct Page {
    Granule start = 0;
    uint8_t first = 0;
    uint8_t lines = 0;
    uint8_t used = 0;
  };
  static uint64_t KeyOf(Place place) {
    return uint64_t{place.run} << 3 | place.offset / kPageHashes;
  }

  TableHash Hash(uint64_t engine) const { return hasher_(engine); }
  EngineHashTable::FetchedBuckets Fetch(uint64_t engine) const {
    const TableHash hash = Hash(engine);
    return TableOf(hash).Fetch(hash.fragment());
  }
  EngineHashTable& TableOf(TableHash hash) { return tables_[hash.shard() % kTables]; }
  const EngineHashTable& TableOf(TableHash hash) const { return tables_[hash.shard() % kTables]; }
  uint64_t* Line(const Page& page, uint32_t line) const {
    return arena_->At<uint64_t>(page.start + (line - page.first));
  }
  // Null: the place's line is not there.
  uint64_t* WordOf(const Page& page, uint32_t offset) const;
  // Makes the page have lines [first, last].
  void Reserve(Page* page, uint32_t first, uint32_t last);
  // Put for positions of one page.
  void PutInPage(Place place, absl::Span<const EngineHash> engines, std::vector<Place>* displaced);
  // Gives back lines that are all blank at either end, and a page that is.
  void Trim(uint64_t key);
  void InitTables();
  void ReleaseTables();

  Arena* const arena_;
  Reclaimer* const reclaimer_;
  const TableHasher hasher_;
  const uint32_t stagger_;
  uint64_t used_ = 0;
  std::array<EngineHashTable, kTables> tables_;  // have memory while there are hashes
  SteadyMap<Page> pages_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_ENGINE_HASH_COLUMNS_H_
