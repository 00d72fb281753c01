#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_SOURCE_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_SOURCE_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/source/discovery.h"
#include "indexer/source/event_source.h"
#include "indexer/source/load_source.h"
#include "indexer/source/zmq/zmq_options.h"
#include "indexer/stream/ingest_counters.h"
#include "indexer/stream/stream_registry.h"

namespace kvroute {

// Receives every stream's batches over ZeroMQ and applies them to the index, each stream in order
// on its lane's thread. A stream that is added is subscribed to, then replayed from 0.
//
// Thread safety: every method from any thread. Ownership: the registry, its index, the counters and
// the clock must outlive it. Errors: INVALID_ARGUMENT names the field (an endpoint libzmq refuses,
// a bad key); RESOURCE_EXHAUSTED at max_streams, or
// without the file descriptors that a stream takes.
class ZmqSource : public EventSource, public LoadSource {
 public:
  static absl::StatusOr<std::unique_ptr<ZmqSource>> Start(const ZmqSourceOptions& options,
                                                          StreamRegistry* registry,
                                                          IngestCounters* counters,
                                                          const Clock* clock);

  // Binds a socket that engines connect to, and follows every topic that is wanted.
  virtual absl::Status AddListener(const ListenerConfig& config, OnDiscovered on_discovered,
                                   OnExpired on_expired) = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_SOURCE_H_
