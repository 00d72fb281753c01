#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_OPTIONS_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "indexer/base/limits.h"
#include "indexer/event/event.h"
#include "indexer/stream/stream_options.h"

namespace kvroute {

struct ZmqSourceOptions {
  int lanes = 1;       // threads; a stream stays on one lane
  int io_threads = 1;  // libzmq's own
  // Batches queued in a SUB socket; the engine drops beyond that, seen as a gap.
  int receive_high_water_mark = 100'000;
  std::chrono::milliseconds reconnect_min{100};
  std::chrono::milliseconds reconnect_max{10'000};  // exponential between the two
  std::chrono::milliseconds heartbeat_interval{5'000};
  StreamOptions stream;  // of every stream
};

// A SUB socket that engines connect to. The topic is the only identity: kv@<pod>[:port]@<model>;
// numbers are per topic.
struct ListenerConfig {
  std::string endpoint = "";  // "tcp://*:5557"
  std::string topic = "kv@";  // subscription prefix
  EngineKind engine = EngineKind::kAuto;
  uint32_t replay_port = 0;  // of every engine, at the address in its topic; 0: none
  size_t max_discovered_streams = limits::kMaxDiscoveredStreams;  // topics followed at once
  // A stream whose connection is lost is forgotten after so much silence of its engine; 0: never.
  std::chrono::milliseconds expire_after = std::chrono::minutes(5);
  // Z85: the socket is a CURVE server, whose engines must know its public key. Empty: plain.
  std::string curve_server_secret = "";
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_OPTIONS_H_
