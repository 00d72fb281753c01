#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_OPTIONS_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_OPTIONS_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/limits.h"
#include "indexer/base/memory_budget.h"
#include "indexer/event/event.h"
#include "indexer/event/medium.h"
#include "indexer/stream/stream_options.h"

namespace kvroute {

class NameService;
class NetworkList;

struct ZmqSourceOptions {
  int lanes = 1;       // threads; a stream stays on one lane
  int io_threads = 1;  // libzmq's own
  // Batches queued in a SUB socket at most, see QueuedBatches; the engine drops beyond that and its
  // own queue, seen as a gap.
  int receive_high_water_mark = 100'000;
  // Half for what one engine has queued here, half for decoding; outlives the source. Null: no
  // limit.
  MemoryBudget* received_memory = nullptr;
  std::chrono::milliseconds reconnect_min{100};
  std::chrono::milliseconds reconnect_max{10'000};  // exponential between the two
  // Of silence, until the kernel asks whether the engine's host is there; after as long again
  // without an answer the connection is lost. Whole seconds; 0: never.
  std::chrono::milliseconds heartbeat_interval{5'000};
  // For the addresses of an engine's name, and for one of them to take a connection.
  std::chrono::milliseconds dial_timeout{5'000};
  size_t max_replays_per_lane = limits::kMaxReplaysPerLane;  // under way at a time
  std::shared_ptr<NameService> names = nullptr;              // nullptr: the system's
  // Where engines may be that clients or publishers named; outlives the source. Null: anywhere.
  const NetworkList* client_networks = nullptr;
  StreamOptions stream;           // of every stream
  std::vector<MediumTier> media;  // beyond those that TierOfMedium knows
};

// The high-water mark of a SUB socket. libzmq's marks count messages, and a mark cannot follow what
// comes: one that is changed while messages are under way may stop them for good (the reader tells
// the writer of every so many messages, as many as the mark was when they were read). So it is as
// small as the largest batches demand, two at least; what finds no room waits in TCP and in the
// engine's own queue, which is long.
inline int QueuedBatches(const ZmqSourceOptions& options) {
  if (options.received_memory == nullptr) return options.receive_high_water_mark;
  const uint64_t largest = options.received_memory->limit() / 2 / limits::kMaxPayloadBytes;
  return static_cast<int>(std::clamp<uint64_t>(
      largest, 2, std::max<uint64_t>(2, static_cast<uint64_t>(options.receive_high_water_mark))));
}

// A SUB socket that engines connect to. The topic is the only identity: kv@<pod>[:port]@<model>;
// numbers are per topic.
struct ListenerConfig {
  std::string endpoint = "";  // "tcp://*:5557"
  std::string topic = "kv@";  // subscription prefix
  EngineKind engine = EngineKind::kAuto;
  uint32_t replay_port = 0;  // of every engine, at the address in its topic; 0: none
  // Whether that may be a name: whoever can connect then has us ask name servers for it.
  bool allow_host_names = false;
  size_t max_discovered_streams = limits::kMaxDiscoveredStreams;  // topics followed at once
  // A stream whose connection is lost is forgotten after so much silence of its engine; 0: never.
  std::chrono::milliseconds expire_after = std::chrono::minutes(5);
  // Z85: the socket is a CURVE server, whose engines must know its public key. Empty: plain.
  std::string curve_server_secret = "";
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_OPTIONS_H_
