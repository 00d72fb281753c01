#ifndef KVROUTE_INDEXER_INDEX_STREAM_ID_H_
#define KVROUTE_INDEXER_INDEX_STREAM_ID_H_

#include <cstdint>

#include "indexer/base/strong_int.h"

namespace kvroute {

// One (worker, rank)'s membership in the index. Never used twice in a process, so an answer that
// refers to a stream which has been closed meanwhile can only be unknown to its reader, never
// mistaken for another worker. 64 bits: of 32, streams that come and go every second would use up
// all in days (262,144 for each of 16,384 places in the index).
using StreamId = StrongInt<struct StreamIdTag, uint64_t>;

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_STREAM_ID_H_
