#ifndef KVROUTE_INDEXER_INDEX_TABLES_NAME_COLUMNS_H_
#define KVROUTE_INDEXER_INDEX_TABLES_NAME_COLUMNS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "indexer/event/event.h"
#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/epoch.h"
#include "indexer/index/runs/place_slot.h"
#include "indexer/index/runs/run.h"
#include "indexer/index/tables/name_table.h"

namespace kvroute {

// The engine hashes under which one stream knows blocks that their runs carry under another
// stream's: for each place at most one, and each for at most one place. Beside a run lies a column
// of names, in the run's order, so that neighbours are compared as the run's own names are; name
// tables of the stream's own lead from an engine hash to its place. Nobody else's names are in the
// way, and nobody else reads. They are eight, which grow at different sizes: what one leaves behind
// when it grows is as large as the next ones need (one table in all took 2 bytes a name more).
//
// A column is kept in pages of 64 names, of which only the lines (of 8 names) between the first and
// the last in use are there. A name costs 8 bytes in its page, 9.0 to 11.9 in the table (see
// NameTable), and a share of its page's entry in the map: 18 to 37 bytes for up to 64 names.
//
// Thread safety: none; the stream's own thread. The engine hash 0 cannot be put: it means none.
class NameColumns {
 public:
  // `phase`: see NameTable. Streams should differ in it.
  NameColumns(Arena* arena, Reclaimer* reclaimer, TableHasher hasher, uint32_t phase)
      : arena_(arena), reclaimer_(reclaimer), hasher_(hasher), phase_(phase) {}
  ~NameColumns();  // gives all memory back
  NameColumns(const NameColumns&) = delete;
  NameColumns& operator=(const NameColumns&) = delete;

  bool empty() const { return names_ == 0; }
  // 0: none.
  uint64_t At(Place place) const;
  // Nowhere: it is not a name.
  Place Find(uint64_t engine) const;
  void Prefetch(uint64_t engine) const {
    if (names_ != 0) Fetch(engine);
  }
  // Leading engine hashes that are no names.
  uint32_t CountUnknown(absl::Span<const EngineHash> engines) const;
  // Leading engine hashes that name the place and those before it, or behind it.
  uint32_t CountBackward(Place place, absl::Span<const EngineHash> engines) const;
  uint32_t CountForward(Place place, absl::Span<const EngineHash> engines) const;
  // Blocks of the run around `place`, up to `most` to either side, that have no name. Empty when
  // `place` has one.
  BlockRange NamelessAround(Place place, uint32_t most) const;

  // Names the blocks from `place` on, which have no names, one after the other. A place that had
  // one of these names until then has none any more, and is appended to `displaced`.
  void Put(Place place, absl::Span<const EngineHash> engines, std::vector<Place>* displaced);
  // Takes the names of `count` blocks from `place` on, all of which have one.
  void Erase(Place place, uint32_t count);

  // Outside the arena.
  uint64_t HeapBytes() const { return pages_.capacity() * (sizeof(uint64_t) + sizeof(Page) + 1); }

 private:
  static constexpr uint32_t kTables = 8;
  static constexpr uint32_t kPageNames = 64;
  static constexpr uint32_t kLineNames = kGranuleBytes / sizeof(uint64_t);
  // Lines [first, first + lines) of the eight.
  struct Page {
    Granule start = 0;
    uint8_t first = 0;
    uint8_t lines = 0;
    uint8_t names = 0;
  };
  static uint64_t KeyOf(Place place) {
    return uint64_t{place.run} << 3 | place.offset / kPageNames;
  }

  TableHash Hash(uint64_t engine) const { return hasher_(engine); }
  NameTable::Spot Fetch(uint64_t engine) const {
    const TableHash hash = Hash(engine);
    return TableOf(hash).Fetch(hash.fragment());
  }
  NameTable& TableOf(TableHash hash) { return tables_[hash.shard() % kTables]; }
  const NameTable& TableOf(TableHash hash) const { return tables_[hash.shard() % kTables]; }
  uint64_t* Line(const Page& page, uint32_t line) const {
    return arena_->At<uint64_t>(page.start + (line - page.first));
  }
  // Null: the place's line is not there.
  uint64_t* WordOf(const Page& page, uint32_t offset) const;
  // Makes the page have lines [first, last].
  void Reserve(Page* page, uint32_t first, uint32_t last);
  // Puts names of one page.
  void PutInPage(Place place, absl::Span<const EngineHash> engines, std::vector<Place>* displaced);
  // Gives back lines without names at either end, and a page without names.
  void Trim(uint64_t key);
  void InitTables();
  void ReleaseTables();

  Arena* const arena_;
  Reclaimer* const reclaimer_;
  const TableHasher hasher_;
  const uint32_t phase_;
  uint64_t names_ = 0;
  std::array<NameTable, kTables> tables_;  // have memory while there are names
  absl::flat_hash_map<uint64_t, Page> pages_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_NAME_COLUMNS_H_
