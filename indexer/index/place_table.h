#ifndef KVROUTE_INDEXER_INDEX_PLACE_TABLE_H_
#define KVROUTE_INDEXER_INDEX_PLACE_TABLE_H_

#include <atomic>
#include <cstdint>

#include "indexer/index/arena.h"
#include "indexer/index/epoch.h"
#include "indexer/index/run.h"

namespace kvroute {

// The hash that places a key in a table: its top 8 bits choose the shard, the 23 below them the
// bucket.
class TableHash {
 public:
  // A multiply-fold with secret odd factors: a key's place cannot be foreseen from outside.
  TableHash(uint64_t key, uint64_t secret) {
    const auto product =
        static_cast<unsigned __int128>(key ^ secret) * ((secret * 0x9e37'79b9'7f4a'7c15) | 1);
    mixed_ = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  uint32_t shard() const { return static_cast<uint32_t>(mixed_ >> 56); }
  uint32_t fragment() const { return static_cast<uint32_t>(mixed_ >> 33) & 0x7f'ffff; }

 private:
  uint64_t mixed_;
};
inline constexpr uint32_t kShards = 256;

// One shard of a multimap from hash fragment to place: 64-byte buckets of eight slots of 8 bytes,
// linear probing over buckets, and a byte a bucket that counts the entries which had to pass it, so
// that a lookup knows when to stop and a removal leaves nothing behind. A slot is fragment, offset
// and run; keys are not stored: who looks up verifies against the run. The fragment scaled to the
// number of buckets is the home bucket, so growth (by an eighth) reads only slots.
//
// 8 bytes / load of 0.61 to 0.69 + 1/8 of a byte a slot: 11.8 to 13.3 bytes an entry.
//
// Thread safety: Find and Prefetch by any thread under an EpochPin, without a lock; the rest by one
// writer at a time.
class PlaceTable {
 public:
  void Init(Arena* arena, Reclaimer* reclaimer);

  void Prefetch(uint32_t fragment) const;
  // Offers every place stored under the fragment until accept(Place) returns true; that place, or
  // nowhere.
  template <typename Accept>
  Place Find(uint32_t fragment, Accept accept) const;

  // see(Place) is called for every place already stored under the fragment.
  template <typename See>
  void Insert(uint32_t fragment, Place place, See see);
  void Erase(uint32_t fragment, Place place);                     // must be there
  void Replace(uint32_t fragment, Place old_place, Place place);  // must be there

  // For walks by the writer, who may erase meanwhile.
  uint32_t Buckets() const { return buckets_; }
  template <typename Body>
  void ForEachIn(uint32_t bucket, Body body) const;
  uint32_t size() const { return size_; }

 private:
  static constexpr uint32_t kSlots = 8;
  // Grows above 5.5 of 8 slots. What was displaced stays so until it is removed; at 7 of 8 nearly
  // every bucket comes to have been passed, and a lookup of what is not there walks on and on
  // (measured: inserts 10 times as dear).
  static constexpr uint64_t kMostHalfSlots = 11;
  static constexpr int kFragmentBits = 23;

  static uint64_t Encode(uint32_t fragment, Place place) {
    return uint64_t{fragment} << 41 | uint64_t{place.offset} << 32 | place.run;
  }
  static Place Decode(uint64_t slot) {
    return Place{static_cast<Granule>(slot), static_cast<uint16_t>((slot >> 32) & 0x1ff)};
  }
  static uint32_t Home(uint32_t fragment, uint32_t buckets) {
    return static_cast<uint32_t>((uint64_t{fragment} * buckets) >> kFragmentBits);
  }
  // Where a key that found its home full goes on: a few places that share nothing with its
  // neighbours', so that full buckets do not grow into long stretches, then one by one.
  static uint32_t Next(uint32_t fragment, uint32_t buckets, uint32_t probe, uint32_t bucket) {
    if (probe < 8) return Home((fragment * 0x9e37'79b1u * (2 * probe + 1)) >> 9, buckets);
    return bucket + 1 == buckets ? 0 : bucket + 1;
  }
  static uint32_t MostProbes(uint32_t buckets) { return buckets + 8; }
  static std::atomic<uint64_t>* Bucket(std::byte* table, uint32_t bucket) {
    return reinterpret_cast<std::atomic<uint64_t>*>(table + (size_t{bucket} + 1) * kGranuleBytes);
  }
  static std::atomic<uint8_t>& Passed(std::byte* table, uint32_t buckets, uint32_t bucket) {
    return reinterpret_cast<std::atomic<uint8_t>*>(table +
                                                   (size_t{buckets} + 1) * kGranuleBytes)[bucket];
  }
  static uint32_t BucketsOf(std::byte* table) {
    return reinterpret_cast<std::atomic<uint32_t>*>(table)->load(std::memory_order_relaxed);
  }
  static uint32_t GranulesOf(uint32_t buckets) {
    return 1 + buckets +
           (buckets + static_cast<uint32_t>(kGranuleBytes) - 1) /
               static_cast<uint32_t>(kGranuleBytes);
  }
  std::byte* NewTable(uint32_t buckets) const;
  void Grow();
  static void Put(std::byte* table, uint32_t buckets, uint64_t slot);
  std::atomic<uint64_t>* Locate(uint64_t slot, uint32_t* probes) const;

  std::atomic<std::byte*> table_{nullptr};
  Arena* arena_ = nullptr;
  Reclaimer* reclaimer_ = nullptr;
  uint32_t buckets_ = 0;
  uint32_t size_ = 0;
};

inline void PlaceTable::Prefetch(uint32_t fragment) const {
  std::byte* table = table_.load(std::memory_order_acquire);
  __builtin_prefetch(Bucket(table, Home(fragment, BucketsOf(table))));
}

template <typename Accept>
Place PlaceTable::Find(uint32_t fragment, Accept accept) const {
  std::byte* table = table_.load(std::memory_order_acquire);
  const uint32_t buckets = BucketsOf(table);
  uint32_t bucket = Home(fragment, buckets);
  for (uint32_t probe = 0; probe < MostProbes(buckets);) {
    const std::atomic<uint64_t>* slots = Bucket(table, bucket);
    for (uint32_t i = 0; i < kSlots; ++i) {
      const uint64_t slot = slots[i].load(std::memory_order_acquire);
      if (slot >> 41 != fragment || slot == 0) continue;
      const Place place = Decode(slot);
      if (accept(place)) return place;
    }
    if (Passed(table, buckets, bucket).load(std::memory_order_acquire) == 0) break;
    bucket = Next(fragment, buckets, ++probe, bucket);
  }
  return Place{};
}

template <typename See>
void PlaceTable::Insert(uint32_t fragment, Place place, See see) {
  if ((size_ + 1) * 2ull > buckets_ * kMostHalfSlots) Grow();
  ++size_;
  std::byte* table = table_.load(std::memory_order_relaxed);
  std::atomic<uint64_t>* free = nullptr;
  uint32_t bucket = Home(fragment, buckets_);
  for (uint32_t probe = 0; probe < MostProbes(buckets_);) {
    std::atomic<uint64_t>* slots = Bucket(table, bucket);
    for (uint32_t i = 0; i < kSlots; ++i) {
      const uint64_t slot = slots[i].load(std::memory_order_relaxed);
      if (slot == 0) {
        if (free == nullptr) free = &slots[i];
      } else if (slot >> 41 == fragment) {
        see(Decode(slot));
      }
    }
    std::atomic<uint8_t>& passed = Passed(table, buckets_, bucket);
    const uint8_t count = passed.load(std::memory_order_relaxed);
    if (free != nullptr) {
      if (count == 0) break;
    } else if (count != 255) {  // saturated counts stay
      passed.store(static_cast<uint8_t>(count + 1), std::memory_order_release);
    }
    bucket = Next(fragment, buckets_, ++probe, bucket);
  }
  free->store(Encode(fragment, place), std::memory_order_release);
}

template <typename Body>
void PlaceTable::ForEachIn(uint32_t bucket, Body body) const {
  std::atomic<uint64_t>* slots = Bucket(table_.load(std::memory_order_relaxed), bucket);
  for (uint32_t i = 0; i < kSlots; ++i) {
    const uint64_t slot = slots[i].load(std::memory_order_relaxed);
    if (slot != 0) body(Decode(slot));
  }
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_PLACE_TABLE_H_
