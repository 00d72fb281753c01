#ifndef KVROUTE_INDEXER_INDEX_TABLES_ENGINE_HASH_TABLE_H_
#define KVROUTE_INDEXER_INDEX_TABLES_ENGINE_HASH_TABLE_H_

#include <atomic>
#include <cstdint>
#include <limits>

#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/reclaimer.h"
#include "indexer/index/tables/bucket_array.h"
#include "indexer/index/tables/bucket_pair.h"
#include "indexer/index/tables/growing_array.h"

namespace kvroute {

// A multimap from engine hash to place: one shard of those of all runs, or a part of one stream's
// columns. It has an entry for every block, so it decides what a block costs besides its two
// hashes, in bytes and in cache misses.
//
// A table is an array of buckets, each a cache line of eight cells. An engine hash has two buckets,
// both known from the hash alone, so both lines are fetched together, ahead of their turn. An entry
// goes into the emptier of its two; when both are full, an entry of one of them moves to that
// entry's other bucket. With that, 29 of 32 cells can be in use before the table must grow.
//
// An entry that finds no room even so overflows into the buckets behind its second one. A byte for
// every eight buckets counts how many entries passed there. Next to nothing overflows, and while
// nothing has, nobody looks.
//
// Growth. A table grows by a quarter, and in steps, so that nobody waits for all of it: each
// insertion clears or copies a few buckets (`GrowingArray`). Until the last step the old array is
// the table, and readers know of no other. Each table does so at sizes of its own (`stagger`, in
// 1/256 of a step): if all grew at once, the arrays they leave would be a hole as large as all
// entries together, and all would be at their emptiest together. Smaller steps would keep tables
// fuller, but the arrays that they leave behind then fit nothing else. What an entry costs is in
// docs/index.md, "Bytes".
//
// Waiting. Where blocks come and go at a constant number, a shard now and then has a percent more
// than its share, by chance. A table whose entries were replaced several times over since it grew
// is at its limit only by such a chance. If the arena would have to grow for it, it fills to 30 of
// 32 instead: the array that it would leave is cut up by runs, and no table would fit there again.
//
// Thread safety: Find and Fetch by any thread under an EpochPin, without a lock; the rest by one
// writer at a time.
// Consistency of Find beside a writer: an entry that is there all the time is found. The writer
// copies an entry that moves before it overwrites the old one, and counts the move in between, all
// with release; a reader that found nothing looks whether the count or the array has changed since
// it began, and if so looks again. All its loads are acquires, so that check is not done early.
// Test: EngineHashTableTest.ReadersNeverMissWhatStays.
class EngineHashTable {
 public:
  using Word = BucketArray::Word;

  void Init(Arena* arena, Reclaimer* reclaimer, uint32_t stagger);
  // Gives all memory back at once, whatever the table holds: nobody reads it any more. Init makes
  // it usable again.
  void Release();

  // The two buckets of a fragment, found once, when their lines are fetched. It may be old when it
  // is used: the table notices that it has grown since.
  class FetchedBuckets {
   public:
    FetchedBuckets() = default;

   private:
    friend class EngineHashTable;
    uint64_t array_;
    Word* buckets_[2];
    uint32_t fragment_;
  };
  // Also brings both buckets on their way into the cache.
  FetchedBuckets Fetch(uint32_t fragment) const;

  // Offers every place stored under the fragment until accept(Place) returns true; that place, or
  // nowhere. Beside a writer a place may be offered more than once.
  template <typename Accept>
  Place Find(uint32_t fragment, Accept accept) const;

  // The same for the writer, for whom nothing moves meanwhile.
  template <typename Accept>
  Place FindAsWriter(uint32_t fragment, Accept accept) const;

  enum class Inserted : uint8_t {
    kAlone,     // the fragment has no other place
    kMaybeTwo,  // it may have others
    kNo,        // both buckets are full
  };
  // kNo brings the lines on their way that making room for it takes: a miss to be waited for by
  // Insert, which is better called a few entries later.
  Inserted TryInsert(const FetchedBuckets& fetched, Place place);
  // The same, whatever it takes.
  Inserted Insert(const FetchedBuckets& fetched, Place place);
  void Erase(const FetchedBuckets& fetched, Place place);                     // must be there
  void Replace(const FetchedBuckets& fetched, Place old_place, Place place);  // must be there

 private:
  static constexpr uint32_t kCells = BucketArray::kWords;
  static constexpr uint32_t kMostOfFourBuckets = 29;  // cells in use
  static constexpr uint32_t kMostOfFourWaiting = 30;  // the same while the table waits for room
  static constexpr uint32_t kWaitPart = 16;           // at a time by one entry for so many buckets
  // A table waits only once its entries were replaced so often since it grew: in an index that
  // still grows all tables would wait in turn, and an entry costs more time where a table is that
  // full.
  static constexpr uint32_t kSettledTurns = 4;
  static constexpr uint32_t kGrowthPart = 4;     // tables grow by one in so many
  static constexpr uint32_t kPassedBuckets = 8;  // count together what overflows from them

  BucketArray Array() const { return BucketArray(array_.load(std::memory_order_acquire)); }
  static uint32_t First(BucketArray array, uint32_t fragment) { return array.Home(fragment); }
  static uint32_t Second(BucketArray array, uint32_t fragment) {
    return array.Home((fragment * 0x9e37'79b1u) >> (32 - Cell::kFragmentBits));
  }
  static uint32_t Behind(BucketArray array, uint32_t bucket) {
    return bucket + 1 == array.size() ? 0 : bucket + 1;
  }
  static uint32_t PassedGranules(uint32_t buckets) {
    constexpr uint32_t kBucketsAGranule = kPassedBuckets * static_cast<uint32_t>(kGranuleBytes);
    return (buckets + kBucketsAGranule - 1) / kBucketsAGranule;
  }
  // How many entries went past buckets of these eight; 255: at least so many, for good.
  std::atomic<uint8_t>& Passed(BucketArray array, uint32_t bucket) const {
    return arena_->At<std::atomic<uint8_t>>(array.start() + array.size())[bucket / kPassedBuckets];
  }
  static void Pass(std::atomic<uint8_t>* passed, int change) {
    const uint8_t count = passed->load(std::memory_order_relaxed);
    if (count != 255) {
      passed->store(static_cast<uint8_t>(count + change), std::memory_order_release);
    }
  }
  // body(bucket's words) for the buckets where what overflowed from `bucket` may be, until it
  // returns true.
  template <typename Body>
  bool WalkOverflow(BucketArray array, uint32_t bucket, Body body) const;
  // body(place) for what a bucket has under the fragment, until it returns true.
  template <typename Body>
  static bool Scan(const Word* words, uint32_t fragment, Body body);
  // The fetched in that array.
  FetchedBuckets BucketsOf(BucketArray array, uint32_t fragment) const;
  // Returns the number of the bucket that the cell went into.
  uint32_t Put(BucketArray array, Cell cell);
  Inserted Judge(const BucketPair& pair, uint32_t fragment) const;
  // The bucket that a fragment's entry in `bucket` may move to.
  Word* OtherBucket(BucketArray array, uint32_t fragment, uint32_t bucket) const {
    const uint32_t first = First(array, fragment);
    return array.Bucket(*arena_, first == bucket ? Second(array, fragment) : first);
  }
  // Prefetches what MoveOne looks at for the fetched's first bucket.
  void FetchMoves(const FetchedBuckets& fetched) const;
  // When both of its buckets are full.
  Word* PutInFull(BucketArray array, Cell cell);
  // Makes room in a full bucket: one of its entries goes to its other bucket. Null: all those are
  // full as well.
  Word* MoveOne(BucketArray array, uint32_t bucket);
  Word* PutBehind(BucketArray array, Cell cell);
  uint32_t BucketOf(BucketArray array, const Word* word) const {
    return arena_->Of(word) - array.start();
  }
  Word* Locate(const FetchedBuckets& fetched, Cell cell) const;
  // Wherever it is in that array.
  Word* LocateIn(BucketArray array, Cell cell) const;
  // Returns the number of the bucket that it was in.
  uint32_t EraseIn(BucketArray array, Cell cell);
  // While the table grows, when it has grown since the fetched was found, or when the cell is not
  // in its two buckets.
  void EraseAnew(Cell cell);
  uint32_t NextBuckets() const;
  // At the limit: raises it a little if the table had better wait than grow.
  bool Wait();
  void BeginGrowth();
  bool StepGrowth();  // true: all is copied
  void FinishGrowth();
  // Whether a cell in that bucket of the old array is in the new one as well.
  bool Copied(uint32_t bucket) const { return growing_ != nullptr && bucket < growing_->copied; }
  // While the table grows: the cell went from one bucket of the old array to another.
  void FollowMove(Cell cell, uint32_t from, uint32_t to);

  std::atomic<uint64_t> array_{0};
  std::atomic<uint32_t> overflowed_{0};
  std::atomic<uint32_t> moves_{0};  // entries that went to their other bucket
  uint32_t size_ = 0;
  uint32_t limit_ = 0;   // entries; with more it grows, or waits; 0 while it grows
  uint32_t erased_ = 0;  // since it grew; stays at the highest number
  uint32_t stagger_ = 0;
  Arena* arena_ = nullptr;
  Reclaimer* reclaimer_ = nullptr;
  GrowingArray* growing_ = nullptr;  // null: the table does not grow
};

inline EngineHashTable::FetchedBuckets EngineHashTable::BucketsOf(BucketArray array,
                                                                  uint32_t fragment) const {
  FetchedBuckets fetched;
  fetched.array_ = array.bits();
  fetched.buckets_[0] = array.Bucket(*arena_, First(array, fragment));
  fetched.buckets_[1] = array.Bucket(*arena_, Second(array, fragment));
  fetched.fragment_ = fragment;
  return fetched;
}

inline EngineHashTable::FetchedBuckets EngineHashTable::Fetch(uint32_t fragment) const {
  const FetchedBuckets fetched = BucketsOf(Array(), fragment);
  __builtin_prefetch(fetched.buckets_[0]);
  __builtin_prefetch(fetched.buckets_[1]);
  return fetched;
}

template <typename Body>
bool EngineHashTable::Scan(const Word* words, uint32_t fragment, Body body) {
  for (uint32_t i = 0; i < kCells; ++i) {
    const Cell cell(words[i].load(std::memory_order_acquire));
    if (cell.fragment() == fragment && !cell.empty() && body(cell.place())) return true;
  }
  return false;
}

template <typename Body>
bool EngineHashTable::WalkOverflow(BucketArray array, uint32_t bucket, Body body) const {
  for (uint32_t walked = 1; walked < array.size(); ++walked) {
    if (Passed(array, bucket).load(std::memory_order_acquire) == 0) return false;
    bucket = Behind(array, bucket);
    if (body(array.Bucket(*arena_, bucket))) return true;
  }
  return false;
}

template <typename Accept>
Place EngineHashTable::Find(uint32_t fragment, Accept accept) const {
  Place found;
  const auto scan = [&](const Word* words) {
    return Scan(words, fragment, [&](Place place) {
      found = place;
      return accept(place);
    });
  };
  for (;;) {
    const uint32_t moves = moves_.load(std::memory_order_acquire);
    const BucketArray array = Array();
    const uint32_t first = First(array, fragment);
    const uint32_t second = Second(array, fragment);
    __builtin_prefetch(array.Bucket(*arena_, second));
    if (scan(array.Bucket(*arena_, first))) return found;
    if (second != first && scan(array.Bucket(*arena_, second))) return found;
    if (overflowed_.load(std::memory_order_acquire) != 0) {
      if (WalkOverflow(array, second, scan)) return found;
    }
    // Not there, unless it moved from a bucket not yet seen to one already seen, or the count is
    // that of another array by now.
    if (moves_.load(std::memory_order_acquire) == moves &&
        array_.load(std::memory_order_acquire) == array.bits()) {
      return Place{};
    }
  }
}

template <typename Accept>
Place EngineHashTable::FindAsWriter(uint32_t fragment, Accept accept) const {
  const BucketArray array = Array();
  const FetchedBuckets fetched = BucketsOf(array, fragment);
  uint32_t same = BucketPair(fetched.buckets_[0], fetched.buckets_[1]).WithFragment(fragment);
  for (; same != 0; same &= same - 1) {
    const uint32_t i = BucketPair::Lowest(same);
    const Place place =
        Cell(fetched.buckets_[i / kCells][i % kCells].load(std::memory_order_relaxed)).place();
    if (accept(place)) return place;
  }
  Place found;
  if (overflowed_.load(std::memory_order_relaxed) != 0) {
    WalkOverflow(array, Second(array, fragment), [&](const Word* words) {
      return Scan(words, fragment, [&](Place place) {
        if (accept(place)) found = place;
        return found.run != 0;
      });
    });
  }
  return found;
}

inline EngineHashTable::Inserted EngineHashTable::Judge(const BucketPair& pair,
                                                        uint32_t fragment) const {
  return pair.MayHave(fragment) || overflowed_.load(std::memory_order_relaxed) != 0
             ? Inserted::kMaybeTwo
             : Inserted::kAlone;
}

inline EngineHashTable::Inserted EngineHashTable::TryInsert(const FetchedBuckets& fetched,
                                                            Place place) {
  if (size_ >= limit_ || fetched.array_ != Array().bits()) [[unlikely]] {
    return Insert(fetched, place);
  }
  const BucketPair pair(fetched.buckets_[0], fetched.buckets_[1]);
  const uint32_t room = pair.Room();
  if (room == BucketPair::kNone) {
    FetchMoves(fetched);
    return Inserted::kNo;
  }
  const Inserted inserted = Judge(pair, fetched.fragment_);
  ++size_;
  fetched.buckets_[room / kCells][room % kCells].store(Cell(fetched.fragment_, place).bits(),
                                                       std::memory_order_release);
  return inserted;
}

inline EngineHashTable::Word* EngineHashTable::Locate(const FetchedBuckets& fetched,
                                                      Cell cell) const {
  const uint32_t at = BucketPair(fetched.buckets_[0], fetched.buckets_[1]).Find(cell);
  if (at == BucketPair::kNone) return nullptr;
  return &fetched.buckets_[at / kCells][at % kCells];
}

inline void EngineHashTable::Erase(const FetchedBuckets& fetched, Place place) {
  const Cell cell(fetched.fragment_, place);
  const bool today = fetched.array_ == Array().bits() && growing_ == nullptr;
  Word* word = today ? Locate(fetched, cell) : nullptr;
  if (word == nullptr) [[unlikely]] {
    EraseAnew(cell);
    return;
  }
  --size_;
  erased_ += erased_ != std::numeric_limits<uint32_t>::max();
  word->store(0, std::memory_order_release);
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_ENGINE_HASH_TABLE_H_
