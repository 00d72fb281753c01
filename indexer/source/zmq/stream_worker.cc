#include "indexer/source/zmq/stream_worker.h"

#include <utility>

#include "indexer/base/log.h"

namespace kvroute {

// ---- ReplayedStream ----

ReplayedStream::ReplayedStream(const LaneContext& lane, std::shared_ptr<StreamStatus> status)
    : lane_(lane),
      status_(std::move(status)),
      machine_(status_.get(), lane.options->stream, lane.decoder(status_->config.engine),
               lane.registry->index(), lane.counters, lane.clock) {}

ReplayedStream::~ReplayedStream() {
  CloseReplay();
  lane_.poll_set->Forget(this);
  lane_.registry->Close(status_->id);
}

bool ReplayedStream::Work() {
  FollowMachine();  // what the socket of the request before still has is no reply to a new one
  bool more = false;
  for (size_t i = 0; replay_ != nullptr && i < kBatchesPerTurn; ++i) {
    if (!message_.ReceiveFrom(replay_->get())) break;
    more = i + 1 == kBatchesPerTurn;
    const auto reply = ParseReplayReply(message_.frames());
    if (!reply.has_value()) {
      Increment(&lane_.counters->malformed_messages);
    } else if (reply->end) {
      machine_.OnReplayEnd();
    } else {
      machine_.OnReplayedBatch(reply->seq, reply->payload);
    }
    FollowMachine();
  }
  more |= machine_.Drain(kBatchesPerTurn);
  FollowMachine();
  return more;
}

void ReplayedStream::Tick() {
  machine_.OnTick();
  FollowMachine();
}

// Asks for the replay the machine wants and drops the one it no longer does.
void ReplayedStream::FollowMachine() {
  const std::optional<uint64_t> from = machine_.TakeReplayRequest();
  if (from.has_value() || !machine_.WantsReplay()) CloseReplay();
  if (!from.has_value()) return;
  replay_ = std::make_unique<ZmqSocket>(lane_.sockets, ZMQ_DEALER);
  replay_->ApplyCommonOptions(*lane_.options);
  // Both were accepted when the stream was added; what fails now ends in the machine's time limit.
  replay_->ApplyCurve(status_->config.curve).IgnoreError();
  replay_->Connect("replay_endpoint", status_->config.replay_endpoint).IgnoreError();
  const auto request = EncodeSequence(*from);
  zmq_send(replay_->get(), "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
  zmq_send(replay_->get(), request.data(), request.size(), ZMQ_DONTWAIT);
  lane_.poll_set->Watch(replay_->fd(), this);
  lane_.poll_set->MarkReady(this);
}

void ReplayedStream::CloseReplay() {
  if (replay_ == nullptr) return;
  lane_.poll_set->Unwatch(replay_->fd());
  replay_.reset();
}

// ---- ConnectedStream ----

ConnectedStream::ConnectedStream(const LaneContext& lane,
                                 const std::shared_ptr<StreamStatus>& status,
                                 std::unique_ptr<EventSubscription> subscription)
    : lane_(lane), status_(status), subscription_(std::move(subscription)), stream_(lane, status) {
  lane_.poll_set->Watch(subscription_->event_fd(), this);
  lane_.poll_set->Watch(subscription_->monitor_fd(), this);
  lane_.poll_set->MarkReady(this);
}

ConnectedStream::~ConnectedStream() {
  lane_.poll_set->Forget(this);
  lane_.poll_set->Unwatch(subscription_->event_fd());
  lane_.poll_set->Unwatch(subscription_->monitor_fd());
}

bool ConnectedStream::Work() {
  FollowConnection();
  bool more = ReceiveLive();
  if (!more) FinishBefore();
  more |= stream_.Work();
  return more;
}

bool ConnectedStream::ReceiveLive() {
  for (size_t i = 0; i < kBatchesPerTurn; ++i) {
    if (!subscription_->Receive(&message_)) return false;
    if (const auto live = ParseLiveMessage(message_.frames())) {
      stream_.machine().OnLiveBatch(live->seq, live->payload);
    } else {
      Increment(&lane_.counters->malformed_messages);
    }
    // At most so many can be of the connection before.
    if (left_before_ > 0 && --left_before_ == 0) FinishBefore();
  }
  return true;
}

// The connection before has been read to its end: of what comes now, the machine may take it that
// it was published behind it.
void ConnectedStream::FinishBefore() {
  left_before_ = 0;
  if (std::exchange(connected_since_, false)) stream_.machine().OnConnected();
}

void ConnectedStream::Tick() {
  stream_.Tick();
  const Nanos now = lane_.clock->Monotonic();
  if (!subscription_->gave_up()) {
    reconnect_at_ = Nanos::max();
  } else if (reconnect_at_ == Nanos::max()) {
    reconnect_at_ = now + lane_.options->reconnect_max;
  } else if (now >= reconnect_at_) {
    reconnect_at_ = Nanos::max();
    subscription_->Reconnect();
  }
}

void ConnectedStream::FollowConnection() {
  while (const auto change = subscription_->NextChange()) {
    if (*change == EventSubscription::Change::kConnected) {
      connected_since_ = true;
      if (left_before_ == 0) FinishBefore();
    }
    if (*change == EventSubscription::Change::kDisconnected) {
      if (std::exchange(connected_since_, false)) stream_.machine().OnConnected();
      stream_.machine().OnDisconnected();
      left_before_ = static_cast<size_t>(lane_.options->receive_high_water_mark);
    }
    if (*change == EventSubscription::Change::kRefused) {
      Increment(&status_->refused_handshakes);
      if (const uint64_t lines = limiter_.Admit(lane_.clock->Monotonic())) {
        LogWarning(
            "stream {}/{}: {} answers but refuses the handshake: are the CURVE keys right? "
            "({} alike not shown)",
            status_->config.worker_id, status_->config.rank, status_->config.event_endpoint,
            lines - 1);
      }
    }
  }
}

}  // namespace kvroute
