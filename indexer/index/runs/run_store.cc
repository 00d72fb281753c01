#include "indexer/index/runs/run_store.h"

#include <algorithm>
#include <array>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"
#include "indexer/index/prefix_chain.h"

namespace kvroute {
namespace {

constexpr uint32_t kMostCrowded = 32;  // entries of a stretch that may wait for room
// A longer run is not moved to make room for more; a new one begins. That costs 32 bytes of header;
// a move costs a table's entry's worth of time for every block, and leaves a gap in the arena.
constexpr uint32_t kMaxMovedBlocks = 16;
// What it gains at least by being moved to an extent that is shorter than it should be.
constexpr uint32_t kLeastGainGranules = 2;
// A new run is cut to a free extent that is shorter than it should be, rather than letting the
// arena grow, down to so many granules and to this part of what it should be.
constexpr uint32_t kLeastCutGranules = Arena::kUsefulGranules;
constexpr uint32_t kLeastCutPart = 4;

}  // namespace

RunStore::RunStore(uint64_t secret)
    : hasher_(secret),
      shards_(std::make_unique<Shard[]>(kShards)),
      heads_(std::make_unique<HeadTable[]>(kShards)),
      engine_hashes_(std::make_unique<EngineHashShard[]>(kShards)) {
  for (uint32_t i = 0; i < kShards; ++i) {
    heads_[i].Init(&arena_, &reclaimer_);
    engine_hashes_[i].table.Init(&arena_, &reclaimer_, i);
  }
}

// The arena takes everything with it but what lies outside.
RunStore::~RunStore() {
  for (uint32_t i = 0; i < kShards; ++i) {
    for (uint32_t bucket = 0; bucket < heads_[i].Buckets(); ++bucket) {
      heads_[i].ForEachIn(bucket, [&](Granule run) {
        delete arena_.At<Run>(run)->tiers.load(std::memory_order_acquire);
      });
    }
  }
}

RunStore::Stretch RunStore::Store(const StoreArgs& args,
                                  std::vector<std::pair<uint64_t, Place>>* twins) {
  const uint64_t first = args.prefixes[0].value();
  PrefetchHead(first);
  if (args.parent.run != 0) {
    Run* run = RunAt(args.parent);
    const uint32_t next = args.parent.offset + 1u;
    Shard& shard = ShardOf(*run);
    PrefetchHolders(*run);
    MutexLock lock(&shard.mutex);
    // The parent may have been dropped since it was located, by a rebind in this very request.
    if (!run->Dead() && next <= run->Length() && run->Prefix(next - 1) == args.parent_prefix) {
      if (next < run->Length() && run->Prefix(next) == first) return Join(shard, run, next, args);
      if (next == run->Length() && args.plain > 0 && holders_.IsSole(*run, args.slot) &&
          holders_.AnyAll(*run)) {
        const auto is_first = [first](const Run& head) { return head.Prefix(0) == first; };
        if (FindHead(first, is_first) == nullptr) {
          const Stretch appended = Append(shard, run, args, twins);
          if (appended.count > 0) return appended;
        }
      }
    }
  }
  const TableHash hash = Hash(first);
  Shard& shard = shards_[hash.shard()];
  MutexLock lock(&shard.mutex);
  const Granule head = HeadsOf(shard).Find(
      hash.fragment(), [&](Granule run) { return arena_.At<Run>(run)->Prefix(0) == first; });
  if (head != 0) return Join(shard, arena_.At<Run>(head), 0, args);
  if (args.plain == 0) return Stretch{Outcome::kBlocked, Place{}, 1};
  return Create(shard, args, twins);
}

RunStore::Stretch RunStore::Join(Shard& shard, Run* run, uint32_t offset, const StoreArgs& args) {
  const uint32_t length = run->Length();
  const auto most = static_cast<uint32_t>(std::min<size_t>(args.prefixes.size(), length - offset));
  uint32_t count = 1;
  for (; count < most; ++count) {
    const PrefixHash prefix = ChainPrefixInline(args.prefixes[count - 1], args.locals[count]);
    if (run->Prefix(offset + count) != prefix.value()) break;
    args.prefixes[count] = prefix;
  }

  const Covered covered = CoveredAt(shard, *run, args.slot, offset);
  count = std::min(count, covered.until - offset);
  const Place place = PlaceOf(*run, offset);
  if (covered.covered) return Stretch{Outcome::kHeld, place, count};

  const uint32_t plain = std::min(count, args.plain);
  uint32_t alike = 0;
  while (alike < plain && run->Engine(offset + alike) == args.engines[alike].value()) ++alike;
  if (alike == 0) return Stretch{Outcome::kForeign, place, count};
  RunEdit edit(run);
  AddCoverage(shard, run, args.slot, offset, offset + alike);
  if (args.tier != Tier::kGpu) SetTiers(run, args.slot, offset, offset + alike, args.tier);
  return Stretch{Outcome::kAdded, place, alike};
}

RunStore::Stretch RunStore::Create(Shard& shard, const StoreArgs& args,
                                   std::vector<std::pair<uint64_t, Place>>* twins) {
  const auto wanted =
      static_cast<uint32_t>(std::min<size_t>({args.prefixes.size(), args.plain, kMaxRunBlocks}));
  uint32_t granules = Run::GranulesFor(wanted);
  Run* run = arena_.At<Run>(
      arena_.AllocateUpTo(&granules, std::max(kLeastCutGranules, granules / kLeastCutPart)));
  // Only now: looking whether blocks are heads is most of the work, and what is cut is looked at
  // again in the next run.
  const uint32_t count = FreshCount(args, std::min(wanted, Run::CapacityOf(granules)));
  if (const uint32_t needed = Run::GranulesFor(count); needed < granules) {
    arena_.Free(arena_.Of(run) + needed, granules - needed);  // no reader has seen it
    granules = needed;
  }
  run->version.store(0, kRelaxed);
  run->length.store(static_cast<uint16_t>(count), kRelaxed);
  run->holder_count.store(1, kRelaxed);
  run->flags.store(0, kRelaxed);
  run->dense.store(0, kRelaxed);
  run->granules = static_cast<uint16_t>(granules);
  run->tiers.store(nullptr, kRelaxed);
  run->holders[0].store(HolderEntry(args.slot, HolderEntry::kAll, false).bits(), kRelaxed);
  for (uint32_t i = 0; i < count; ++i) {
    run->prefix(i).store(args.prefixes[i].value(), kRelaxed);
    run->engine(i).store(args.engines[i].value(), kRelaxed);
  }
  if (args.tier != Tier::kGpu) SetTiers(run, args.slot, 0, count, args.tier);
  AddEngineHashes(*run, 0, count, twins);
  const TableHash hash = Hash(args.prefixes[0].value());
  HeadsOf(shard).Insert(hash.fragment(), arena_.Of(run));
  shard.blocks += count;
  return Stretch{Outcome::kAdded, PlaceOf(*run, 0), count};
}

RunStore::Stretch RunStore::Append(Shard& shard, Run* run, const StoreArgs& args,
                                   std::vector<std::pair<uint64_t, Place>>* twins) {
  const uint32_t length = run->Length();
  const auto wanted = static_cast<uint32_t>(
      std::min<size_t>({args.prefixes.size(), args.plain, kMaxRunBlocks - length}));
  if (wanted == 0) return Stretch{Outcome::kAdded, Place{}, 0};
  run = MakeRoom(shard, run, wanted);
  const uint32_t room = std::min(wanted, run->Capacity() - length);
  if (room == 0) return Stretch{Outcome::kAdded, Place{}, 0};
  const uint32_t count = FreshCount(args, room);
  for (uint32_t i = 0; i < count; ++i) {
    run->prefix(length + i).store(args.prefixes[i].value(), kRelease);
    run->engine(length + i).store(args.engines[i].value(), kRelease);
  }
  AddEngineHashes(*run, length, length + count, twins);
  {
    RunEdit edit(run);
    run->length.store(static_cast<uint16_t>(length + count), kRelease);
    if (args.tier != Tier::kGpu) SetTiers(run, args.slot, length, length + count, args.tier);
  }
  shard.blocks += count;
  return Stretch{Outcome::kAdded, PlaceOf(*run, length), count};
}

uint32_t RunStore::FreshCount(const StoreArgs& args, size_t most) const {
  const auto size =
      static_cast<uint32_t>(std::min<size_t>({args.prefixes.size(), args.plain, most}));
  PrefixHash chained = args.prefixes[0];
  for (uint32_t i = 1; i < size; ++i) {
    args.prefixes[i] = chained = ChainPrefixInline(chained, args.locals[i]);
    const uint64_t prefix = chained.value();
    const TableHash hash = Hash(prefix);
    const HeadTable& heads = heads_[hash.shard()];
    if (!heads.MayHave(hash.fragment())) [[likely]]
      continue;
    const Granule head = heads.Find(
        hash.fragment(), [&](Granule run) { return arena_.At<Run>(run)->Prefix(0) == prefix; });
    if (head != 0) return i;
  }
  return size;
}

// The run, longer or elsewhere, if it can have room for more; else as it is.
Run* RunStore::MakeRoom(Shard& shard, Run* run, uint32_t blocks) {
  const uint32_t length = run->Length();
  const uint32_t wanted = std::min(kMaxRunBlocks, length + blocks);
  if (wanted <= run->Capacity()) return run;
  const uint32_t granules = Run::GranulesFor(wanted);
  const uint32_t extended =
      arena_.ExtendUpTo(arena_.Of(run), run->granules, granules - run->granules);
  run->granules = static_cast<uint16_t>(run->granules + extended);
  const bool pinned = run->flags.load(kRelaxed) & Run::kFixed;
  if (run->Capacity() > length || length > kMaxMovedBlocks || pinned ||
      run->tiers.load(kRelaxed) != nullptr) {
    return run;
  }
  return Relocate(shard, run, std::max(wanted, length + length / 2));
}

Run* RunStore::Relocate(Shard& shard, Run* old, uint32_t capacity) {
  const uint32_t length = old->Length();
  uint32_t granules = Run::GranulesFor(capacity);
  const uint32_t least = std::min(granules, old->granules + kLeastGainGranules);
  Run* run = arena_.At<Run>(arena_.AllocateUpTo(&granules, least));
  run->version.store(0, kRelaxed);
  run->length.store(static_cast<uint16_t>(length), kRelaxed);
  run->flags.store(0, kRelaxed);
  run->granules = static_cast<uint16_t>(granules);
  run->tiers.store(nullptr, kRelaxed);
  holders_.Move(old, run);
  for (uint32_t i = 0; i < length; ++i) {
    run->prefix(i).store(old->Prefix(i), kRelaxed);
    run->engine(i).store(old->Engine(i), kRelaxed);
  }
  ForEachEngineHash(*run, 0, length, [&](EngineHashTable* table, const auto& fetched, uint32_t i) {
    table->Replace(fetched, PlaceOf(*old, i), PlaceOf(*run, i));
  });
  HeadsOf(shard).Replace(Hash(run->Prefix(0)).fragment(), arena_.Of(old), arena_.Of(run));
  {
    RunEdit edit(old);
    old->flags.store(Run::kDead, kRelease);
  }
  reclaimer_.Retire(arena_.Of(old), old->granules);
  return run;
}

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
void RunStore::AddEngineHashes(const Run& run, uint32_t begin, uint32_t end,
                               std::vector<std::pair<uint64_t, Place>>* twins) {
  std::array<uint32_t, kMostCrowded> crowded;
  uint32_t crowded_count = 0;
  const auto note = [&](const EngineHashTable& table, EngineHashTable::Inserted inserted,
                        uint32_t i) {
    if (inserted != EngineHashTable::Inserted::kAlone) [[unlikely]]
      NoteTwins(table, run.Engine(i), PlaceOf(run, i), twins);
  };
  ForEachEngineHash(run, begin, end, [&](EngineHashTable* table, const auto& fetched, uint32_t i) {
    const EngineHashTable::Inserted inserted = table->TryInsert(fetched, PlaceOf(run, i));
    if (inserted != EngineHashTable::Inserted::kNo) return note(*table, inserted, i);
    if (crowded_count < kMostCrowded) {
      crowded[crowded_count++] = i;
    } else {
      note(*table, table->Insert(fetched, PlaceOf(run, i)), i);
    }
  });
  for (const uint32_t i : absl::MakeConstSpan(crowded.data(), crowded_count)) {
    ForEachEngineHash(run, i, i + 1, [&](EngineHashTable* table, const auto& fetched, uint32_t) {
      note(*table, table->Insert(fetched, PlaceOf(run, i)), i);
    });
  }
}

void RunStore::NoteTwins(const EngineHashTable& table, uint64_t engine, Place place,
                         std::vector<std::pair<uint64_t, Place>>* twins) {
  table.Find(Hash(engine).fragment(), [&](Place other) {
    if (other != place && RunAt(other)->Engine(other.offset) == engine) {
      twins_seen_.store(true, kRelease);
      // Behind it in its own run is only what came later in the same stretch: that has the hash
      // now.
      const bool entered_late = other.run == place.run && other.offset > place.offset;
      twins->emplace_back(engine, entered_late ? place : other);
    }
    return false;
  });
}

void RunStore::DropEngineHashes(const Run& run, uint32_t begin, uint32_t end) {
  ForEachEngineHash(run, begin, end, [&](EngineHashTable* table, const auto& fetched, uint32_t i) {
    table->Erase(fetched, PlaceOf(run, i));
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

void RunStore::PrefetchRunOf(uint64_t engine) const {
  const TableHash hash = Hash(engine);
  TableOf(hash).Find(hash.fragment(), [&](Place place) {
    const Run* run = RunAt(place);
    __builtin_prefetch(run);
    __builtin_prefetch(arena_.At<std::byte>(place.run + Run::LineOf(place.offset)));
    return true;
  });
}

uint32_t RunStore::Remove(Slot slot, Place hint, absl::Span<const EngineHash> engines,
                          absl::FunctionRef<BlockRange(Place)> accept, Place* cursor) {
  uint32_t removed = 0;
  const auto remove_at = [&](Place place) {
    if (RunAt(place)->Engine(place.offset) != engines[0].value()) return false;
    const BlockRange own = accept(place);
    if (!own.empty()) removed = RemoveStretch(slot, place, own, engines, cursor);
    return removed > 0;
  };
  if (hint.run != 0 && remove_at(hint)) return removed;
  const TableHash hash = Hash(engines[0].value());
  TableOf(hash).Find(hash.fragment(), remove_at);
  return removed;
}

uint32_t RunStore::RemoveStretch(Slot slot, Place place, BlockRange own,
                                 absl::Span<const EngineHash> engines, Place* cursor) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  PrefetchHolders(*run);
  MutexLock lock(&shard.mutex);
  uint32_t begin = place.offset;
  uint32_t end = begin + 1;
  if (run->Dead() || begin >= run->Length() || run->Engine(begin) != engines[0].value()) return 0;
  const Covered covered = CoveredAt(shard, *run, slot, begin);
  if (!covered.covered) return 0;
  const uint32_t least = std::max(covered.begin, own.begin);
  const uint32_t most = std::min(covered.until, own.end);
  uint32_t count = 1;
  while (count < engines.size() && begin > least &&
         run->Engine(begin - 1) == engines[count].value()) {
    --begin;
    ++count;
  }
  if (count == 1) {
    while (count < engines.size() && end < most && run->Engine(end) == engines[count].value()) {
      ++end;
      ++count;
    }
  }
  {
    RunEdit edit(run);
    DropCoverage(shard, run, slot, begin, end);
  }
  *cursor = Place{};
  if (Settle(shard, run)) return count;
  if (begin > covered.begin) {
    *cursor = PlaceOf(*run, begin - 1);
  } else if (end < covered.until) {
    *cursor = PlaceOf(*run, end);
  }
  return count;
}

RunStore::Totals RunStore::Count() const {
  Totals totals;
  totals.bytes = arena_.ReservedBytes() + reclaimer_.WaitingBytes() +
                 kShards * (sizeof(Shard) + sizeof(EngineHashShard));
  for (uint32_t i = 0; i < kShards; ++i) {
    const Shard& shard = shards_[i];
    MutexLock lock(&shard.mutex);
    totals.runs += heads_[i].size();
    totals.blocks += shard.blocks - UncoveredBlocks(shard);
    totals.bytes += shard.islands.capacity() * (sizeof(Intervals) + sizeof(uint64_t) + 1);
  }
  return totals;
}

}  // namespace kvroute
