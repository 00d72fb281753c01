#ifndef KVROUTE_INDEXER_INDEX_TABLES_BUCKET_PAIR_H_
#define KVROUTE_INDEXER_INDEX_TABLES_BUCKET_PAIR_H_

#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "indexer/index/tables/bucket_array.h"

namespace kvroute {

// Two buckets of eight cells, looked at as one vector of sixteen and without branches: whether a
// cell is in use is as good as random, and a mispredicted branch costs more than the cache miss.
// Cells 0 to 7 are the first bucket's, 8 to 15 the second's. With SSE2, or one by one.
//
// Thread safety: for the table's writer, under its lock: the loads are not atomic, and nobody else
// stores.
class BucketPair {
 public:
  using Word = BucketArray::Word;
  static constexpr uint32_t kNone = 16;

  BucketPair(const Word* first, const Word* second);

  // The cell with these bits, or kNone.
  uint32_t Find(Cell cell) const;
  // A cell of the emptier bucket that is empty, or kNone.
  uint32_t Room() const;
  // The cells in use that have this fragment: bit 2 i for cell i.
  uint32_t WithFragment(uint32_t fragment) const;
  // The cell of the lowest bit, or kNone.
  static uint32_t Lowest(uint32_t bits) {
    return bits == 0 ? kNone : static_cast<uint32_t>(__builtin_ctz(bits)) / 2;
  }
  // False: no cell in use has this fragment.
  bool MayHave(uint32_t fragment) const;

 private:
  static constexpr uint32_t kLowHalves = 0x5555'5555;

#ifdef __SSE2__
  // Per 32-bit half of the sixteen cells, in order: whether compare(four halves) says all ones.
  template <typename Compare>
  uint32_t Halves(Compare compare) const {
    uint32_t bits = 0;
    for (int bucket = 1; bucket >= 0; --bucket) {
      const __m128i* at = words_[bucket];
      const __m128i low = _mm_packs_epi32(compare(at[0]), compare(at[1]));
      const __m128i high = _mm_packs_epi32(compare(at[2]), compare(at[3]));
      bits = bits << 16 | static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
    }
    return bits;
  }
  const __m128i* words_[2];
#else
  template <typename Test>
  uint32_t BitsOf(Test test) const {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 2 * BucketArray::kWords; ++i) {
      const Word& word = words_[i / BucketArray::kWords][i % BucketArray::kWords];
      bits |= uint32_t{test(Cell(word.load(std::memory_order_relaxed)))} << (2 * i);
    }
    return bits;
  }
  const Word* words_[2];
#endif
  uint32_t Empty() const;
};

#ifdef __SSE2__

inline BucketPair::BucketPair(const Word* first, const Word* second)
    : words_{reinterpret_cast<const __m128i*>(first), reinterpret_cast<const __m128i*>(second)} {}

inline uint32_t BucketPair::Find(Cell cell) const {
  const __m128i wanted = _mm_set1_epi64x(static_cast<int64_t>(cell.bits()));
  const uint32_t equal = Halves([&](__m128i two) { return _mm_cmpeq_epi32(two, wanted); });
  return Lowest(equal & (equal >> 1) & kLowHalves);
}

// A cell in use has a run, which is its low half and never 0.
inline uint32_t BucketPair::Empty() const {
  const __m128i zero = _mm_setzero_si128();
  return Halves([&](__m128i two) { return _mm_cmpeq_epi32(two, zero); }) & kLowHalves;
}

inline uint32_t BucketPair::WithFragment(uint32_t fragment) const {
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(fragment));
  const uint32_t equal = Halves([&](__m128i two) {
    return _mm_cmpeq_epi32(_mm_srli_epi32(two, 32 - Cell::kFragmentBits), wanted);
  });
  return (equal >> 1) & kLowHalves & ~Empty();
}

inline bool BucketPair::MayHave(uint32_t fragment) const {
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(fragment));
  __m128i any = _mm_setzero_si128();
  for (const __m128i* at : words_) {
    for (int i = 0; i < 4; ++i) {
      any = _mm_or_si128(any,
                         _mm_cmpeq_epi32(_mm_srli_epi32(at[i], 32 - Cell::kFragmentBits), wanted));
    }
  }
  return (_mm_movemask_ps(_mm_castsi128_ps(any)) & 0b1010) != 0;
}

#else

inline BucketPair::BucketPair(const Word* first, const Word* second) : words_{first, second} {}

inline uint32_t BucketPair::Find(Cell cell) const {
  return Lowest(BitsOf([&](Cell other) { return other.bits() == cell.bits(); }));
}

inline uint32_t BucketPair::Empty() const {
  return BitsOf([](Cell cell) { return cell.empty(); });
}

inline uint32_t BucketPair::WithFragment(uint32_t fragment) const {
  return BitsOf([&](Cell cell) { return !cell.empty() && cell.fragment() == fragment; });
}

inline bool BucketPair::MayHave(uint32_t fragment) const { return WithFragment(fragment) != 0; }

#endif

inline uint32_t BucketPair::Room() const {
  const uint32_t empty = Empty();
  // How many in each half, in parallel.
  uint32_t count = (empty & 0x3333'3333) + ((empty >> 2) & 0x3333'3333);
  count = (count + (count >> 4)) & 0x0f0f'0f0f;
  count += count >> 8;
  const uint32_t second = (count >> 16 & 0xff) > (count & 0xff) ? 1 : 0;
  const uint32_t bits = empty >> (16 * second) & 0xffff;
  return bits == 0 ? kNone : Lowest(bits) + 8 * second;
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_BUCKET_PAIR_H_
