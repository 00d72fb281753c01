#ifndef KVROUTE_INDEXER_SOURCE_EVENT_SOURCE_H_
#define KVROUTE_INDEXER_SOURCE_EVENT_SOURCE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/thread_age.h"
#include "indexer/stream/stream.h"

namespace kvroute {

// Where the batches of streams come from: engines over ZeroMQ, a saved state, a peer. A source
// feeds each of its streams through a StreamMachine, in order, on one thread.
//
// Thread safety: every method from any thread. Errors: INVALID_ARGUMENT names the field of the
// stream's configuration; RESOURCE_EXHAUSTED at a limit.
class EventSource {
 public:
  virtual ~EventSource() = default;  // as Stop

  // Begins to receive. Returns at once; progress shows in the status.
  virtual absl::StatusOr<std::shared_ptr<const StreamStatus>> AddStream(
      const StreamConfig& config) = 0;
  // Ends it and forgets everything the stream held. Unknown ids are ignored.
  virtual void RemoveStream(StreamId id) = 0;

  // When it returns nothing is applied any more and no callback runs. What was learned stays until
  // destruction; other calls are still allowed and have no effect.
  virtual void Stop() = 0;

  // Of every thread that receives or applies events.
  virtual std::vector<ThreadAge> ThreadAges() const = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_EVENT_SOURCE_H_
