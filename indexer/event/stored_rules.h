#ifndef KVROUTE_INDEXER_EVENT_STORED_RULES_H_
#define KVROUTE_INDEXER_EVENT_STORED_RULES_H_

#include "indexer/event/decoder.h"
#include "indexer/event/event.h"

namespace kvroute {

// How a stored event was published, as far as its meaning depends on it.
struct StoredForm {
  EngineKind engine = EngineKind::kAuto;
  bool positional = false;
  bool token_ids_nil = false;
};

// Judges the fields of a stored event together once all are read: fills parent and tokens_per_hash,
// or says why the event cannot mean anything. docs/wire-format.md, "Stored: the rules in doubt".
DecodeReason ApplyStoredRules(const StoredForm& form, Event* event);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_STORED_RULES_H_
