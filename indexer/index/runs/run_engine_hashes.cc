// The part of RunStore that keeps the engine hashes of runs in the tables, and finds blocks by
// them.
#include <algorithm>
#include <array>

#include "indexer/index/memory/memory_order.h"
#include "indexer/index/runs/run_store.h"

namespace kvroute {
namespace {

constexpr uint32_t kMostCrowded = 32;  // entries of a stretch that may wait for room

}  // namespace

// Compiled once for either way of writing: a test for each entry would cost a third of what the
// lock does.
template <typename Use>
void RunStore::ForEachEngineHash(const Run& run, uint32_t begin, uint32_t end, Use use) {
  if (gate_.Alone()) {
    ForEachFetchedEngineHash(run, begin, end,
                             [&](EngineHashShard* shard, const auto& fetched, uint32_t i) {
                               use(&shard->table, fetched, i);
                             });
  } else {
    ForEachFetchedEngineHash(run, begin, end,
                             [&](EngineHashShard* shard, const auto& fetched, uint32_t i) {
                               SpinLockHolder lock(&shard->lock);
                               use(&shard->table, fetched, i);
                             });
  }
}

template <typename Use>
void RunStore::ForEachFetchedEngineHash(const Run& run, uint32_t begin, uint32_t end, Use use) {
  struct Ahead {
    EngineHashShard* shard;
    EngineHashTable::FetchedBuckets fetched;
  };
  std::array<Ahead, kPrefetchAhead> ahead;
  const auto fetch = [&](uint32_t i) {
    const TableHash hash = Hash(run.Engine(i));
    EngineHashShard& shard = engine_hashes_[hash.shard()];
    ahead[i % kPrefetchAhead] = Ahead{&shard, shard.table.Fetch(hash.fragment())};
  };
  for (uint32_t i = begin; i < std::min(end, begin + kPrefetchAhead); ++i) fetch(i);
  for (uint32_t i = begin; i < end; ++i) {
    const Ahead& at = ahead[i % kPrefetchAhead];
    use(at.shard, at.fetched, i);
    if (i + kPrefetchAhead < end) fetch(i + kPrefetchAhead);
  }
}

// An entry whose buckets are full (one in 25) waits to be made, rather than that all wait for the
// lines that making room for it takes.
void RunStore::AddEngineHashes(Run* run, uint32_t begin, uint32_t end, std::vector<Blank>* blanks) {
  std::array<uint32_t, kMostCrowded> crowded;
  uint32_t crowded_count = 0;
  const size_t blanks_before = blanks->size();
  const auto judge = [&](EngineHashTable* table, const auto& fetched,
                         EngineHashTable::Inserted inserted, uint32_t i) {
    if (inserted == EngineHashTable::Inserted::kAlone) [[likely]]
      return;
    const Place place = PlaceOf(*run, i);
    const Place twin = TwinOf(*table, run->Engine(i), place);
    if (twin.run == 0) return;
    table->Erase(fetched, place);
    run->engine(i).store(0, kRelease);
    blanks->push_back(Blank{i - begin, twin});
    twins_.fetch_add(1, kRelaxed);
  };
  ForEachEngineHash(*run, begin, end, [&](EngineHashTable* table, const auto& fetched, uint32_t i) {
    if (run->Engine(i) == 0) [[unlikely]] {
      blanks->push_back(Blank{i - begin, Place{}});
      return;
    }
    const EngineHashTable::Inserted inserted = table->TryInsert(fetched, PlaceOf(*run, i));
    if (inserted != EngineHashTable::Inserted::kNo) return judge(table, fetched, inserted, i);
    if (crowded_count < kMostCrowded) {
      crowded[crowded_count++] = i;
    } else {
      judge(table, fetched, table->Insert(fetched, PlaceOf(*run, i)), i);
    }
  });
  for (const uint32_t i : absl::MakeConstSpan(crowded.data(), crowded_count)) {
    ForEachEngineHash(*run, i, i + 1, [&](EngineHashTable* table, const auto& fetched, uint32_t) {
      judge(table, fetched, table->Insert(fetched, PlaceOf(*run, i)), i);
    });
  }
  if (blanks->size() == blanks_before) [[likely]]
    return;
  std::sort(blanks->begin() + static_cast<std::ptrdiff_t>(blanks_before), blanks->end(),
            [](const Blank& a, const Blank& b) { return a.index < b.index; });
  run->flags.store(run->flags.load(kRelaxed) | Run::kFixed, kRelease);
}

// Nobody covers a dead run, so a hash that stands there on its way out is at no place any more.
Place RunStore::TwinOf(const EngineHashTable& table, uint64_t engine, Place place) const {
  return table.FindAsWriter(Hash(engine).fragment(), [&](Place other) {
    const Run& run = *RunAt(other);
    return other != place && run.Engine(other.offset) == engine && !run.Dead();
  });
}

void RunStore::DropEngineHashes(const Run& run, uint32_t begin, uint32_t end) {
  const bool blanks = run.flags.load(kRelaxed) & Run::kFixed;  // only such a run has any
  ForEachEngineHash(run, begin, end, [&](EngineHashTable* table, const auto& fetched, uint32_t i) {
    if (!blanks || run.Engine(i) != 0) [[likely]]
      table->Erase(fetched, PlaceOf(run, i));
  });
}

// `to` has the same hashes and does not yet have entries.
void RunStore::MoveEngineHashes(const Run& from, const Run& to) {
  ForEachEngineHash(to, 0, to.Length(),
                    [&](EngineHashTable* table, const auto& fetched, uint32_t i) {
                      table->Replace(fetched, PlaceOf(from, i), PlaceOf(to, i));
                    });
}

Place RunStore::Locate(Slot slot, uint64_t engine, absl::FunctionRef<bool(Place)> accept) const {
  const TableHash hash = Hash(engine);
  return TableOf(hash).Find(hash.fragment(), [&](Place place) {
    const Run& run = *RunAt(place);
    if (run.Engine(place.offset) != engine) return false;
    if (!accept(place)) return false;
    const Shard& shard = ShardOf(run);
    MutexLock lock(&shard.mutex);
    return !run.Dead() && place.offset < run.Length() && run.Engine(place.offset) == engine &&
           CoveredAt(shard, run, slot, place.offset).covered;
  });
}

Place RunStore::LocateAnyones(uint64_t engine) const {
  const TableHash hash = Hash(engine);
  Place found;
  bool several = false;
  TableOf(hash).Find(hash.fragment(), [&](Place place) {
    const Run& run = *RunAt(place);
    if (place == found || run.Engine(place.offset) != engine) return false;
    MutexLock lock(&ShardOf(run).mutex);
    if (run.Dead() || place.offset >= run.Length() || run.Engine(place.offset) != engine) {
      return false;
    }
    several |= found.run != 0;
    found = place;
    return false;
  });
  return several ? Place{} : found;
}

void RunStore::PrefetchRunOf(uint64_t engine) const {
  const TableHash hash = Hash(engine);
  TableOf(hash).Find(hash.fragment(), [&](Place place) {
    const Run* run = RunAt(place);
    __builtin_prefetch(run);
    __builtin_prefetch(arena_.At<std::byte>(place.run + Run::LineOf(place.offset)));
    return true;
  });
}

}  // namespace kvroute
