#ifndef KVROUTE_INDEXER_INDEX_TABLES_HEAD_TABLE_H_
#define KVROUTE_INDEXER_INDEX_TABLES_HEAD_TABLE_H_

#include <atomic>
#include <cstdint>

#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/reclaimer.h"
#include "indexer/index/tables/bucket_array.h"
#include "indexer/index/tables/growing_array.h"

namespace kvroute {

// One shard of the map from the prefix hash of a run's first block to the run. There are few runs
// and every query asks for heads that are not there, so this table spends memory on lookups that
// end after one cache line: a bucket has seven cells, at most 9 of 14 of which are in use, and in
// the eighth word stands how many entries had to go on to another bucket because this one was full.
// Where that is 0, a lookup ends.
//
// A store asks of every block whether it is a head, and nearly none is. For that each bucket has a
// word of 64 bits in an array an eighth as long, which the caches hold. Each entry that belongs to
// the bucket sets one bit of it, chosen by six bits of its fragment that did not choose the bucket.
//
// The table grows by a quarter, in steps (GrowingArray).
//
// Thread safety: Find and Prefetch by any thread under an EpochPin, without a lock; the
// rest by one writer at a time.
class HeadTable {
 public:
  void Init(Arena* arena, Reclaimer* reclaimer);

  void Prefetch(uint32_t fragment) const {
    const BucketArray array = Array();
    __builtin_prefetch(array.Bucket(*arena_, array.Home(fragment)));
  }
  // False: Find has nothing to offer. True one time in fourteen when it has nothing either.
  bool MayHave(uint32_t fragment) const {
    const BucketArray array = Array();
    return (Hints(array, array.Home(fragment)).load(std::memory_order_acquire) &
            HintOf(fragment)) != 0;
  }
  // Offers every run stored under the fragment until accept(Granule) returns true; that run, or 0.
  template <typename Accept>
  Granule Find(uint32_t fragment, Accept accept) const;

  void Insert(uint32_t fragment, Granule run);
  void Erase(uint32_t fragment, Granule run);                         // must be there
  void Replace(uint32_t fragment, Granule old_run, Granule new_run);  // must be there

  // For walks by the writer, who may erase meanwhile.
  uint32_t Buckets() const { return Array().size(); }
  template <typename Body>
  void ForEachIn(uint32_t bucket, Body body) const;

 private:
  static constexpr uint32_t kCells = 7;
  static constexpr uint32_t kPassed = 7;  // the word behind the cells
  static constexpr uint64_t kMostHalfCells = 9;

  BucketArray Array() const { return BucketArray(array_.load(std::memory_order_acquire)); }
  // Where a key that found its home full goes on: a few places that share nothing with its
  // neighbours', so that full buckets do not become long rows of full buckets; then one by one.
  static uint32_t Next(BucketArray array, uint32_t fragment, uint32_t probe, uint32_t bucket) {
    if (probe < 8) return array.Home((fragment * 0x9e37'79b1u * (2 * probe + 1)) >> 9);
    return bucket + 1 == array.size() ? 0 : bucket + 1;
  }
  static constexpr uint32_t HintGranules(uint32_t buckets) {
    return (buckets + BucketArray::kWords - 1) / BucketArray::kWords;
  }
  BucketArray::Word& Hints(BucketArray array, uint32_t bucket) const {
    return array.Bucket(*arena_, array.size())[bucket];
  }
  static uint64_t HintOf(uint32_t fragment) { return uint64_t{1} << (fragment % 64); }
  // After the entry went.
  void DropHint(BucketArray array, uint32_t fragment);
  // Returns the number of the bucket that the cell went into.
  uint32_t Put(BucketArray array, Cell cell);
  // Where the cell is, in that array, and how many buckets it had to pass.
  BucketArray::Word* Locate(BucketArray array, Cell cell, uint32_t* passed) const;
  // Returns the number of the bucket that it was in.
  uint32_t EraseIn(BucketArray array, Cell cell);
  uint32_t BucketOf(BucketArray array, const BucketArray::Word* word) const {
    return arena_->Of(word) - array.start();
  }
  void BeginGrowth();
  bool StepGrowth();  // true: all is copied
  void FinishGrowth();
  // Whether a cell in that bucket of the old array is in the new one as well.
  bool Copied(uint32_t bucket) const { return growing_ != nullptr && bucket < growing_->copied; }

  std::atomic<uint64_t> array_{0};
  Arena* arena_ = nullptr;
  Reclaimer* reclaimer_ = nullptr;
  uint32_t size_ = 0;
  GrowingArray* growing_ = nullptr;  // null: the table does not grow
};

template <typename Accept>
Granule HeadTable::Find(uint32_t fragment, Accept accept) const {
  const BucketArray array = Array();
  uint32_t bucket = array.Home(fragment);
  for (uint32_t probe = 0; probe < array.size() + 8;) {
    const BucketArray::Word* words = array.Bucket(*arena_, bucket);
    for (uint32_t i = 0; i < kCells; ++i) {
      const Cell cell(words[i].load(std::memory_order_acquire));
      if (cell.fragment() != fragment || cell.empty()) continue;
      if (accept(cell.place().run)) return cell.place().run;
    }
    if (words[kPassed].load(std::memory_order_acquire) == 0) break;
    bucket = Next(array, fragment, ++probe, bucket);
  }
  return 0;
}

template <typename Body>
void HeadTable::ForEachIn(uint32_t bucket, Body body) const {
  const BucketArray::Word* words = Array().Bucket(*arena_, bucket);
  for (uint32_t i = 0; i < kCells; ++i) {
    const Cell cell(words[i].load(std::memory_order_relaxed));
    if (!cell.empty()) body(cell.place().run);
  }
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_HEAD_TABLE_H_
