#include "indexer/index/run_store.h"

#include <algorithm>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kRelease = std::memory_order_release;
constexpr uint32_t kPrefetchAhead = 16;
// A longer run is not moved to make room for more; a new one begins. 64 bytes of header for so many
// blocks are nothing.
constexpr uint32_t kMaxMovedBlocks = 64;

}  // namespace

RunStore::RunStore(uint64_t secret)
    : secret_(secret),
      shards_(std::make_unique<Shard[]>(kShards)),
      names_(std::make_unique<NameShard[]>(kShards)) {
  for (uint32_t i = 0; i < kShards; ++i) {
    shards_[i].heads.Init(&arena_, &reclaimer_);
    names_[i].names.Init(&arena_, &reclaimer_);
  }
}

// The arena takes everything with it but what lies outside.
RunStore::~RunStore() {
  for (uint32_t i = 0; i < kShards; ++i) {
    for (uint32_t bucket = 0; bucket < shards_[i].heads.Buckets(); ++bucket) {
      shards_[i].heads.ForEachIn(
          bucket, [&](Place place) { delete RunAt(place)->tiers.load(std::memory_order_acquire); });
    }
  }
}

RunStore::Stretch RunStore::Store(const StoreArgs& args,
                                  std::vector<std::pair<uint64_t, Place>>* twins) {
  const uint64_t first = args.prefixes[0];
  PrefetchHead(first);
  if (args.parent.run != 0) {
    Run* run = RunAt(args.parent);
    const uint32_t next = args.parent.offset + 1u;
    Shard& shard = ShardOf(*run);
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
  const Place head = shard.heads.Find(
      hash.fragment(), [&](Place place) { return RunAt(place)->Prefix(0) == first; });
  if (head.run != 0) return Join(shard, RunAt(head), 0, args);
  if (args.plain == 0) return Stretch{Outcome::kBlocked, Place{}, 1};
  return Create(shard, args, twins);
}

RunStore::Stretch RunStore::Join(Shard& shard, Run* run, uint32_t offset, const StoreArgs& args) {
  const uint32_t length = run->Length();
  const auto most = static_cast<uint32_t>(std::min<size_t>(args.prefixes.size(), length - offset));
  uint32_t count = 1;
  while (count < most && run->Prefix(offset + count) == args.prefixes[count]) ++count;

  const Covered covered = CoveredAt(shard, *run, args.slot, offset);
  count = std::min(count, covered.until - offset);
  const Place place = PlaceOf(*run, offset);
  if (covered.covered) return Stretch{Outcome::kHeld, place, count};

  const uint32_t plain = std::min(count, args.plain);
  uint32_t named = 0;
  while (named < plain && run->Engine(offset + named) == args.engines[named]) ++named;
  if (named == 0) return Stretch{Outcome::kForeign, place, 1};
  RunEdit edit(run);
  AddCoverage(shard, run, args.slot, offset, offset + named);
  if (args.tier != Tier::kGpu) SetTiers(run, args.slot, offset, offset + named, args.tier);
  return Stretch{Outcome::kAdded, place, named};
}

RunStore::Stretch RunStore::Create(Shard& shard, const StoreArgs& args,
                                   std::vector<std::pair<uint64_t, Place>>* twins) {
  const uint32_t count = FreshCount(args, kMaxRunBlocks);
  const uint32_t granules = Run::GranulesFor(count);
  Run* run = arena_.At<Run>(arena_.Allocate(granules));
  run->version.store(0, kRelaxed);
  run->length.store(static_cast<uint16_t>(count), kRelaxed);
  run->holder_count.store(1, kRelaxed);
  run->flags.store(0, kRelaxed);
  run->dense.store(0, kRelaxed);
  run->granules = static_cast<uint16_t>(granules);
  run->tiers.store(nullptr, kRelaxed);
  run->holders[0].store(HolderEntry(args.slot, HolderEntry::kAll, false).bits(), kRelaxed);
  for (uint32_t i = 0; i < count; ++i) {
    run->prefix(i).store(args.prefixes[i], kRelaxed);
    run->engine(i).store(args.engines[i], kRelaxed);
  }
  if (args.tier != Tier::kGpu) SetTiers(run, args.slot, 0, count, args.tier);
  AddNames(*run, 0, count, twins);
  const TableHash hash = Hash(args.prefixes[0]);
  shard.heads.Insert(hash.fragment(), PlaceOf(*run, 0), [](Place) {});
  shard.blocks += count;
  return Stretch{Outcome::kAdded, PlaceOf(*run, 0), count};
}

RunStore::Stretch RunStore::Append(Shard& shard, Run* run, const StoreArgs& args,
                                   std::vector<std::pair<uint64_t, Place>>* twins) {
  const uint32_t wanted = FreshCount(args, kMaxRunBlocks - run->Length());
  if (wanted == 0) return Stretch{Outcome::kAdded, Place{}, 0};
  run = MakeRoom(shard, run, wanted);
  const uint32_t length = run->Length();
  const uint32_t count = std::min(wanted, run->Capacity() - length);
  if (count == 0) return Stretch{Outcome::kAdded, Place{}, 0};
  for (uint32_t i = 0; i < count; ++i) {
    run->prefix(length + i).store(args.prefixes[i], kRelease);
    run->engine(length + i).store(args.engines[i], kRelease);
  }
  AddNames(*run, length, length + count, twins);
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
  for (uint32_t i = 1; i < std::min(size, kPrefetchAhead); ++i) PrefetchHead(args.prefixes[i]);
  for (uint32_t i = 1; i < size; ++i) {
    if (i + kPrefetchAhead <= size) PrefetchHead(args.prefixes[i + kPrefetchAhead - 1]);
    const uint64_t prefix = args.prefixes[i];
    const auto is_head = [prefix](const Run& head) { return head.Prefix(0) == prefix; };
    if (FindHead(prefix, is_head) != nullptr) return i;
  }
  return size;
}

// The run, longer or elsewhere, if it can have room for more; else as it is.
Run* RunStore::MakeRoom(Shard& shard, Run* run, uint32_t blocks) {
  const uint32_t length = run->Length();
  const uint32_t wanted = std::min(kMaxRunBlocks, length + blocks);
  if (wanted <= run->Capacity()) return run;
  const uint32_t granules = Run::GranulesFor(wanted);
  if (arena_.Extend(arena_.Of(run), run->granules, granules - run->granules)) {
    run->granules = static_cast<uint16_t>(granules);
    return run;
  }
  const bool pinned = run->flags.load(kRelaxed) & Run::kPinned;
  if (run->Capacity() > length || length > kMaxMovedBlocks || pinned ||
      run->tiers.load(kRelaxed) != nullptr) {
    return run;
  }
  return Relocate(shard, run, std::max(wanted, length + length / 2));
}

Run* RunStore::Relocate(Shard& shard, Run* old, uint32_t capacity) {
  const uint32_t length = old->Length();
  const uint32_t granules = Run::GranulesFor(capacity);
  Run* run = arena_.At<Run>(arena_.Allocate(granules));
  run->version.store(0, kRelaxed);
  run->length.store(static_cast<uint16_t>(length), kRelaxed);
  run->flags.store(0, kRelaxed);
  run->granules = static_cast<uint16_t>(granules);
  run->tiers.store(nullptr, kRelaxed);
  holders_.Move(old, run);
  for (uint32_t i = 0; i < length; ++i) {
    run->prefix(i).store(old->Prefix(i), kRelaxed);
    run->engine(i).store(old->Engine(i), kRelaxed);
    PrefetchName(old->Engine(i));
  }
  for (uint32_t i = 0; i < length; ++i) {
    const TableHash hash = Hash(run->Engine(i));
    NameShard& names = names_[hash.shard()];
    SpinLockHolder lock(&names.lock);
    names.names.Replace(hash.fragment(), PlaceOf(*old, i), PlaceOf(*run, i));
  }
  shard.heads.Replace(Hash(run->Prefix(0)).fragment(), PlaceOf(*old, 0), PlaceOf(*run, 0));
  {
    RunEdit edit(old);
    old->flags.store(Run::kDead, kRelease);
  }
  reclaimer_.Retire(arena_.Of(old), old->granules);
  return run;
}

void RunStore::AddNames(const Run& run, uint32_t begin, uint32_t end,
                        std::vector<std::pair<uint64_t, Place>>* twins) {
  for (uint32_t i = begin; i < std::min(end, begin + kPrefetchAhead); ++i) {
    PrefetchName(run.Engine(i));
  }
  for (uint32_t i = begin; i < end; ++i) {
    if (i + kPrefetchAhead < end) PrefetchName(run.Engine(i + kPrefetchAhead));
    const uint64_t engine = run.Engine(i);
    const TableHash hash = Hash(engine);
    NameShard& names = names_[hash.shard()];
    SpinLockHolder lock(&names.lock);
    names.names.Insert(hash.fragment(), PlaceOf(run, i), [&](Place other) {
      if (RunAt(other)->Engine(other.offset) != engine) return;
      twins_seen_.store(true, kRelease);
      twins->emplace_back(engine, other);
    });
  }
}

void RunStore::DropNames(const Run& run, uint32_t begin, uint32_t end) {
  for (uint32_t i = begin; i < std::min(end, begin + kPrefetchAhead); ++i) {
    PrefetchName(run.Engine(i));
  }
  for (uint32_t i = begin; i < end; ++i) {
    if (i + kPrefetchAhead < end) PrefetchName(run.Engine(i + kPrefetchAhead));
    const TableHash hash = Hash(run.Engine(i));
    NameShard& names = names_[hash.shard()];
    SpinLockHolder lock(&names.lock);
    names.names.Erase(hash.fragment(), PlaceOf(run, i));
  }
}

Place RunStore::Locate(Slot slot, uint64_t engine, absl::FunctionRef<bool(Place)> accept) const {
  const TableHash hash = Hash(engine);
  return NameTable(hash).Find(hash.fragment(), [&](Place place) {
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
  NameTable(hash).Find(hash.fragment(), [&](Place place) {
    const Run* run = RunAt(place);
    __builtin_prefetch(run);
    __builtin_prefetch(arena_.At<std::byte>(place.run + 1 + place.offset / kGroupBlocks));
    return true;
  });
}

uint32_t RunStore::RemoveStretch(Slot slot, Place place, absl::Span<const uint64_t> engines,
                                 Place* cursor) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  uint32_t begin = place.offset;
  uint32_t end = begin + 1;
  uint32_t count = 1;
  if (engines.size() > 1 && begin > 0 && run->Engine(begin - 1) == engines[1]) {
    while (count < engines.size() && begin > 0 && run->Engine(begin - 1) == engines[count] &&
           CoveredAt(shard, *run, slot, begin - 1).covered) {
      --begin;
      ++count;
    }
  } else {
    const uint32_t until = CoveredAt(shard, *run, slot, begin).until;
    while (count < engines.size() && end < until && run->Engine(end) == engines[count]) {
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
  if (begin > 0 && CoveredAt(shard, *run, slot, begin - 1).covered) {
    *cursor = PlaceOf(*run, begin - 1);
  } else if (end < run->Length() && CoveredAt(shard, *run, slot, end).covered) {
    *cursor = PlaceOf(*run, end);
  }
  return count;
}

RunStore::Coverage RunStore::Cover(Slot slot, Place place, uint64_t prefix, Tier tier, bool pin) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  if (run->Dead() || place.offset >= run->Length() || run->Prefix(place.offset) != prefix) {
    return Coverage::kGone;
  }
  if (pin) run->flags.store(run->flags.load(kRelaxed) | Run::kPinned, kRelease);
  if (CoveredAt(shard, *run, slot, place.offset).covered) return Coverage::kAlready;
  RunEdit edit(run);
  AddCoverage(shard, run, slot, place.offset, place.offset + 1u);
  if (tier != Tier::kGpu) SetTiers(run, slot, place.offset, place.offset + 1u, tier);
  return Coverage::kNew;
}

void RunStore::Uncover(Slot slot, Place place) {
  const bool covered = UncoverIfCovered(slot, place);
  KVROUTE_CHECK(covered);
}

bool RunStore::UncoverIfCovered(Slot slot, Place place) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  if (run->Dead() || place.offset >= run->Length() ||
      !CoveredAt(shard, *run, slot, place.offset).covered) {
    return false;
  }
  {
    RunEdit edit(run);
    DropCoverage(shard, run, slot, place.offset, place.offset + 1u);
  }
  Settle(shard, run);
  return true;
}

void RunStore::SetTier(Slot slot, Place place, Tier tier) {
  Run* run = RunAt(place);
  Shard& shard = ShardOf(*run);
  MutexLock lock(&shard.mutex);
  if (tier == Tier::kGpu && run->tiers.load(kRelaxed) == nullptr) return;
  RunEdit edit(run);
  SetTiers(run, slot, place.offset, place.offset + 1u, tier);
}

RunStore::Totals RunStore::Count() const {
  Totals totals;
  totals.bytes = arena_.ReservedBytes() + reclaimer_.WaitingBytes() +
                 kShards * (sizeof(Shard) + sizeof(NameShard));
  for (uint32_t i = 0; i < kShards; ++i) {
    const Shard& shard = shards_[i];
    MutexLock lock(&shard.mutex);
    totals.runs += shard.heads.size();
    totals.blocks += shard.blocks - UncoveredBlocks(shard);
    totals.bytes += shard.islands.capacity() * (sizeof(Intervals) + sizeof(uint64_t) + 1);
  }
  return totals;
}

}  // namespace kvroute
