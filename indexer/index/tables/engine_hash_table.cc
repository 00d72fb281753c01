#include "indexer/index/tables/engine_hash_table.h"

#include <algorithm>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

constexpr uint32_t kStaggered = 128;  // buckets, from where on shards have sizes of their own
// Entries of a full bucket whose other buckets are fetched: one of them nearly always has room.
constexpr uint32_t kFetchedMoves = 3;
// Smaller tables grow at once: that takes less than 50 us.
constexpr uint32_t kSteppedBuckets = 512;

}  // namespace

void EngineHashTable::Init(Arena* arena, Reclaimer* reclaimer, uint32_t stagger) {
  arena_ = arena;
  reclaimer_ = reclaimer;
  stagger_ = stagger;
  const BucketArray array = BucketArray::New(arena, 1, PassedGranules(1));
  array.Clear(*arena, 0, 1 + PassedGranules(1));
  array_.store(array.bits(), kRelease);
  limit_ = kMostOfFourBuckets / 4;
  erased_ = 0;
}

void EngineHashTable::Release() {
  const BucketArray array = Array();
  arena_->Free(array.start(), array.size() + PassedGranules(array.size()));
  if (growing_ != nullptr) {
    arena_->Free(growing_->array.start(), growing_->granules);
    GrowingArray::Delete(arena_, growing_);
    growing_ = nullptr;
  }
  array_.store(0, kRelease);
  overflowed_.store(0, kRelease);
  size_ = 0;
}

uint32_t EngineHashTable::Put(BucketArray array, Cell cell) {
  const FetchedBuckets at = BucketsOf(array, cell.fragment());
  const uint32_t room = BucketPair(at.buckets_[0], at.buckets_[1]).Room();
  if (room == BucketPair::kNone) return BucketOf(array, PutInFull(array, cell));
  at.buckets_[room / kCells][room % kCells].store(cell.bits(), kRelease);
  return BucketOf(array, at.buckets_[room / kCells]);
}

EngineHashTable::Word* EngineHashTable::PutInFull(BucketArray array, Cell cell) {
  for (const uint32_t bucket : {First(array, cell.fragment()), Second(array, cell.fragment())}) {
    if (Word* word = MoveOne(array, bucket)) {
      word->store(cell.bits(), kRelease);
      return word;
    }
  }
  return PutBehind(array, cell);
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
    if (growing_ != nullptr && array.bits() == Array().bits()) {
      FollowMove(Cell(bits), bucket, BucketOf(array, other));
    }
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
EngineHashTable::Word* EngineHashTable::PutBehind(BucketArray array, Cell cell) {
  overflowed_.store(overflowed_.load(kRelaxed) + 1, kRelease);
  if (growing_ != nullptr && array.bits() == growing_->array.bits()) ++growing_->overflowed;
  uint32_t bucket = Second(array, cell.fragment());
  for (;;) {
    Pass(&Passed(array, bucket), 1);
    bucket = Behind(array, bucket);
    Word* words = array.Bucket(*arena_, bucket);
    for (uint32_t i = 0; i < kCells; ++i) {
      if (words[i].load(kRelaxed) != 0) continue;
      words[i].store(cell.bits(), kRelease);
      return &words[i];
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

void EngineHashTable::BeginGrowth() {
  const uint32_t buckets = NextBuckets();
  const uint32_t passed = PassedGranules(buckets);
  GrowingArray begun(BucketArray::New(arena_, buckets, passed), buckets + passed);
  if (buckets >= kSteppedBuckets) {
    growing_ = GrowingArray::New(arena_, begun);
    limit_ = 0;
    return;
  }
  growing_ = &begun;
  while (!StepGrowth()) {
  }
  FinishGrowth();
}

bool EngineHashTable::StepGrowth() {
  if (growing_->ClearSome(*arena_)) return false;
  const BucketArray old = Array();
  const BucketArray array = growing_->array;
  const uint32_t begin = growing_->copied;
  const uint32_t end = std::min(old.size(), begin + GrowingArray::kCopiedAStep);
  const Word* const words = old.Bucket(*arena_, begin);
  const uint32_t cells = (end - begin) * kCells;
  for (uint32_t i = 0; i < cells; ++i) {
    const Cell cell(words[i].load(kRelaxed));
    __builtin_prefetch(array.Bucket(*arena_, First(array, cell.fragment())));
    __builtin_prefetch(array.Bucket(*arena_, Second(array, cell.fragment())));
  }
  for (uint32_t i = 0; i < cells; ++i) {
    const Cell cell(words[i].load(kRelaxed));
    if (!cell.empty()) Put(array, cell);
  }
  growing_->copied = end;
  return end == old.size();
}

void EngineHashTable::FinishGrowth() {
  const BucketArray old = Array();
  const BucketArray array = growing_->array;
  array_.store(array.bits(), kRelease);
  limit_ = static_cast<uint32_t>(uint64_t{array.size()} * kMostOfFourBuckets / 4);
  erased_ = 0;
  // Readers of the old array may still need its overflow: its count goes only now.
  overflowed_.store(growing_->overflowed, kRelease);
  growing_ = nullptr;
  reclaimer_->Retire(old.start(), old.size() + PassedGranules(old.size()));
}

void EngineHashTable::FollowMove(Cell cell, uint32_t from, uint32_t to) {
  if (Copied(from) == Copied(to)) return;
  if (Copied(to)) {
    Put(growing_->array, cell);
  } else {
    EraseIn(growing_->array, cell);  // it will be copied with its new bucket
  }
}

EngineHashTable::Inserted EngineHashTable::Insert(const FetchedBuckets& fetched, Place place) {
  if (size_ >= limit_) {
    if (growing_ == nullptr && !Wait()) BeginGrowth();
    if (growing_ != nullptr && StepGrowth()) {
      const GrowingArray* const done = growing_;
      FinishGrowth();
      GrowingArray::Delete(arena_, done);
    }
  }
  const BucketArray array = Array();
  const FetchedBuckets today = BucketsOf(array, fetched.fragment_);
  const Inserted inserted =
      Judge(BucketPair(today.buckets_[0], today.buckets_[1]), today.fragment_);
  ++size_;
  const Cell cell(today.fragment_, place);
  if (Copied(Put(array, cell))) Put(growing_->array, cell);
  return inserted;
}

EngineHashTable::Word* EngineHashTable::LocateIn(BucketArray array, Cell cell) const {
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

uint32_t EngineHashTable::EraseIn(BucketArray array, Cell cell) {
  Word* word = LocateIn(array, cell);
  word->store(0, kRelease);
  const uint32_t second = Second(array, cell.fragment());
  const uint32_t at = BucketOf(array, word);
  if (at == First(array, cell.fragment()) || at == second) return at;
  for (uint32_t bucket = second; bucket != at; bucket = Behind(array, bucket)) {
    Pass(&Passed(array, bucket), -1);
  }
  if (growing_ != nullptr && array.bits() == growing_->array.bits()) --growing_->overflowed;
  overflowed_.store(overflowed_.load(kRelaxed) - 1, kRelease);
  return at;
}

void EngineHashTable::EraseAnew(Cell cell) {
  if (Copied(EraseIn(Array(), cell))) EraseIn(growing_->array, cell);
  --size_;
  erased_ += erased_ != std::numeric_limits<uint32_t>::max();
}

void EngineHashTable::Replace(const FetchedBuckets& fetched, Place old_place, Place place) {
  const Cell old_cell(fetched.fragment_, old_place);
  const Cell cell(fetched.fragment_, place);
  const BucketArray array = Array();
  Word* word = LocateIn(array, old_cell);
  if (Copied(BucketOf(array, word))) {
    LocateIn(growing_->array, old_cell)->store(cell.bits(), kRelease);
  }
  word->store(cell.bits(), kRelease);
}

}  // namespace kvroute
