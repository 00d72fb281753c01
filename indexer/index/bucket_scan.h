#ifndef KVROUTE_INDEXER_INDEX_BUCKET_SCAN_H_
#define KVROUTE_INDEXER_INDEX_BUCKET_SCAN_H_

#include <array>
#include <atomic>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "indexer/index/place_slot.h"

namespace kvroute {

// What a bucket of eight slots holds, as bits 0 to 7: without branches, because whether a slot is
// in use is as good as random and eight mispredicted branches cost more than the cache miss.
//
// Thread safety: for the table's writer, under its lock: the loads are not atomic, and nobody else
// stores.
class BucketScan {
 public:
  explicit BucketScan(const BucketArray::Word* words);

  uint32_t Empty() const { return empty_; }
  uint32_t WithFragment(uint32_t fragment) const;
  // The one slot with these bits.
  uint32_t Equal(PlaceSlot slot) const;

  static uint32_t Count(uint32_t bits) { return kCounts[bits]; }
  static uint32_t Lowest(uint32_t bits) { return static_cast<uint32_t>(__builtin_ctz(bits)); }

 private:
  static constexpr std::array<uint8_t, 256> kCounts = [] {
    std::array<uint8_t, 256> counts{};
    for (uint32_t bits = 1; bits < 256; ++bits) {
      counts[bits] = static_cast<uint8_t>(counts[bits / 2] + bits % 2);
    }
    return counts;
  }();

#ifdef __SSE2__
  // Two vectors of four 32-bit results that are all ones or zero, as eight bits.
  static uint32_t Bits(__m128i low, __m128i high) {
    const __m128i words = _mm_packs_epi32(low, high);
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128())));
  }
  __m128i run_[2];    // of four slots each: the low half, 0 only in an empty slot
  __m128i upper_[2];  // the high half: fragment and offset
#else
  const BucketArray::Word* words_;
  template <typename Test>
  uint32_t BitsOf(Test test) const {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < BucketArray::kWords; ++i) {
      bits |= uint32_t{test(PlaceSlot(words_[i].load(std::memory_order_relaxed)))} << i;
    }
    return bits;
  }
#endif
  uint32_t empty_ = 0;
};

#ifdef __SSE2__

inline BucketScan::BucketScan(const BucketArray::Word* words) {
  const auto* floats = reinterpret_cast<const float*>(words);
  for (size_t half = 0; half < 2; ++half) {
    const __m128 first = _mm_load_ps(floats + half * 8);
    const __m128 second = _mm_load_ps(floats + half * 8 + 4);
    run_[half] = _mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(2, 0, 2, 0)));
    upper_[half] = _mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1)));
  }
  const __m128i zero = _mm_setzero_si128();
  empty_ = Bits(_mm_cmpeq_epi32(run_[0], zero), _mm_cmpeq_epi32(run_[1], zero));
}

inline uint32_t BucketScan::WithFragment(uint32_t fragment) const {
  constexpr int kOffsetBits = 32 - PlaceSlot::kFragmentBits;
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(fragment));
  return Bits(_mm_cmpeq_epi32(_mm_srli_epi32(upper_[0], kOffsetBits), wanted),
              _mm_cmpeq_epi32(_mm_srli_epi32(upper_[1], kOffsetBits), wanted)) &
         ~empty_;
}

inline uint32_t BucketScan::Equal(PlaceSlot slot) const {
  const __m128i run = _mm_set1_epi32(static_cast<int>(static_cast<uint32_t>(slot.bits())));
  const __m128i upper = _mm_set1_epi32(static_cast<int>(static_cast<uint32_t>(slot.bits() >> 32)));
  return Bits(_mm_and_si128(_mm_cmpeq_epi32(run_[0], run), _mm_cmpeq_epi32(upper_[0], upper)),
              _mm_and_si128(_mm_cmpeq_epi32(run_[1], run), _mm_cmpeq_epi32(upper_[1], upper)));
}

#else

inline BucketScan::BucketScan(const BucketArray::Word* words) : words_(words) {
  empty_ = BitsOf([](PlaceSlot slot) { return slot.empty(); });
}

inline uint32_t BucketScan::WithFragment(uint32_t fragment) const {
  return BitsOf([&](PlaceSlot slot) { return !slot.empty() && slot.fragment() == fragment; });
}

inline uint32_t BucketScan::Equal(PlaceSlot slot) const {
  return BitsOf([&](PlaceSlot other) { return other.bits() == slot.bits(); });
}

#endif

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_BUCKET_SCAN_H_
