#ifndef KVROUTE_INDEXER_INGEST_INGEST_H_
#define KVROUTE_INDEXER_INGEST_INGEST_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/base/limits.h"
#include "indexer/index/prefix_index.h"
#include "indexer/ingest/ingest_counters.h"
#include "indexer/ingest/stream.h"

namespace kvroute {

struct IngestOptions {
  int lanes = 1;       // threads; a stream stays on one lane
  int io_threads = 1;  // libzmq's own
  int receive_high_water_mark =
      100'000;  // batches queued in a SUB socket; the engine drops beyond that, seen as a gap
  std::chrono::milliseconds replay_timeout{5'000};  // without any reply
  int replay_attempts = 3;                          // requests for the same hole
  std::chrono::milliseconds replay_limit{120'000};  // one replay in all
  // After this much silence the engine is asked once whether there is more: a lost last batch shows
  // in nothing else.
  std::chrono::milliseconds probe_after_idle{1'000};
  // After a loss that may have been passing, how long until the engine is asked for everything
  // again; doubles up to 64 times.
  std::chrono::milliseconds fresh_start_after{10'000};
  std::chrono::milliseconds reconnect_min{100};
  std::chrono::milliseconds reconnect_max{10'000};  // exponential between the two
  std::chrono::milliseconds heartbeat_interval{5'000};
  size_t max_held_batches = limits::kMaxHeldBatchesPerStream;
  size_t max_held_bytes = limits::kMaxHeldBytesPerStream;
  size_t max_pending_bytes = limits::kMaxPendingBytesPerStream;
  size_t max_streams = limits::kMaxStreams;
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

// A stream that was first heard of on a listener.
struct DiscoveredStream {
  std::string topic;
  std::string host;  // <pod>[:port]
  std::string model;
  std::shared_ptr<const StreamStatus> status;
};

// One of the threads that receive and apply events.
struct LaneAge {
  std::string name;
  Nanos since_last_turn{0};  // a lane takes a turn every 100 ms or sooner, also when idle
};

// Receives every stream's batches over ZeroMQ and applies them to the index, each stream in order
// on its lane's thread.
//
// Thread safety: every method from any thread. Ownership: the index, counters and clock must
// outlive it. Errors: INVALID_ARGUMENT names the field (an endpoint libzmq refuses, a bad key);
// RESOURCE_EXHAUSTED at max_streams.
class Ingest {
 public:
  static absl::StatusOr<std::unique_ptr<Ingest>> Start(const IngestOptions& options,
                                                       PrefixIndex* index, IngestCounters* counters,
                                                       const Clock* clock);
  virtual ~Ingest() = default;  // stops the lanes

  // Subscribes, then replays from 0. Returns at once; progress shows in the status.
  virtual absl::StatusOr<std::shared_ptr<const StreamStatus>> AddStream(
      const StreamConfig& config) = 0;
  // Unsubscribes and forgets everything the stream held. Unknown ids are ignored.
  virtual void RemoveStream(StreamId id) = 0;

  // Runs on a lane thread, once for each new topic, and must not block. False: the stream is not
  // wanted. It is closed, and offered again at the earliest after kRefusalHolds.
  using OnDiscovered = std::function<bool(const DiscoveredStream&)>;
  static constexpr std::chrono::seconds kRefusalHolds{10};
  // Runs on a lane thread and must not block: the stream that was discovered has expired and is
  // closed next. Should its topic be heard again, it is discovered anew.
  using OnExpired = std::function<void(StreamId)>;
  virtual absl::Status AddListener(const ListenerConfig& config, OnDiscovered on_discovered,
                                   OnExpired on_expired) = 0;

  // Ends the lanes: when it returns nothing is applied any more and no callback runs. What was
  // learned stays until destruction; other calls are still allowed and have no effect.
  virtual void Stop() = 0;

  // Of every lane: a large age is a lane that is stuck, whose streams no longer make progress.
  virtual std::vector<LaneAge> LaneAges() const = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INGEST_INGEST_H_
