#include "indexer/index/tables/name_table.h"

#include <algorithm>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

constexpr uint32_t kPhased = 128;  // buckets, from where on shards have sizes of their own
// Entries of a full bucket whose other buckets are fetched: one of them nearly always has room.
constexpr uint32_t kFetchedMoves = 3;

}  // namespace

void NameTable::Init(Arena* arena, Reclaimer* reclaimer, uint32_t phase) {
  arena_ = arena;
  reclaimer_ = reclaimer;
  phase_ = phase;
  array_.store(BucketArray::New(arena, 1, PassedGranules(1)).bits(), kRelease);
  limit_ = kMostOfFourBuckets / 4;
  erased_ = 0;
}

void NameTable::Release() {
  const BucketArray array = Array();
  arena_->Free(array.start(), array.size() + PassedGranules(array.size()));
  array_.store(0, kRelease);
  overflowed_.store(0, kRelease);
  size_ = 0;
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
  for (uint32_t i = 0; i < kSlots; ++i) {
    const uint64_t bits = words[i].load(kRelaxed);
    const uint32_t fragment = PlaceSlot(bits).fragment();
    // What overflowed into this bucket stays: its way is counted.
    if (First(array, fragment) != bucket && Second(array, fragment) != bucket) continue;
    Word* const other = OtherBucket(array, fragment, bucket);
    const uint32_t room = BucketPair(other, other).Room();
    if (room == BucketPair::kNone) continue;
    other[room].store(bits, kRelease);
    // For readers that saw the other bucket without it: before it goes from this one.
    moves_.store(moves_.load(kRelaxed) + 1, kRelease);
    return &words[i];  // whose old entry the caller overwrites
  }
  return nullptr;
}

void NameTable::FetchMoves(const Spot& spot) const {
  const BucketArray array(spot.array_);
  const uint32_t bucket = First(array, spot.fragment_);
  for (uint32_t i = 0; i < kFetchedMoves; ++i) {
    const uint32_t fragment = PlaceSlot(spot.buckets_[0][i].load(kRelaxed)).fragment();
    __builtin_prefetch(OtherBucket(array, fragment, bucket));
  }
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

uint32_t NameTable::NextBuckets() const {
  const uint32_t buckets = Array().size();
  if (buckets >= kPhased) return buckets + buckets / kGrowthPart;
  const uint32_t next = buckets * 2;
  return next == kPhased ? next + next * phase_ / (kGrowthPart * 256) : next;
}

bool NameTable::Wait() {
  const uint32_t buckets = Array().size();
  const auto most = static_cast<uint32_t>(uint64_t{buckets} * kMostOfFourWaiting / 4);
  if (buckets < kPhased || limit_ >= most || erased_ / kSettledTurns < size_) return false;
  const uint32_t next = NextBuckets();
  if (arena_->HasRoom(next + PassedGranules(next))) return false;
  limit_ = std::min(limit_ + buckets / kWaitPart, most);
  return true;
}

void NameTable::Grow() {
  const BucketArray old = Array();
  const uint32_t buckets = NextBuckets();
  const BucketArray array = BucketArray::New(arena_, buckets, PassedGranules(buckets));
  // Readers of the old array may still need its overflow: the count goes up first, and down last.
  const uint32_t overflowed = overflowed_.load(kRelaxed);
  for (uint32_t bucket = 0; bucket < old.size(); ++bucket) {
    for (uint32_t i = 0; i < kSlots; ++i) {
      const PlaceSlot slot(old.Bucket(*arena_, bucket)[i].load(kRelaxed));
      if (!slot.empty()) Put(SpotOf(array, slot.fragment()), slot);
    }
  }
  array_.store(array.bits(), kRelease);
  limit_ = static_cast<uint32_t>(uint64_t{buckets} * kMostOfFourBuckets / 4);
  erased_ = 0;
  overflowed_.store(overflowed_.load(kRelaxed) - overflowed, kRelease);
  reclaimer_->Retire(old.start(), old.size() + PassedGranules(old.size()));
}

NameTable::Inserted NameTable::Insert(const Spot& spot, Place place) {
  if (size_ >= limit_ && !Wait()) Grow();
  const Spot today = SpotOf(Array(), spot.fragment_);
  const Inserted inserted =
      Judge(BucketPair(today.buckets_[0], today.buckets_[1]), today.fragment_);
  ++size_;
  Put(today, PlaceSlot(today.fragment_, place));
  return inserted;
}

NameTable::Word* NameTable::LocateAnew(PlaceSlot slot) const {
  const BucketArray array = Array();
  Word* word = Locate(SpotOf(array, slot.fragment()), slot);
  if (word != nullptr) return word;
  const bool there = WalkOverflow(array, Second(array, slot.fragment()), [&](Word* words) {
    const uint32_t at = BucketPair(words, words).Find(slot);
    if (at != BucketPair::kNone) word = &words[at];
    return word != nullptr;
  });
  KVROUTE_CHECK(there);  // every block of a window has its entry
  return word;
}

void NameTable::EraseAnew(PlaceSlot slot) {
  Word* word = LocateAnew(slot);
  word->store(0, kRelease);
  --size_;
  ++erased_;
  const BucketArray array = Array();
  const uint32_t second = Second(array, slot.fragment());
  const auto at = arena_->Of(word) - array.start();
  if (at == First(array, slot.fragment()) || at == second) return;
  for (uint32_t bucket = second; bucket != at; bucket = Behind(array, bucket)) {
    Pass(&Passed(array, bucket), -1);
  }
  overflowed_.store(overflowed_.load(kRelaxed) - 1, kRelease);
}

void NameTable::Replace(const Spot& spot, Place old_place, Place place) {
  LocateAnew(PlaceSlot(spot.fragment_, old_place))
      ->store(PlaceSlot(spot.fragment_, place).bits(), kRelease);
}

}  // namespace kvroute
