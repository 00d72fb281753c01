#ifndef KVROUTE_INDEXER_INDEX_TABLES_BUCKET_ARRAY_H_
#define KVROUTE_INDEXER_INDEX_TABLES_BUCKET_ARRAY_H_

#include <atomic>
#include <cstdint>

#include "indexer/index/memory/arena.h"
#include "indexer/index/runs/place.h"

namespace kvroute {

inline constexpr uint32_t kShards = 256;

// The hash that places a key in a table: its top 8 bits choose the shard, the 23 below them (the
// fragment) the bucket.
class TableHash {
 public:
  TableHash() = default;
  explicit TableHash(uint64_t mixed) : mixed_(mixed) {}
  uint32_t shard() const { return static_cast<uint32_t>(mixed_ >> 56); }
  uint32_t fragment() const { return static_cast<uint32_t>(mixed_ >> 33) & 0x7f'ffff; }

 private:
  uint64_t mixed_ = 0;
};

// A multiply-fold with secret odd factors: a key's place cannot be foreseen from outside.
class TableHasher {
 public:
  explicit TableHasher(uint64_t secret)
      : secret_(secret), factor_((secret * 0x9e37'79b9'7f4a'7c15) | 1) {}
  TableHash operator()(uint64_t key) const {
    const auto product = static_cast<unsigned __int128>(key ^ secret_) * factor_;
    return TableHash(static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64));
  }

 private:
  const uint64_t secret_;
  const uint64_t factor_;
};

// What stands in a cell of a table, 8 bytes: 23 bits of fragment, 9 of offset, 32 of run. 0: empty.
// The key itself is not there: who looks up compares with the run.
class Cell {
 public:
  static constexpr int kFragmentBits = 23;

  constexpr explicit Cell(uint64_t bits) : bits_(bits) {}
  constexpr Cell(uint32_t fragment, Place place)
      : bits_(uint64_t{fragment} << 41 | uint64_t{place.offset} << 32 | place.run) {}
  constexpr uint64_t bits() const { return bits_; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr uint32_t fragment() const { return static_cast<uint32_t>(bits_ >> 41); }
  constexpr Place place() const {
    return Place{static_cast<Granule>(bits_), static_cast<uint16_t>((bits_ >> 32) & 0x1ff)};
  }

 private:
  uint64_t bits_;
};

// An array of 64-byte buckets in the arena. One word says where it is and how long, so that a
// reader takes both at once and nothing stands between the table and the bucket.
class BucketArray {
 public:
  static constexpr uint32_t kWords = kGranuleBytes / sizeof(uint64_t);
  using Word = std::atomic<uint64_t>;

  constexpr explicit BucketArray(uint64_t bits) : bits_(bits) {}
  // Not cleared; behind the buckets `extra` granules of the caller's.
  static BucketArray New(Arena* arena, uint32_t buckets, uint32_t extra) {
    return BucketArray(uint64_t{arena->Allocate(buckets + extra)} << 32 | buckets);
  }
  // Makes granules [begin, end) zero.
  void Clear(const Arena& arena, uint32_t begin, uint32_t end) const {
    Word* words = arena.At<Word>(start());
    for (size_t i = size_t{begin} * kWords; i < size_t{end} * kWords; ++i) {
      words[i].store(0, std::memory_order_relaxed);
    }
  }
  constexpr uint64_t bits() const { return bits_; }
  constexpr Granule start() const { return static_cast<Granule>(bits_ >> 32); }
  constexpr uint32_t size() const { return static_cast<uint32_t>(bits_); }
  Word* Bucket(const Arena& arena, uint32_t bucket) const {
    return arena.At<Word>(start() + bucket);
  }
  // The fragment scaled to the number of buckets: growth needs nothing but the cells.
  constexpr uint32_t Home(uint32_t fragment) const {
    return static_cast<uint32_t>((uint64_t{fragment} * size()) >> Cell::kFragmentBits);
  }

 private:
  uint64_t bits_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_BUCKET_ARRAY_H_
