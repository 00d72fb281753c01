#include "indexer/index/tables/engine_hash_table.h"

#include <algorithm>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

constexpr uint32_t kStaggered = 128;  // buckets, from where on shards have sizes of their own
// Entries of a full bucket whose other buckets are fetched: one of them nearly always has room.
constexpr uint32_t kFetchedMoves = 3;

}  // namespace

void EngineHashTable::Init(Arena* arena, Reclaimer* reclaimer, uint32_t stagger) {
  arena_ = arena;
  reclaimer_ = reclaimer;
  stagger_ = stagger;
  array_.store(BucketArray::New(arena, 1, PassedGranules(1)).bits(), kRelease);
  limit_ = kMostOfFourBuckets / 4;
  erased_ = 0;
}

void EngineHashTable::Release() {
  const BucketArray array = Array();
  arena_->Free(array.start(), array.size() + PassedGranules(array.size()));
  array_.store(0, kRelease);
  overflowed_.store(0, kRelease);
  size_ = 0;
}

void EngineHashTable::PutInFull(BucketArray array, Cell cell) {
  for (const uint32_t bucket : {First(array, cell.fragment()), Second(array, cell.fragment())}) {
    if (Word* word = MoveOne(array, bucket)) {
      word->store(cell.bits(), kRelease);
      return;
    }
  }
  PutBehind(array, cell);
}

EngineHashTable::Word* EngineHashTable::MoveOne(BucketArray array, uint32_t bucket) {
  Word* const words = array.Bucket(*arena_, bucket);
  for (uint32_t i = 0; i < kCells; ++i) {
    const uint64_t bits = words[i].load(kRelaxed);
    const uint32_t fragment = Cell(bits).fragment();
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

void EngineHashTable::FetchMoves(const FetchedBuckets& fetched) const {
  const BucketArray array(fetched.array_);
  const uint32_t bucket = First(array, fetched.fragment_);
  for (uint32_t i = 0; i < kFetchedMoves; ++i) {
    const uint32_t fragment = Cell(fetched.buckets_[0][i].load(kRelaxed)).fragment();
    __builtin_prefetch(OtherBucket(array, fragment, bucket));
  }
}

// The counts first: who sees the cell missing behind them goes on looking.
void EngineHashTable::PutBehind(BucketArray array, Cell cell) {
  overflowed_.store(overflowed_.load(kRelaxed) + 1, kRelease);
  uint32_t bucket = Second(array, cell.fragment());
  for (;;) {
    Pass(&Passed(array, bucket), 1);
    bucket = Behind(array, bucket);
    Word* words = array.Bucket(*arena_, bucket);
    for (uint32_t i = 0; i < kCells; ++i) {
      if (words[i].load(kRelaxed) != 0) continue;
      words[i].store(cell.bits(), kRelease);
      return;
    }
  }
}

uint32_t EngineHashTable::NextBuckets() const {
  const uint32_t buckets = Array().size();
  if (buckets >= kStaggered) return buckets + buckets / kGrowthPart;
  const uint32_t next = buckets * 2;
  return next == kStaggered ? next + next * stagger_ / (kGrowthPart * 256) : next;
}

bool EngineHashTable::Wait() {
  const uint32_t buckets = Array().size();
  const auto most = static_cast<uint32_t>(uint64_t{buckets} * kMostOfFourWaiting / 4);
  if (buckets < kStaggered || limit_ >= most || erased_ / kSettledTurns < size_) return false;
  const uint32_t next = NextBuckets();
  if (arena_->HasRoom(next + PassedGranules(next))) return false;
  limit_ = std::min(limit_ + buckets / kWaitPart, most);
  return true;
}

void EngineHashTable::Grow() {
  const BucketArray old = Array();
  const uint32_t buckets = NextBuckets();
  const BucketArray array = BucketArray::New(arena_, buckets, PassedGranules(buckets));
  // Readers of the old array may still need its overflow: the count goes up first, and down last.
  const uint32_t overflowed = overflowed_.load(kRelaxed);
  for (uint32_t bucket = 0; bucket < old.size(); ++bucket) {
    for (uint32_t i = 0; i < kCells; ++i) {
      const Cell cell(old.Bucket(*arena_, bucket)[i].load(kRelaxed));
      if (!cell.empty()) Put(BucketsOf(array, cell.fragment()), cell);
    }
  }
  array_.store(array.bits(), kRelease);
  limit_ = static_cast<uint32_t>(uint64_t{buckets} * kMostOfFourBuckets / 4);
  erased_ = 0;
  overflowed_.store(overflowed_.load(kRelaxed) - overflowed, kRelease);
  reclaimer_->Retire(old.start(), old.size() + PassedGranules(old.size()));
}

EngineHashTable::Inserted EngineHashTable::Insert(const FetchedBuckets& fetched, Place place) {
  if (size_ >= limit_ && !Wait()) Grow();
  const FetchedBuckets today = BucketsOf(Array(), fetched.fragment_);
  const Inserted inserted =
      Judge(BucketPair(today.buckets_[0], today.buckets_[1]), today.fragment_);
  ++size_;
  Put(today, Cell(today.fragment_, place));
  return inserted;
}

EngineHashTable::Word* EngineHashTable::LocateAnew(Cell cell) const {
  const BucketArray array = Array();
  Word* word = Locate(BucketsOf(array, cell.fragment()), cell);
  if (word != nullptr) return word;
  const bool there = WalkOverflow(array, Second(array, cell.fragment()), [&](Word* words) {
    const uint32_t at = BucketPair(words, words).Find(cell);
    if (at != BucketPair::kNone) word = &words[at];
    return word != nullptr;
  });
  KVROUTE_CHECK(there);  // every block of a run has its entry
  return word;
}

void EngineHashTable::EraseAnew(Cell cell) {
  Word* word = LocateAnew(cell);
  word->store(0, kRelease);
  --size_;
  ++erased_;
  const BucketArray array = Array();
  const uint32_t second = Second(array, cell.fragment());
  const auto at = arena_->Of(word) - array.start();
  if (at == First(array, cell.fragment()) || at == second) return;
  for (uint32_t bucket = second; bucket != at; bucket = Behind(array, bucket)) {
    Pass(&Passed(array, bucket), -1);
  }
  overflowed_.store(overflowed_.load(kRelaxed) - 1, kRelease);
}

void EngineHashTable::Replace(const FetchedBuckets& fetched, Place old_place, Place place) {
  LocateAnew(Cell(fetched.fragment_, old_place))
      ->store(Cell(fetched.fragment_, place).bits(), kRelease);
}

}  // namespace kvroute
