#ifndef KVROUTE_INDEXER_INDEX_TABLES_NAME_TABLE_H_
#define KVROUTE_INDEXER_INDEX_TABLES_NAME_TABLE_H_

#include <atomic>
#include <cstdint>

#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/epoch.h"
#include "indexer/index/runs/place_slot.h"
#include "indexer/index/tables/bucket_pair.h"

namespace kvroute {

// One shard of the multimap from engine hash to place. There is a name for every block, so this
// table is what a block costs besides its hashes, in bytes and in cache misses: buckets of eight
// slots, and two buckets for a key, of which it goes into the emptier one. Both lines are known
// from the start and are fetched together, ahead of their turn; and two choices keep buckets so
// even that a table fills to 29/32: when both are full, one of their entries goes to its other one.
//
// What finds no room even so (thousands of streams with one engine hash, say) overflows into the
// buckets behind its second, and a byte for every eight buckets counts who passed. While nothing
// has overflowed, which is nearly always so with sound hashes, nobody looks there.
//
// Tables grow by a quarter, each shard's at sizes of its own (`phase`, in 1/256 of a step): were
// all to grow at once, the arrays they leave would be a hole as large as all names, and all names
// would at times take as many bytes as they do at worst. By smaller steps they would be fuller, but
// leave more behind than fits into what comes next (measured: an eighth costs 2 bytes a block more
// in all). 8 bytes / load of 0.72 to 0.91: 9.9 bytes an entry on average.
//
// Where names come and go, a shard has by chance a percent more than its share now and then. A
// table whose names were replaced several times since it grew is at its limit by such a chance: if
// the arena would have to grow for it, it fills to 30/32 instead. (The array that it would leave is
// cut up by runs, and no table would fit into it again.)
//
// Thread safety: Find and Prefetch by any thread under an EpochPin, without a lock; the rest by one
// writer at a time.
class NameTable {
 public:
  using Word = BucketArray::Word;

  void Init(Arena* arena, Reclaimer* reclaimer, uint32_t phase);
  // Gives all memory back at once, whatever the table holds: nobody reads it any more. Init makes
  // it usable again.
  void Release();

  // Where names of one fragment are: found once, when their lines are fetched. A table that grew
  // meanwhile finds out for itself.
  class Spot {
   public:
    Spot() = default;

   private:
    friend class NameTable;
    uint64_t array_;
    Word* buckets_[2];
    uint32_t fragment_;
  };
  // Also brings both buckets on their way into the cache.
  Spot Fetch(uint32_t fragment) const;

  // Offers every place stored under the fragment until accept(Place) returns true; that place, or
  // nowhere. Beside a writer a place may be offered more than once.
  template <typename Accept>
  Place Find(uint32_t fragment, Accept accept) const;

  // The same by the writer, which need not look out for moves.
  template <typename Accept>
  Place FindAsWriter(uint32_t fragment, Accept accept) const;

  enum class Inserted : uint8_t {
    kAlone,     // the fragment has no other place
    kMaybeTwo,  // it may have others
    kNo,        // both buckets are full
  };
  // kNo brings the lines on their way that making room for it takes: a miss to be waited for by
  // Insert, which is better called a few names later.
  Inserted TryInsert(const Spot& spot, Place place);
  // The same, whatever it takes.
  Inserted Insert(const Spot& spot, Place place);
  void Erase(const Spot& spot, Place place);                     // must be there
  void Replace(const Spot& spot, Place old_place, Place place);  // must be there

 private:
  static constexpr uint32_t kSlots = BucketArray::kWords;
  static constexpr uint32_t kMostOfFourBuckets = 29;  // slots in use
  static constexpr uint32_t kMostOfFourWaiting = 30;  // the same while the table waits for room
  static constexpr uint32_t kWaitPart = 16;           // for one name in so many buckets
  // Only once its names have been replaced so often since it grew: in an index that still grows
  // all tables would wait in turn, and a name costs more where it is that full.
  static constexpr uint32_t kSettledTurns = 4;
  static constexpr uint32_t kGrowthPart = 4;     // tables grow by one in so many
  static constexpr uint32_t kPassedBuckets = 8;  // count together what overflows from them

  BucketArray Array() const { return BucketArray(array_.load(std::memory_order_acquire)); }
  static uint32_t First(BucketArray array, uint32_t fragment) { return array.Home(fragment); }
  static uint32_t Second(BucketArray array, uint32_t fragment) {
    return array.Home((fragment * 0x9e37'79b1u) >> (32 - PlaceSlot::kFragmentBits));
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
  // The spot in today's array.
  Spot SpotOf(BucketArray array, uint32_t fragment) const;
  void Put(const Spot& spot, PlaceSlot slot);
  Inserted Judge(const BucketPair& pair, uint32_t fragment) const;
  // The bucket that a fragment's entry in `bucket` may move to.
  Word* OtherBucket(BucketArray array, uint32_t fragment, uint32_t bucket) const {
    const uint32_t first = First(array, fragment);
    return array.Bucket(*arena_, first == bucket ? Second(array, fragment) : first);
  }
  // Prefetches what MoveOne looks at for the spot's first bucket.
  void FetchMoves(const Spot& spot) const;
  // When both of its buckets are full.
  void PutInFull(BucketArray array, PlaceSlot slot);
  // Makes room in a full bucket: one of its entries goes to its other bucket. Null: all those are
  // full as well.
  Word* MoveOne(BucketArray array, uint32_t bucket);
  void PutBehind(BucketArray array, PlaceSlot slot);
  Word* Locate(const Spot& spot, PlaceSlot slot) const;
  // Wherever it is.
  Word* LocateAnew(PlaceSlot slot) const;
  // When the table has grown since the spot was found, or the slot is not in its two buckets.
  void EraseAnew(PlaceSlot slot);
  uint32_t NextBuckets() const;
  // At the limit: raises it a little if the table had better wait than grow.
  bool Wait();
  void Grow();

  std::atomic<uint64_t> array_{0};
  std::atomic<uint32_t> overflowed_{0};
  std::atomic<uint32_t> moves_{0};  // entries that went to their other bucket
  uint32_t size_ = 0;
  uint32_t limit_ = 0;   // names; more and it grows, or waits
  uint32_t erased_ = 0;  // since it grew
  uint32_t phase_ = 0;
  Arena* arena_ = nullptr;
  Reclaimer* reclaimer_ = nullptr;
};

inline NameTable::Spot NameTable::SpotOf(BucketArray array, uint32_t fragment) const {
  Spot spot;
  spot.array_ = array.bits();
  spot.buckets_[0] = array.Bucket(*arena_, First(array, fragment));
  spot.buckets_[1] = array.Bucket(*arena_, Second(array, fragment));
  spot.fragment_ = fragment;
  return spot;
}

inline NameTable::Spot NameTable::Fetch(uint32_t fragment) const {
  const Spot spot = SpotOf(Array(), fragment);
  __builtin_prefetch(spot.buckets_[0]);
  __builtin_prefetch(spot.buckets_[1]);
  return spot;
}

template <typename Body>
bool NameTable::Scan(const Word* words, uint32_t fragment, Body body) {
  for (uint32_t i = 0; i < kSlots; ++i) {
    const PlaceSlot slot(words[i].load(std::memory_order_acquire));
    if (slot.fragment() == fragment && !slot.empty() && body(slot.place())) return true;
  }
  return false;
}

template <typename Body>
bool NameTable::WalkOverflow(BucketArray array, uint32_t bucket, Body body) const {
  for (uint32_t walked = 1; walked < array.size(); ++walked) {
    if (Passed(array, bucket).load(std::memory_order_acquire) == 0) return false;
    bucket = Behind(array, bucket);
    if (body(array.Bucket(*arena_, bucket))) return true;
  }
  return false;
}

template <typename Accept>
Place NameTable::Find(uint32_t fragment, Accept accept) const {
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
Place NameTable::FindAsWriter(uint32_t fragment, Accept accept) const {
  const BucketArray array = Array();
  const Spot spot = SpotOf(array, fragment);
  uint32_t same = BucketPair(spot.buckets_[0], spot.buckets_[1]).WithFragment(fragment);
  for (; same != 0; same &= same - 1) {
    const uint32_t i = BucketPair::Lowest(same);
    const Place place =
        PlaceSlot(spot.buckets_[i / kSlots][i % kSlots].load(std::memory_order_relaxed)).place();
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

inline void NameTable::Put(const Spot& spot, PlaceSlot slot) {
  const uint32_t room = BucketPair(spot.buckets_[0], spot.buckets_[1]).Room();
  if (room == BucketPair::kNone) {
    PutInFull(BucketArray(spot.array_), slot);
  } else {
    spot.buckets_[room / kSlots][room % kSlots].store(slot.bits(), std::memory_order_release);
  }
}

inline NameTable::Inserted NameTable::Judge(const BucketPair& pair, uint32_t fragment) const {
  return pair.MayHave(fragment) || overflowed_.load(std::memory_order_relaxed) != 0
             ? Inserted::kMaybeTwo
             : Inserted::kAlone;
}

inline NameTable::Inserted NameTable::TryInsert(const Spot& spot, Place place) {
  if (size_ >= limit_ || spot.array_ != Array().bits()) [[unlikely]] {
    return Insert(spot, place);
  }
  const BucketPair pair(spot.buckets_[0], spot.buckets_[1]);
  const uint32_t room = pair.Room();
  if (room == BucketPair::kNone) {
    FetchMoves(spot);
    return Inserted::kNo;
  }
  const Inserted inserted = Judge(pair, spot.fragment_);
  ++size_;
  spot.buckets_[room / kSlots][room % kSlots].store(PlaceSlot(spot.fragment_, place).bits(),
                                                    std::memory_order_release);
  return inserted;
}

inline NameTable::Word* NameTable::Locate(const Spot& spot, PlaceSlot slot) const {
  const uint32_t at = BucketPair(spot.buckets_[0], spot.buckets_[1]).Find(slot);
  if (at == BucketPair::kNone) return nullptr;
  return &spot.buckets_[at / kSlots][at % kSlots];
}

inline void NameTable::Erase(const Spot& spot, Place place) {
  const PlaceSlot slot(spot.fragment_, place);
  Word* word = spot.array_ == Array().bits() ? Locate(spot, slot) : nullptr;
  if (word == nullptr) [[unlikely]] {
    EraseAnew(slot);
    return;
  }
  --size_;
  ++erased_;
  word->store(0, std::memory_order_release);
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_NAME_TABLE_H_
