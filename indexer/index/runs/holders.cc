#include "indexer/index/runs/holders.h"

#include <algorithm>

#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

constexpr uint32_t kRoomForEntries = 8;

bool TestBit(const DenseHolders& dense, Slot slot) {
  const uint32_t word = slot / 64u;
  return word < dense.words.load(kRelaxed) && (dense.word(word).load(kRelaxed) >> (slot % 64)) & 1;
}

void FlipBit(DenseHolders* dense, Slot slot) {
  std::atomic<uint64_t>& word = dense->word(slot / 64u);
  word.store(word.load(kRelaxed) ^ uint64_t{1} << (slot % 64), kRelease);
}

// There is room.
void Add(DenseHolders* dense, HolderEntry entry) {
  if (entry.all() && dense->words.load(kRelaxed) > 0) {
    FlipBit(dense, entry.slot());
    ++dense->full;
    return;
  }
  const uint16_t at = dense->entries.load(kRelaxed);
  dense->entry(at).store(entry.bits(), kRelease);
  dense->entries.store(static_cast<uint16_t>(at + 1), kRelease);
}

}  // namespace

std::optional<HolderEntry> Holders::Find(const Run& run, Slot slot) const {
  const uint8_t count = run.holder_count.load(kRelaxed);
  if (count != Run::kDense) {
    for (uint32_t i = 0; i < count; ++i) {
      const HolderEntry entry(Load(run.holders[i]));
      if (entry.slot() == slot) return entry;
    }
    return std::nullopt;
  }
  const DenseHolders& dense = *DenseOf(run);
  if (TestBit(dense, slot)) return HolderEntry(slot, HolderEntry::kAll, false);
  const uint32_t words = dense.words.load(kRelaxed);
  for (uint32_t i = 0; i < dense.entries.load(kRelaxed); ++i) {
    const HolderEntry entry(Load(dense.entry(i, words)));
    if (entry.slot() == slot) return entry;
  }
  return std::nullopt;
}

bool Holders::IsSole(const Run& run, Slot slot) const {
  return run.holder_count.load(kRelaxed) == 1 && HolderEntry(Load(run.holders[0])).slot() == slot;
}

bool Holders::Empty(const Run& run) const {
  const uint8_t count = run.holder_count.load(kRelaxed);
  if (count != Run::kDense) return count == 0;
  const DenseHolders& dense = *DenseOf(run);
  return dense.full == 0 && dense.entries.load(kRelaxed) == 0;
}

bool Holders::AnyAll(const Run& run) const {
  const uint8_t count = run.holder_count.load(kRelaxed);
  if (count == Run::kDense) {
    const DenseHolders& dense = *DenseOf(run);
    const uint32_t words = dense.words.load(kRelaxed);
    if (words > 0) return dense.full > 0;
    for (uint32_t i = 0; i < dense.entries.load(kRelaxed); ++i) {
      if (HolderEntry(Load(dense.entry(i, words))).all()) return true;
    }
    return false;
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (HolderEntry(Load(run.holders[i])).all()) return true;
  }
  return false;
}

DenseHolders* Holders::NewDense(uint32_t words, uint32_t entry_capacity) const {
  const size_t bytes = sizeof(DenseHolders) + size_t{words} * 8 + size_t{entry_capacity} * 4;
  const auto granules = static_cast<uint32_t>((bytes + kGranuleBytes - 1) / kGranuleBytes);
  auto* dense = arena_->At<DenseHolders>(arena_->Allocate(granules));
  dense->words.store(static_cast<uint16_t>(words), kRelaxed);
  dense->entries.store(0, kRelaxed);
  dense->granules = static_cast<uint16_t>(granules);
  const size_t room = (granules * kGranuleBytes - sizeof(DenseHolders) - size_t{words} * 8) / 4;
  dense->entry_capacity = static_cast<uint16_t>(std::min<size_t>(room, kMaxSlots));
  dense->full = 0;
  for (uint32_t w = 0; w < words; ++w) dense->word(w).store(0, kRelaxed);
  return dense;
}

void Holders::RetireDense(Run* run) const {
  if (run->holder_count.load(kRelaxed) != Run::kDense) return;
  reclaimer_->Retire(run->dense.load(kRelaxed), DenseOf(*run)->granules);
}

// A DenseHolders with room for `slot` and one more entry, holding what the run holds now.
void Holders::GrowDense(Run* run, Slot slot) const {
  uint32_t words = slot / 64u + 1;
  uint32_t holders = 1;
  uint32_t partly = 0;
  ForEach(*run, [&](HolderEntry entry) {
    words = std::max(words, entry.slot() / 64u + 1);
    ++holders;
    partly += entry.all() ? 0 : 1;
  });
  const bool listed = holders <= DenseHolders::kListed;
  DenseHolders* dense =
      listed ? NewDense(0, DenseHolders::kListed)
             : NewDense(words, std::min(kMaxSlots, partly + partly / 2 + kRoomForEntries));
  ForEach(*run, [&](HolderEntry entry) { Add(dense, entry); });
  RetireDense(run);
  run->dense.store(arena_->Of(dense), kRelease);
  run->holder_count.store(Run::kDense, kRelease);
}

void Holders::Put(Run* run, HolderEntry entry) const {
  const uint8_t count = run->holder_count.load(kRelaxed);
  if (count != Run::kDense) {
    for (uint32_t i = 0; i < count; ++i) {
      if (HolderEntry(Load(run->holders[i])).slot() == entry.slot()) {
        run->holders[i].store(entry.bits(), kRelease);
        return;
      }
    }
    if (count < Run::kInlineHolders) {
      run->holders[count].store(entry.bits(), kRelease);
      run->holder_count.store(static_cast<uint8_t>(count + 1), kRelease);
      return;
    }
    GrowDense(run, entry.slot());
  }
  Erase(run, entry.slot());
  if (run->holder_count.load(kRelaxed) != Run::kDense) return Put(run, entry);  // became few
  const DenseHolders* now = DenseOf(*run);
  const uint32_t words = now->words.load(kRelaxed);
  if ((words > 0 && entry.slot() / 64u >= words) ||
      now->entries.load(kRelaxed) == now->entry_capacity) {
    GrowDense(run, entry.slot());
  }
  Add(DenseOf(*run), entry);
}

void Holders::Erase(Run* run, Slot slot) const {
  const uint8_t count = run->holder_count.load(kRelaxed);
  if (count != Run::kDense) {
    for (uint32_t i = 0; i < count; ++i) {
      if (HolderEntry(Load(run->holders[i])).slot() != slot) continue;
      run->holders[i].store(Load(run->holders[count - 1]), kRelease);
      run->holder_count.store(static_cast<uint8_t>(count - 1), kRelease);
      return;
    }
    return;
  }
  DenseHolders* dense = DenseOf(*run);
  const uint32_t words = dense->words.load(kRelaxed);
  const uint16_t entries = dense->entries.load(kRelaxed);
  if (TestBit(*dense, slot)) {
    FlipBit(dense, slot);
    --dense->full;
  } else {
    for (uint16_t i = 0; i < entries; ++i) {
      if (HolderEntry(Load(dense->entry(i, words))).slot() != slot) continue;
      dense->entry(i).store(Load(dense->entry(entries - 1u, words)), kRelease);
      dense->entries.store(static_cast<uint16_t>(entries - 1), kRelease);
      break;
    }
  }
  // Back into a list, and into the header, well below their limits, so that one holder coming and
  // going does not move the set each time.
  const uint32_t left = dense->full + dense->entries.load(kRelaxed);
  if (left > (words > 0 ? DenseHolders::kListed : Run::kInlineHolders) / 2) return;
  if (left > Run::kInlineHolders) return GrowDense(run, slot);
  uint32_t at = 0;
  ForEach(*run, [&](HolderEntry entry) { run->holders[at++].store(entry.bits(), kRelease); });
  RetireDense(run);
  run->holder_count.store(static_cast<uint8_t>(at), kRelease);
}

void Holders::PromoteAll(Run* run) const {
  const uint32_t length = run->length.load(kRelaxed);
  const auto covers_all = [length](HolderEntry entry) {
    return !entry.all() && !entry.islands() && entry.FirstHole(length) == length;
  };
  const uint8_t count = run->holder_count.load(kRelaxed);
  if (count != Run::kDense) {
    for (uint32_t i = 0; i < count; ++i) {
      const HolderEntry entry(Load(run->holders[i]));
      if (!covers_all(entry)) continue;
      run->holders[i].store(HolderEntry(entry.slot(), HolderEntry::kAll, false).bits(), kRelease);
    }
    return;
  }
  DenseHolders* dense = DenseOf(*run);
  uint16_t entries = dense->entries.load(kRelaxed);
  for (uint16_t i = 0; i < entries;) {
    const HolderEntry entry(Load(dense->entry(i)));
    if (!covers_all(entry)) {
      ++i;
      continue;
    }
    const HolderEntry all(entry.slot(), HolderEntry::kAll, false);
    if (dense->words.load(kRelaxed) == 0) {
      dense->entry(i++).store(all.bits(), kRelease);
      continue;
    }
    dense->entry(i).store(Load(dense->entry(--entries)), kRelease);
    Add(dense, all);
  }
  dense->entries.store(entries, kRelease);
}

void Holders::Move(Run* from, Run* to) const {
  const uint8_t count = from->holder_count.load(kRelaxed);
  for (uint32_t i = 0; i < Run::kInlineHolders; ++i) {
    to->holders[i].store(Load(from->holders[i]), kRelaxed);
  }
  to->dense.store(from->dense.load(kRelaxed), kRelaxed);
  to->holder_count.store(count, kRelaxed);
}

void Holders::Release(Run* run) const { RetireDense(run); }

}  // namespace kvroute
