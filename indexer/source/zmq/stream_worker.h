#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_STREAM_WORKER_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_STREAM_WORKER_H_

#include <memory>
#include <optional>
#include <string>

#include "indexer/base/log.h"
#include "indexer/source/zmq/connection_watch.h"
#include "indexer/source/zmq/event_subscription.h"
#include "indexer/source/zmq/frames.h"
#include "indexer/source/zmq/lane_context.h"
#include "indexer/source/zmq/poll_set.h"
#include "indexer/source/zmq/replay_queue.h"
#include "indexer/source/zmq/zmq_socket.h"
#include "indexer/stream/stream_machine.h"
#include "indexer/stream/stream_registry.h"

namespace kvroute {

// A stream's machine and the DEALER socket of its running replay. A new request takes a new socket,
// so that late replies to the one before cannot be mistaken for its own; it waits for its turn in
// the lane's ReplayQueue. Closes the stream in the index when it goes.
class ReplayedStream final : public Pollable {
 public:
  ReplayedStream(const LaneContext& lane, std::shared_ptr<StreamStatus> status);
  ~ReplayedStream() override;

  StreamMachine& machine() { return machine_; }
  StreamId id() const { return status_->id; }
  bool connected() const { return status_->connected.load(std::memory_order_relaxed); }
  bool has_replay() const { return !status_->config.replay_endpoint.empty(); }
  // Receives replies and applies held batches whose turn has come.
  bool Work(const Turn& turn) override;
  void Tick() override;

 private:
  void FollowMachine();
  void Ask();
  bool OpenReplay();
  void FindAddress();
  bool ReceiveReplies(const Turn& turn);
  bool DrainHeld(const Turn& turn);
  void CloseReplay();

  const LaneContext lane_;
  const std::shared_ptr<StreamStatus> status_;
  StreamMachine machine_;
  ReplayQueue::Place place_;
  std::optional<uint64_t> ask_from_;  // what was taken of the machine and has not been sent yet
  std::string address_;               // to ask at; empty: not known yet
  std::shared_ptr<const Dialer::Call> dialing_;
  Nanos dial_at_{0};
  std::unique_ptr<ZmqSocket> replay_;
  bool answered_ = false;  // by `replay_`
  Multipart message_;
};

// A stream whose engine is connected to. What is left of a lost connection in the socket is read
// before the next is made: it may be another life of the engine that is connected to.
class ConnectedStream final : public Pollable {
 public:
  ConnectedStream(const LaneContext& lane, const std::shared_ptr<StreamStatus>& status,
                  std::unique_ptr<EventSubscription> subscription);
  ~ConnectedStream() override;

  StreamId id() const { return stream_.id(); }
  bool Work(const Turn& turn) override;
  void Tick() override;

 private:
  bool ReceiveLive(const Turn& turn);
  void FollowConnection();
  void ConnectAgain();

  const LaneContext lane_;
  const std::shared_ptr<StreamStatus> status_;
  const std::unique_ptr<EventSubscription> subscription_;
  ConnectionWatch watch_;
  ReplayedStream stream_;
  Multipart message_;
  Nanos reconnect_at_{Nanos::max()};
  Nanos reconnect_pause_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_STREAM_WORKER_H_
