#ifndef KVROUTE_INDEXER_EVENT_EVENT_DECODER_H_
#define KVROUTE_INDEXER_EVENT_EVENT_DECODER_H_

#include "indexer/event/event_fields.h"
#include "indexer/event/stored_rules.h"

namespace kvroute {

// Reads the event under the cursor, array or map. kOk fills `event` and leaves the cursor behind
// it. kEnvelope: its bytes are broken. Anything else says why the event cannot be used; the
// position is then unspecified,
// and the event's type is kRemoved unless its tag was read.
DecodeReason DecodeEvent(EngineKind engine, MsgpackCursor* cursor, EventArrays* arrays,
                         Event* event);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_EVENT_DECODER_H_
