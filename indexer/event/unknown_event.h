#ifndef KVROUTE_INDEXER_EVENT_UNKNOWN_EVENT_H_
#define KVROUTE_INDEXER_EVENT_UNKNOWN_EVENT_H_

#include <string_view>

#include "absl/types/span.h"
#include "indexer/event/medium.h"
#include "indexer/event/msgpack_cursor.h"

namespace kvroute {

// What can be told of an event whose type we do not know.
struct UnknownEvent {
  std::string_view tag;              // its type; empty when it names none
  bool may_change_holdings = false;  // it may have removed or moved blocks
};

// It may have when its tag speaks of such a thing, or when it names hashes or a tier. The event
// under the cursor is whole.
UnknownEvent LookAtUnknownEvent(MsgpackCursor cursor, absl::Span<const MediumTier> media);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_UNKNOWN_EVENT_H_
