#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_LANE_CONTEXT_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_LANE_CONTEXT_H_

#include <functional>

#include "indexer/base/log.h"
#include "indexer/source/zmq/dialer.h"
#include "indexer/source/zmq/poll_set.h"
#include "indexer/source/zmq/socket_budget.h"
#include "indexer/source/zmq/zmq_socket.h"
#include "indexer/stream/stream_registry.h"

namespace kvroute {

class ReplayQueue;

// A stream's share of a lane's turn, of live batches, of replayed and of held ones each.
inline constexpr size_t kBatchesPerTurn = 64;

// What all lanes share, and what the streams of one lane do. Ownership: everything outlives the
// lane.
struct LaneContext {
  SocketContext* sockets = nullptr;
  SocketBudget* budget = nullptr;
  Dialer* dialer = nullptr;
  const ZmqSourceOptions* options = nullptr;
  StreamRegistry* registry = nullptr;
  IngestCounters* counters = nullptr;
  const Clock* clock = nullptr;
  // The lane's own.
  PollSet* poll_set = nullptr;
  ReplayQueue* replays = nullptr;
  LogLimiter* connect_log = nullptr;                      // of lines about what is not connected
  std::function<Decoder*(EngineKind)> decoder = nullptr;  // one a kind
};

// Where a stream's engine may be; nullptr: anywhere.
inline const NetworkList* NetworksFor(const LaneContext& lane, const StreamConfig& stream) {
  return stream.named_by_client ? lane.options->client_networks : nullptr;
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_LANE_CONTEXT_H_
