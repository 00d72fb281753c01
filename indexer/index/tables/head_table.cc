#include "indexer/index/tables/head_table.h"

#include "indexer/base/check.h"
#include "indexer/index/memory/memory_order.h"

namespace kvroute {
namespace {

Cell CellOf(uint32_t fragment, Granule run) { return Cell(fragment, Place{run, 0}); }

}  // namespace

void HeadTable::Init(Arena* arena, Reclaimer* reclaimer) {
  arena_ = arena;
  reclaimer_ = reclaimer;
  array_.store(New(arena, 1).bits(), kRelease);
}

void HeadTable::Put(BucketArray array, Cell cell) {
  uint32_t bucket = array.Home(cell.fragment());
  BucketArray::Word& hints = Hints(array, bucket);
  hints.store(hints.load(kRelaxed) | HintOf(cell.fragment()), kRelease);
  for (uint32_t probe = 0;;) {
    BucketArray::Word* words = array.Bucket(*arena_, bucket);
    for (uint32_t i = 0; i < kCells; ++i) {
      if (words[i].load(kRelaxed) != 0) continue;
      words[i].store(cell.bits(), kRelease);
      return;
    }
    words[kPassed].store(words[kPassed].load(kRelaxed) + 1, kRelease);
    bucket = Next(array, cell.fragment(), ++probe, bucket);
  }
}

void HeadTable::Grow() {
  const BucketArray old = Array();
  const uint32_t buckets = old.size() < 8 ? old.size() * 2 : old.size() + old.size() / 4;
  const BucketArray array = New(arena_, buckets);
  for (uint32_t bucket = 0; bucket < old.size(); ++bucket) {
    for (uint32_t i = 0; i < kCells; ++i) {
      const Cell cell(old.Bucket(*arena_, bucket)[i].load(kRelaxed));
      if (!cell.empty()) Put(array, cell);
    }
  }
  array_.store(array.bits(), kRelease);
  reclaimer_->Retire(old.start(), old.size() + HintGranules(old.size()));
}

void HeadTable::Insert(uint32_t fragment, Granule run) {
  if ((size_ + 1) * 2ull > Buckets() * kMostHalfCells) Grow();
  ++size_;
  Put(Array(), CellOf(fragment, run));
}

BucketArray::Word* HeadTable::Locate(Cell cell, uint32_t* passed) const {
  const BucketArray array = Array();
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
  uint32_t passed = 0;
  Locate(CellOf(fragment, run), &passed)->store(0, kRelease);
  --size_;
  const BucketArray array = Array();
  uint32_t bucket = array.Home(fragment);
  for (uint32_t probe = 0; probe < passed;) {
    BucketArray::Word& count = array.Bucket(*arena_, bucket)[kPassed];
    count.store(count.load(kRelaxed) - 1, kRelease);
    bucket = Next(array, fragment, ++probe, bucket);
  }
  DropHint(array, fragment);
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
  uint32_t passed = 0;
  Locate(CellOf(fragment, old_run), &passed)->store(CellOf(fragment, new_run).bits(), kRelease);
}

}  // namespace kvroute
