#include "indexer/index/name_table.h"

#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kRelease = std::memory_order_release;
constexpr uint32_t kPhased = 128;  // buckets, from where on shards have sizes of their own

}  // namespace

void NameTable::Init(Arena* arena, Reclaimer* reclaimer, uint32_t phase) {
  arena_ = arena;
  reclaimer_ = reclaimer;
  phase_ = phase;
  array_.store(BucketArray::New(arena, 1, PassedGranules(1)).bits(), kRelease);
}

void NameTable::Release() {
  const BucketArray array = Array();
  arena_->Free(array.start(), array.size() + PassedGranules(array.size()));
  array_.store(0, kRelease);
  overflowed_.store(0, kRelease);
  size_ = 0;
}

void NameTable::Put(BucketArray array, PlaceSlot slot) {
  Word* const buckets[2] = {array.Bucket(*arena_, First(array, slot.fragment())),
                            array.Bucket(*arena_, Second(array, slot.fragment()))};
  const uint32_t empty[2] = {BucketScan(buckets[0]).Empty(), BucketScan(buckets[1]).Empty()};
  const bool choice = BucketScan::Count(empty[1]) > BucketScan::Count(empty[0]);
  if (empty[choice] != 0) {
    buckets[choice][BucketScan::Lowest(empty[choice])].store(slot.bits(), kRelaxed);
  } else {
    PutInFull(array, slot);
  }
}

void NameTable::PutInFull(BucketArray array, PlaceSlot slot) {
  for (const uint32_t bucket : {First(array, slot.fragment()), Second(array, slot.fragment())}) {
    if (Word* word = MoveOne(array, bucket)) {
      word->store(slot.bits(), kRelease);
      return;
    }
  }
  PutBehind(array, slot);
}

NameTable::Word* NameTable::MoveOne(BucketArray array, uint32_t bucket) {
  Word* const words = array.Bucket(*arena_, bucket);
  Word* others[kSlots];
  for (uint32_t i = 0; i < kSlots; ++i) {
    const uint32_t fragment = PlaceSlot(words[i].load(kRelaxed)).fragment();
    const uint32_t first = First(array, fragment);
    others[i] = array.Bucket(*arena_, first == bucket ? Second(array, fragment) : first);
    __builtin_prefetch(others[i]);
  }
  for (uint32_t i = 0; i < kSlots; ++i) {
    // What overflowed into this bucket stays: its way is counted.
    const uint64_t bits = words[i].load(kRelaxed);
    const uint32_t fragment = PlaceSlot(bits).fragment();
    if (First(array, fragment) != bucket && Second(array, fragment) != bucket) continue;
    const uint32_t empty = BucketScan(others[i]).Empty();
    if (empty == 0) continue;
    others[i][BucketScan::Lowest(empty)].store(bits, kRelease);
    // For readers that saw the other bucket without it: before it goes from this one.
    moves_.store(moves_.load(kRelaxed) + 1, kRelease);
    return &words[i];  // whose old entry the caller overwrites
  }
  return nullptr;
}

// The counts first: who sees the slot missing behind them goes on looking.
void NameTable::PutBehind(BucketArray array, PlaceSlot slot) {
  overflowed_.store(overflowed_.load(kRelaxed) + 1, kRelease);
  uint32_t bucket = Second(array, slot.fragment());
  for (;;) {
    Pass(&Passed(array, bucket), 1);
    bucket = Behind(array, bucket);
    Word* words = array.Bucket(*arena_, bucket);
    for (uint32_t i = 0; i < kSlots; ++i) {
      if (words[i].load(kRelaxed) != 0) continue;
      words[i].store(slot.bits(), kRelease);
      return;
    }
  }
}

void NameTable::Grow() {
  const BucketArray old = Array();
  uint32_t buckets = old.size() < kPhased ? old.size() * 2 : old.size() + old.size() / 3;
  if (buckets == kPhased) buckets += buckets * phase_ / (3 * 256);
  const BucketArray array = BucketArray::New(arena_, buckets, PassedGranules(buckets));
  // Readers of the old array may still need its overflow: the count goes up first, and down last.
  const uint32_t overflowed = overflowed_.load(kRelaxed);
  for (uint32_t bucket = 0; bucket < old.size(); ++bucket) {
    for (uint32_t i = 0; i < kSlots; ++i) {
      const PlaceSlot slot(old.Bucket(*arena_, bucket)[i].load(kRelaxed));
      if (!slot.empty()) Put(array, slot);
    }
  }
  array_.store(array.bits(), kRelease);
  overflowed_.store(overflowed_.load(kRelaxed) - overflowed, kRelease);
  reclaimer_->Retire(old.start(), old.size() + PassedGranules(old.size()));
}

NameTable::Word* NameTable::Locate(PlaceSlot slot) const {
  const BucketArray array = Array();
  const uint32_t second = Second(array, slot.fragment());
  Word* const buckets[2] = {array.Bucket(*arena_, First(array, slot.fragment())),
                            array.Bucket(*arena_, second)};
  const uint32_t in_first = BucketScan(buckets[0]).Equal(slot);
  const uint32_t in_second = BucketScan(buckets[1]).Equal(slot);
  const bool choice = in_first == 0;
  const uint32_t found = choice ? in_second : in_first;
  if (found != 0) return &buckets[choice][BucketScan::Lowest(found)];
  Word* word = nullptr;
  const bool there = WalkOverflow(array, second, [&](Word* words) {
    const uint32_t equal = BucketScan(words).Equal(slot);
    if (equal != 0) word = &words[BucketScan::Lowest(equal)];
    return equal != 0;
  });
  KVROUTE_CHECK(there);  // every block of a window has its entry
  return word;
}

void NameTable::Erase(uint32_t fragment, Place place) {
  Word* word = Locate(PlaceSlot(fragment, place));
  word->store(0, kRelease);
  --size_;
  if (overflowed_.load(kRelaxed) == 0) return;
  const BucketArray array = Array();
  const uint32_t second = Second(array, fragment);
  const auto at = arena_->Of(word) - array.start();
  if (at == First(array, fragment) || at == second) return;
  for (uint32_t bucket = second; bucket != at; bucket = Behind(array, bucket)) {
    Pass(&Passed(array, bucket), -1);
  }
  overflowed_.store(overflowed_.load(kRelaxed) - 1, kRelease);
}

void NameTable::Replace(uint32_t fragment, Place old_place, Place place) {
  Locate(PlaceSlot(fragment, old_place))->store(PlaceSlot(fragment, place).bits(), kRelease);
}

}  // namespace kvroute
