#ifndef KVROUTE_TOOLS_FLEET_MISBEHAVIOUR_H_
#define KVROUTE_TOOLS_FLEET_MISBEHAVIOUR_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/clock.h"

namespace kvroute {

// What an engine or its connection does wrong on purpose. `amount` is a number of batches or of
// virtual seconds.
enum class MisbehaviourKind : uint8_t {
  kDrop,       // the next batches are not sent live; replay has them
  kLose,       // the next sequence numbers never exist anywhere
  kCorrupt,    // the next batches carry damaged bytes, live and in replay
  kDuplicate,  // the next batches are sent twice
  kRestart,    // the process dies and is back after so many seconds: cache empty, numbers from 0,
               // connections cut
  kRenumber,   // the same at once, with the connections kept
  kClear,      // the prefix cache is reset
  kPause,      // no step for so many seconds
  kCut,        // connections are cut for so many seconds
};

struct Misbehaviour {
  MisbehaviourKind kind = MisbehaviourKind::kDrop;
  uint32_t worker = 0;
  uint32_t rank = 0;
  Nanos at{0};  // virtual
  uint64_t amount = 1;
};

// "KIND:wWORKER[.RANK]@SECONDSs[:AMOUNT]", e.g. "drop:w3@120s:5". Errors: INVALID_ARGUMENT names
// the text and the form.
absl::StatusOr<Misbehaviour> ParseMisbehaviour(const std::string& text);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_MISBEHAVIOUR_H_
