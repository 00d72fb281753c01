#include "indexer/index/room.h"

#include <algorithm>

namespace kvroute {
namespace {

// What a block takes at most, its entry in a table and in the journal included.
constexpr uint64_t kBytesOfBlock = 48;
constexpr uint64_t kBytesOfWrite = 4'096;

}  // namespace

uint64_t Room::Missing(const StreamWriter& writer, size_t blocks) const {
  const uint64_t limit = Limit();
  uint64_t most = limit - limit / kGrowthPart;
  if (writer.holdings() > average_holdings_.load(std::memory_order_relaxed)) {
    most -= limit / kSharePart;
  }
  const uint64_t growth = blocks == 0 ? 0 : writer.GrowthBytes(blocks);
  const uint64_t wanted = UsedBytes() + blocks * kBytesOfBlock + kBytesOfWrite + growth;
  if (wanted <= most) return 0;
  // Where it is only for maps that grow, giving up about as many blocks as are to come will do.
  return std::min(wanted - most, UsedBytes() / kGrowthPart + blocks * kBytesOfBlock);
}

}  // namespace kvroute
