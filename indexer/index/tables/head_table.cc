#include "indexer/index/tables/head_table.h"

#include <algorithm>

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

// Smaller tables grow at once: that takes less than 50 us.
constexpr uint32_t kSteppedBuckets = 512;

Cell CellOf(uint32_t fragment, Granule run) { return Cell(fragment, Place{run, 0}); }

}  // namespace

void HeadTable::Init(Arena* arena, Reclaimer* reclaimer) {
  arena_ = arena;
  reclaimer_ = reclaimer;
  const BucketArray array = BucketArray::New(arena, 1, HintGranules(1));
  array.Clear(*arena, 0, 1 + HintGranules(1));
  array_.store(array.bits(), kRelease);
}

uint32_t HeadTable::Put(BucketArray array, Cell cell) {
  uint32_t bucket = array.Home(cell.fragment());
  BucketArray::Word& hints = Hints(array, bucket);
  hints.store(hints.load(kRelaxed) | HintOf(cell.fragment()), kRelease);
  for (uint32_t probe = 0;;) {
    BucketArray::Word* words = array.Bucket(*arena_, bucket);
    for (uint32_t i = 0; i < kCells; ++i) {
      if (words[i].load(kRelaxed) != 0) continue;
      words[i].store(cell.bits(), kRelease);
      return bucket;
    }
    words[kPassed].store(words[kPassed].load(kRelaxed) + 1, kRelease);
    bucket = Next(array, cell.fragment(), ++probe, bucket);
  }
}

void HeadTable::BeginGrowth() {
  const uint32_t old = Buckets();
  const uint32_t buckets = old < 8 ? old * 2 : old + old / 4;
  const uint32_t hints = HintGranules(buckets);
  GrowingArray begun(BucketArray::New(arena_, buckets, hints), buckets + hints);
  if (buckets >= kSteppedBuckets) {
    growing_ = GrowingArray::New(arena_, begun);
    return;
  }
  growing_ = &begun;
  while (!StepGrowth()) {
  }
  FinishGrowth();
}

bool HeadTable::StepGrowth() {
  if (growing_->ClearSome(*arena_)) return false;
  const BucketArray old = Array();
  const uint32_t end = std::min(old.size(), growing_->copied + GrowingArray::kCopiedAStep);
  for (uint32_t bucket = growing_->copied; bucket < end; ++bucket) {
    for (uint32_t i = 0; i < kCells; ++i) {
      const Cell cell(old.Bucket(*arena_, bucket)[i].load(kRelaxed));
      if (!cell.empty()) Put(growing_->array, cell);
    }
  }
  growing_->copied = end;
  return end == old.size();
}

void HeadTable::FinishGrowth() {
  const BucketArray old = Array();
  array_.store(growing_->array.bits(), kRelease);
  growing_ = nullptr;
  reclaimer_->Retire(old.start(), old.size() + HintGranules(old.size()));
}

void HeadTable::Insert(uint32_t fragment, Granule run) {
  if (growing_ == nullptr && (size_ + 1) * 2ull > Buckets() * kMostHalfCells) BeginGrowth();
  if (growing_ != nullptr && StepGrowth()) {
    const GrowingArray* const done = growing_;
    FinishGrowth();
    GrowingArray::Delete(arena_, done);
  }
  ++size_;
  const Cell cell = CellOf(fragment, run);
  if (Copied(Put(Array(), cell))) Put(growing_->array, cell);
}

BucketArray::Word* HeadTable::Locate(BucketArray array, Cell cell, uint32_t* passed) const {
  uint32_t bucket = array.Home(cell.fragment());
  for (*passed = 0; *passed < array.size() + 8;) {
    BucketArray::Word* words = array.Bucket(*arena_, bucket);
    for (uint32_t i = 0; i < kCells; ++i) {
      if (words[i].load(kRelaxed) == cell.bits()) return &words[i];
    }
    bucket = Next(array, cell.fragment(), ++*passed, bucket);
  }
  KVROUTE_CHECK(false);  // every live run has its entry
  return nullptr;
}

void HeadTable::Erase(uint32_t fragment, Granule run) {
  const Cell cell = CellOf(fragment, run);
  --size_;
  if (Copied(EraseIn(Array(), cell))) EraseIn(growing_->array, cell);
}

uint32_t HeadTable::EraseIn(BucketArray array, Cell cell) {
  const uint32_t fragment = cell.fragment();
  uint32_t passed = 0;
  BucketArray::Word* word = Locate(array, cell, &passed);
  word->store(0, kRelease);
  uint32_t bucket = array.Home(fragment);
  for (uint32_t probe = 0; probe < passed;) {
    BucketArray::Word& count = array.Bucket(*arena_, bucket)[kPassed];
    count.store(count.load(kRelaxed) - 1, kRelease);
    bucket = Next(array, fragment, ++probe, bucket);
  }
  DropHint(array, fragment);
  return BucketOf(array, word);
}

// While some of the bucket's entries are elsewhere its hints stay.
void HeadTable::DropHint(BucketArray array, uint32_t fragment) {
  const uint32_t home = array.Home(fragment);
  const BucketArray::Word* words = array.Bucket(*arena_, home);
  if (words[kPassed].load(kRelaxed) != 0) return;
  uint64_t left = 0;
  for (uint32_t i = 0; i < kCells; ++i) {
    const Cell cell(words[i].load(kRelaxed));
    if (!cell.empty() && array.Home(cell.fragment()) == home) left |= HintOf(cell.fragment());
  }
  Hints(array, home).store(left, kRelease);
}

void HeadTable::Replace(uint32_t fragment, Granule old_run, Granule new_run) {
  const Cell old_cell = CellOf(fragment, old_run);
  const Cell cell = CellOf(fragment, new_run);
  uint32_t passed = 0;
  BucketArray::Word* word = Locate(Array(), old_cell, &passed);
  if (Copied(BucketOf(Array(), word))) {
    Locate(growing_->array, old_cell, &passed)->store(cell.bits(), kRelease);
  }
  word->store(cell.bits(), kRelease);
}

}  // namespace kvroute
