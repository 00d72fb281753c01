#ifndef KVROUTE_INDEXER_INDEX_RUNS_PLACE_H_
#define KVROUTE_INDEXER_INDEX_RUNS_PLACE_H_

#include <cstdint>

#include "indexer/index/memory/arena.h"

namespace kvroute {

// A stream's number inside the index: the position of its bit in a set of holders. Small, dense and
// used again, unlike a StreamId; a stream changes its slot when it is cleared.
using Slot = uint16_t;
inline constexpr uint32_t kMaxSlots = 65'535;

inline constexpr uint32_t kMaxRunBlocks = 512;

// Where a block is stored: in which run, and at which position in it. At most one place holds a
// given prefix hash.
struct Place {
  friend bool operator==(const Place&, const Place&) = default;
  Granule run = 0;  // 0: nowhere
  uint16_t offset = 0;
};

// Blocks [begin, end) of a run.
struct BlockRange {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool empty() const { return begin == end; }
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_PLACE_H_
