#ifndef KVROUTE_INDEXER_EVENT_STORED_RULES_H_
#define KVROUTE_INDEXER_EVENT_STORED_RULES_H_

#include "indexer/event/decoder.h"
#include "indexer/event/event.h"

namespace kvroute {

// How a stored event was published, as far as its meaning depends on it.
struct StoredForm {
  EngineKind engine = EngineKind::kAuto;
  bool positional = false;
  // Fields by which publishers differ; of arrays, those that their length or type shows.
  bool has_lora_id = false;
  bool has_lora_name = false;  // nil or not
  bool has_extra_keys = false;
  bool has_salt = false;  // SGLang's field
};

// Judges the fields of a stored event together once all are read: fills parent and tokens_per_hash,
// or says why the event cannot mean anything. docs/wire-format.md, "Stored: the rules in doubt".
DecodeReason ApplyStoredRules(const StoredForm& form, Event* event);

// Fills named_keys and one_copy: what the form says of its publisher, whatever these blocks have.
void JudgeForm(const StoredForm& form, Event* event);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_STORED_RULES_H_
