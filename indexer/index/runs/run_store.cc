#include "indexer/index/runs/run_store.h"

#include <algorithm>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"
#include "indexer/index/prefix_chain.h"

namespace kvroute {
namespace {

// A longer run is not moved to make room for more; a new one begins. That costs 32 bytes of header
// and a miss for each query; a move costs a table's entry's worth of time for every block, and
// leaves a gap in the arena.
constexpr uint32_t kMaxMovedBlocks = 16;
// A run that grows gets room for so many times what it has, and one that begins because its
// predecessor had no room, for so many times that one's blocks.
constexpr uint32_t kGrowthFactor = 4;
// Room to grow into is one part of so many of what the index has, and a kilobyte for a shard.
constexpr uint32_t kSparePart = 64;
constexpr uint32_t kLeastSpareGranules = 16;
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

RunStore::Stretch RunStore::Store(const StoreArgs& args, std::vector<Blank>* blanks) {
  const uint64_t first = args.prefixes[0].value();
  PrefetchHead(first);
  uint32_t grown = 0;  // blocks of the run that grew until it had no room
  if (args.parent.run != 0) {
    Run* run = RunAt(args.parent);
    const uint32_t next = args.parent.offset + 1u;
    Shard& shard = ShardOf(*run);
    PrefetchHolders(*run);
    MutexLock lock(&shard.mutex);
    // The parent may have been dropped since it was located, by a rebind in this very request.
    if (!run->Dead() && next <= run->Length() && run->Prefix(next - 1) == args.parent_prefix) {
      run->Touch();
      if (next < run->Length() && run->Prefix(next) == first) return Join(shard, run, next, args);
      if (next == run->Length() && args.plain > 0 && holders_.IsSole(*run, args.slot) &&
          holders_.AnyAll(*run)) {
        const auto is_first = [first](const Run& head) { return head.Prefix(0) == first; };
        if (FindHead(first, is_first) == nullptr) {
          const Stretch appended = Append(shard, run, args, blanks);
          if (appended.count > 0) return appended;
          if ((run->flags.load(kRelaxed) & Run::kGrowing) != 0) grown = run->Length();
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
  return Create(shard, args, grown, blanks);
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
  run->Touch();
  if (covered.covered) return Stretch{Outcome::kHeld, place, count};

  const uint32_t plain = std::min(count, args.plain);
  uint32_t alike = 0;
  const auto carries = [&](uint32_t i) {
    const uint64_t engine = args.engines[i].value();
    return run->Engine(offset + i) == engine && engine != 0;
  };
  while (alike < plain && carries(alike)) ++alike;
  if (alike == 0) return Stretch{Outcome::kForeign, place, count};
  RunEdit edit(run);
  AddCoverage(shard, run, args.slot, offset, offset + alike);
  if (args.tier != Tier::kGpu) tiers_.Set(run, args.slot, offset, offset + alike, args.tier);
  return Stretch{Outcome::kAdded, place, alike};
}

RunStore::Stretch RunStore::Create(Shard& shard, const StoreArgs& args, uint32_t grown,
                                   std::vector<Blank>* blanks) {
  const auto wanted =
      static_cast<uint32_t>(std::min<size_t>({args.prefixes.size(), args.plain, kMaxRunBlocks}));
  uint32_t granules = GranulesToGrow(wanted, grown);
  const uint32_t needed_now = Run::GranulesFor(wanted);
  const uint32_t spare = granules - needed_now;
  Run* run = arena_.At<Run>(arena_.AllocateUpTo(
      &granules, std::max(std::min(kLeastCutGranules, needed_now), needed_now / kLeastCutPart)));
  // Only now: looking whether blocks are heads is most of the work, and what is cut is looked at
  // again in the next run.
  const uint32_t count = FreshCount(args, std::min(wanted, Run::CapacityOf(granules)));
  if (const uint32_t needed = Run::GranulesFor(count) + spare; needed < granules) {
    arena_.Free(arena_.Of(run) + needed, granules - needed);  // no reader has seen it
    granules = needed;
  }
  run->version.store(0, kRelaxed);
  run->length.store(static_cast<uint16_t>(count), kRelaxed);
  run->holder_count.store(1, kRelaxed);
  run->flags.store(0, kRelaxed);
  run->dense.store(0, kRelaxed);
  run->granules = static_cast<uint16_t>(granules);
  run->island_holders = 0;
  run->tiers.store(0, kRelaxed);
  run->uncovered = 0;
  run->holders[0].store(HolderEntry(args.slot, HolderEntry::kAll, false).bits(), kRelaxed);
  for (uint32_t i = 0; i < count; ++i) {
    run->prefix(i).store(args.prefixes[i].value(), kRelaxed);
    run->engine(i).store(args.engines[i].value(), kRelaxed);
  }
  if (args.tier != Tier::kGpu) tiers_.Set(run, args.slot, 0, count, args.tier);
  AddEngineHashes(run, 0, count, blanks);
  const TableHash hash = Hash(args.prefixes[0].value());
  HeadsOf(shard).Insert(hash.fragment(), arena_.Of(run));
  Add(&shard.runs, 1);
  Add(&shard.covered_blocks, count);
  if (spare > 0) KeepGrowing(shard, run);
  return Stretch{Outcome::kAdded, PlaceOf(*run, 0), count};
}

RunStore::Stretch RunStore::Append(Shard& shard, Run* run, const StoreArgs& args,
                                   std::vector<Blank>* blanks) {
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
  AddEngineHashes(run, length, length + count, blanks);
  {
    RunEdit edit(run);
    run->length.store(static_cast<uint16_t>(length + count), kRelease);
    if (args.tier != Tier::kGpu) tiers_.Set(run, args.slot, length, length + count, args.tier);
  }
  Add(&shard.covered_blocks, count);
  KeepGrowing(shard, run);
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

// The run, longer or elsewhere, if it can have room for more; else as it is. One that grows gets
// more than it needs now, before something else is put behind it.
Run* RunStore::MakeRoom(Shard& shard, Run* run, uint32_t blocks) {
  const uint32_t length = run->Length();
  const uint32_t wanted = std::min(kMaxRunBlocks, length + blocks);
  if (wanted <= run->Capacity()) return run;
  const uint8_t flags = run->flags.load(kRelaxed);
  const bool is_short = length <= kMaxMovedBlocks;
  const bool grows = (is_short && blocks <= kMaxMovedBlocks) || (flags & Run::kGrowing) != 0;
  const uint32_t granules = grows ? GranulesToGrow(wanted, length) : Run::GranulesFor(wanted);
  const uint32_t extended =
      arena_.ExtendUpTo(arena_.Of(run), run->granules, granules - run->granules);
  run->granules = static_cast<uint16_t>(run->granules + extended);
  if (run->Capacity() > length || !is_short || (flags & Run::kFixed) != 0) return run;
  return Relocate(shard, run, Run::CapacityOf(granules));
}

// For so many blocks now, of a run that is given room for a multiple of `grown`.
uint32_t RunStore::GranulesToGrow(uint32_t blocks, uint32_t grown) const {
  const uint32_t needed = Run::GranulesFor(blocks);
  const uint32_t roomy =
      Run::GranulesFor(std::min(kMaxRunBlocks, std::max(blocks, grown * kGrowthFactor)));
  return std::min(roomy, needed + MostSpareGranules());
}

uint32_t RunStore::MostSpareGranules() const {
  return std::max(
      kLeastSpareGranules,
      static_cast<uint32_t>(arena_.UsedBytes() / (kGranuleBytes * kShards * kSparePart)));
}

void RunStore::KeepGrowing(Shard& shard, Run* run) {
  const uint32_t spare = run->granules - Run::GranulesFor(run->Length());
  const uint8_t flags = run->flags.load(kRelaxed);
  if ((flags & Run::kGrowing) == 0) {
    if (spare == 0) return;
    if (shard.growing.full()) GiveBackSpare(shard, arena_.At<Run>(shard.growing.oldest()));
    run->flags.store(flags | Run::kGrowing, kRelease);
  }
  shard.growing.Note(arena_.Of(run), spare);
  while (shard.growing.spare_granules() > MostSpareGranules()) {
    GiveBackSpare(shard, arena_.At<Run>(shard.growing.oldest()));
  }
}

void RunStore::StopGrowing(Shard& shard, Run* run) {
  const uint8_t flags = run->flags.load(kRelaxed);
  if ((flags & Run::kGrowing) == 0) return;
  run->flags.store(static_cast<uint8_t>(flags & ~Run::kGrowing), kRelease);
  shard.growing.Drop(arena_.Of(run));
}

void RunStore::GiveBackSpare(Shard& shard, Run* run) {
  StopGrowing(shard, run);
  const uint32_t needed = Run::GranulesFor(run->Length());
  if (run->granules == needed) return;
  // Readers may still look there, if the run was longer once.
  reclaimer_.Retire(arena_.Of(run) + needed, run->granules - needed);
  run->granules = static_cast<uint16_t>(needed);
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
  // Its only holder covers all of it.
  run->island_holders = 0;
  run->uncovered = 0;
  run->tiers.store(old->tiers.load(kRelaxed), kRelaxed);
  holders_.Move(old, run);
  for (uint32_t i = 0; i < length; ++i) {
    run->prefix(i).store(old->Prefix(i), kRelaxed);
    run->engine(i).store(old->Engine(i), kRelaxed);
  }
  MoveEngineHashes(*old, *run);
  StopGrowing(shard, old);
  HeadsOf(shard).Replace(Hash(run->Prefix(0)).fragment(), arena_.Of(old), arena_.Of(run));
  {
    RunEdit edit(old);
    old->flags.store(Run::kDead, kRelease);
  }
  reclaimer_.Retire(arena_.Of(old), old->granules);
  return run;
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
    totals.runs += shard.runs.load(kRelaxed);
    totals.blocks += shard.covered_blocks.load(kRelaxed);
    totals.bytes += shard.island_bytes.load(kRelaxed);
  }
  totals.twins = twins_.load(kRelaxed);
  return totals;
}

}  // namespace kvroute
