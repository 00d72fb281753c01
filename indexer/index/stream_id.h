#ifndef KVROUTE_INDEXER_INDEX_STREAM_ID_H_
#define KVROUTE_INDEXER_INDEX_STREAM_ID_H_

#include <cstdint>

#include "indexer/base/strong_int.h"

namespace kvroute {

// One (worker, rank)'s membership in the index. Never used twice in a process, so an answer that
// refers to a stream which has been closed meanwhile can only be unknown to its reader, never
// mistaken for another worker.
using StreamId = StrongInt<struct StreamIdTag, uint32_t>;

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_STREAM_ID_H_
