#ifndef KVROUTE_INDEXER_INDEX_MATCH_RESULT_H_
#define KVROUTE_INDEXER_INDEX_MATCH_RESULT_H_

#include <array>
#include <cstdint>
#include <vector>

#include "indexer/event/event.h"
#include "indexer/index/stream_id.h"

namespace kvroute {

struct StreamMatch {
  friend bool operator==(const StreamMatch&, const StreamMatch&) = default;

  StreamId stream;
  // Leading blocks of the query that the stream holds without a hole, in whichever tier.
  uint32_t blocks = 0;
  // Those blocks by the fastest tier (gpu, cpu, disk, external) that has a copy; sums to `blocks`.
  std::array<uint32_t, kTierCount> blocks_by_tier{};
};

// The matches of one query; reused between queries so that steady state allocates nothing. Every
// stream with at least one block appears exactly once, in no particular order.
struct MatchResult {
  std::vector<StreamMatch> matches;
  void Clear() { matches.clear(); }
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MATCH_RESULT_H_
