#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_STREAM_WORKER_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_STREAM_WORKER_H_

#include <functional>
#include <memory>

#include "indexer/base/log.h"
#include "indexer/source/zmq/event_subscription.h"
#include "indexer/source/zmq/frames.h"
#include "indexer/source/zmq/poll_set.h"
#include "indexer/source/zmq/zmq_socket.h"
#include "indexer/stream/stream_machine.h"
#include "indexer/stream/stream_registry.h"

namespace kvroute {

// A stream's share of a lane's turn, of live batches, of replayed and of held ones each: at some 20
// us a batch, others wait a few milliseconds at most.
inline constexpr size_t kBatchesPerTurn = 64;

// What the streams of one lane share. Ownership: everything outlives the lane.
struct LaneContext {
  SocketContext* sockets;
  const ZmqSourceOptions* options;
  StreamRegistry* registry;
  IngestCounters* counters;
  const Clock* clock;
  PollSet* poll_set;
  std::function<Decoder*(EngineKind)> decoder;  // one a kind, shared by the lane's streams
};

// A stream's machine and the DEALER socket of its running replay. A new request takes a new socket,
// so that late replies to the one before cannot be mistaken for its own. Closes the stream in the
// index when it goes.
class ReplayedStream final : public Pollable {
 public:
  ReplayedStream(const LaneContext& lane, std::shared_ptr<StreamStatus> status);
  ~ReplayedStream() override;

  StreamMachine& machine() { return machine_; }
  StreamId id() const { return status_->id; }
  bool connected() const { return status_->connected.load(std::memory_order_relaxed); }
  bool has_replay() const { return !status_->config.replay_endpoint.empty(); }
  // Receives replies and applies held batches whose turn has come.
  bool Work() override;
  void Tick() override;

 private:
  void FollowMachine();
  void CloseReplay();

  const LaneContext lane_;
  const std::shared_ptr<StreamStatus> status_;
  StreamMachine machine_;
  std::unique_ptr<ZmqSocket> replay_;
  Multipart message_;
};

// A stream whose engine is connected to. What is left of a lost connection in the socket is read
// before the machine is told of the next: it may be another life of the engine that is connected
// to.
class ConnectedStream final : public Pollable {
 public:
  ConnectedStream(const LaneContext& lane, const std::shared_ptr<StreamStatus>& status,
                  std::unique_ptr<EventSubscription> subscription);
  ~ConnectedStream() override;

  StreamId id() const { return stream_.id(); }
  bool Work() override;
  void Tick() override;

 private:
  bool ReceiveLive();
  void FollowConnection();
  void FinishBefore();

  const LaneContext lane_;
  const std::shared_ptr<StreamStatus> status_;
  const std::unique_ptr<EventSubscription> subscription_;
  size_t left_before_ = 0;  // batches, at most, of a lost connection that are still to be read
  bool connected_since_ = false;  // there is a new connection, of which the machine is to be told
  ReplayedStream stream_;
  Multipart message_;
  LogLimiter limiter_;
  Nanos reconnect_at_{Nanos::max()};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_STREAM_WORKER_H_
