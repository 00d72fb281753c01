#ifndef KVROUTE_INDEXER_INDEX_TABLES_GROWING_ARRAY_H_
#define KVROUTE_INDEXER_INDEX_TABLES_GROWING_ARRAY_H_

#include <algorithm>
#include <cstdint>
#include <new>

#include "indexer/index/memory/arena.h"
#include "indexer/index/tables/bucket_array.h"

namespace kvroute {

// The array that a table will have when it has grown, and how far that is. A table of a million
// entries takes ten milliseconds to grow; so it does so a step for each insertion: first the new
// array is cleared, then the old one is copied, bucket by bucket.
//
// Invariant: in the new array is what stands in the old one's buckets [0, copied), and nothing
// else. So whoever enters, erases or changes an entry in such a bucket, or moves one into or out of
// it, does the same to the new array. The old array has everything until it is replaced.
// Test: EngineHashTableTest.FindsWhatIsThereThroughGrowthAndChurn, HeadTableTest.
//
// A step is a microsecond or two. Copying ends within an eighth as many insertions as there are
// buckets, in which a table becomes 2 % fuller.
//
// Ownership: while a table grows in steps this lies in the arena beside its arrays.
struct GrowingArray {
  static constexpr uint32_t kClearedAStep = 256;  // granules
  static constexpr uint32_t kCopiedAStep = 8;     // buckets
  static constexpr uint32_t kWaitPart = 64;       // of the granules: steps that clear nothing

  GrowingArray(BucketArray new_array, uint32_t all_granules)
      : array(new_array), granules(all_granules) {}

  static GrowingArray* New(Arena* arena, const GrowingArray& begun) {
    return new (arena->At<void>(arena->Allocate(kOwnGranules))) GrowingArray(begun);
  }
  static void Delete(Arena* arena, const GrowingArray* growing) {
    arena->Free(arena->Of(growing), kOwnGranules);
  }

  // False: all is clear. Where memory is taken from the system ahead (ArenaAhead) this lets that go
  // first, for some steps.
  bool ClearSome(const Arena& arena) {
    if (cleared == granules) return false;
    const uint32_t end = std::min(granules, cleared + kClearedAStep);
    if (waited < granules / kWaitPart && !arena.IsTaken(array.start() + end)) {
      ++waited;
      return true;
    }
    array.Clear(arena, cleared, end);
    cleared = end;
    return true;
  }

  const BucketArray array;
  const uint32_t granules;  // of the array and what is behind its buckets
  uint32_t cleared = 0;     // granules
  uint32_t copied = 0;      // buckets of the old array
  uint32_t overflowed = 0;  // entries of an engine hash table
  uint32_t waited = 0;      // steps

 private:
  static constexpr uint32_t kOwnGranules = 1;
};
static_assert(sizeof(GrowingArray) <= kGranuleBytes);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_TABLES_GROWING_ARRAY_H_
