#include "indexer/source/zmq/stream_worker.h"

#include <algorithm>
#include <utility>

#include "indexer/base/log.h"

namespace kvroute {

// ---- ReplayedStream ----

ReplayedStream::ReplayedStream(const LaneContext& lane, std::shared_ptr<StreamStatus> status)
    : lane_(lane),
      status_(std::move(status)),
      machine_(status_.get(), lane.options->stream, lane.decoder(status_->config.engine),
               lane.registry->index(), lane.counters, lane.clock),
      place_(lane.replays, this) {
  if (!NamesHost(status_->config.replay_endpoint)) address_ = status_->config.replay_endpoint;
}

ReplayedStream::~ReplayedStream() {
  CloseReplay();
  lane_.poll_set->Forget(this);
  lane_.registry->Close(status_->id);
}

bool ReplayedStream::Work(const Turn& turn) {
  FollowMachine();  // what the socket of the request before still has is no reply to a new one
  bool more = ReceiveReplies(turn);
  more |= DrainHeld(turn);
  FollowMachine();
  return more;
}

bool ReplayedStream::ReceiveReplies(const Turn& turn) {
  for (size_t i = 0; replay_ != nullptr; ++i) {
    if (i == kBatchesPerTurn || (i > 0 && turn.Over())) {
      lane_.replays->IsBusy(&place_);
      return true;
    }
    if (!message_.ReceiveFrom(replay_->get())) return false;
    const auto reply = ParseReplayReply(message_.frames());
    if (!reply.has_value()) {
      Increment(&status_->malformed_messages);
      Increment(&lane_.counters->malformed_messages);
    } else if (reply->end) {
      answered_ = true;
      machine_.OnReplayEnd();
    } else {
      answered_ = true;
      if (reply->topic.has_value()) machine_.OnReplyTopic(*reply->topic);
      machine_.OnReplayedBatch(reply->seq, reply->payload);
    }
    FollowMachine();
  }
  return false;
}

bool ReplayedStream::DrainHeld(const Turn& turn) {
  bool more = true;
  for (size_t i = 0; more && i < kBatchesPerTurn; ++i) {
    more = machine_.Drain(1);
    if (turn.Over()) break;
  }
  return more;
}

void ReplayedStream::Tick() {
  // The lane is late, not the engine.
  if (replay_ != nullptr && machine_.ReplyIsDue() && replay_->HasUnread()) {
    machine_.OnReplyUnread();
    lane_.poll_set->MarkReady(this);
  }
  machine_.OnTick();
  FollowMachine();
}

// Asks for the replay the machine wants and drops the one it no longer does.
void ReplayedStream::FollowMachine() {
  if (!machine_.WantsReplay()) {
    CloseReplay();
    ask_from_.reset();
    return lane_.replays->Leave(&place_);
  }
  if (machine_.HasReplayRequest()) {
    CloseReplay();
    ask_from_.reset();
    lane_.replays->Enter(&place_, machine_.ReplayRequestIsBrief());
    if (!place_.may_ask()) return machine_.OnReplayQueued();
    ask_from_ = machine_.TakeReplayRequest();
  }
  if (ask_from_.has_value()) Ask();
}

// What cannot be done now, for want of an address or a descriptor, is tried again at the next tick;
// a machine that waits for too long asks anew.
void ReplayedStream::Ask() {
  if (replay_ == nullptr && !OpenReplay()) return;
  if (!replay_->CanSend()) return;  // not connected yet
  const auto request = EncodeSequence(*ask_from_);
  zmq_send(replay_->get(), "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
  zmq_send(replay_->get(), request.data(), request.size(), ZMQ_DONTWAIT);
  ask_from_.reset();
  lane_.poll_set->MarkReady(this);
}

bool ReplayedStream::OpenReplay() {
  if (address_.empty()) FindAddress();
  if (address_.empty()) return false;
  auto socket = ZmqSocket::Open(lane_.sockets, ZMQ_DEALER);
  if (!socket.ok()) return false;
  replay_ = *std::move(socket);
  replay_->ApplyCommonOptions(*lane_.options);
  replay_->Reconnect(*lane_.options);
  // Both were accepted when the stream was added; what fails now ends in the machine's time limit.
  replay_->ApplyCurve(status_->config.curve).IgnoreError();
  replay_->Connect("replay_endpoint", address_).IgnoreError();
  answered_ = false;
  lane_.poll_set->Watch(replay_->fd(), this);
  return true;
}

void ReplayedStream::FindAddress() {
  const Nanos now = lane_.clock->Monotonic();
  if (dialing_ == nullptr && now >= dial_at_) {
    const auto endpoint = ParseTcpEndpoint(status_->config.replay_endpoint);
    dialing_ = lane_.dialer->Dial(*endpoint, Dialer::Purpose::kAddress);
    dial_at_ = now + ConnectionWatch::kPatience;
  }
  if (dialing_ == nullptr || !dialing_->done()) return;
  address_ = dialing_->dialed().endpoint;  // empty: not found, and sought again later
  dialing_ = nullptr;
}

void ReplayedStream::CloseReplay() {
  if (replay_ == nullptr) return;
  lane_.poll_set->Unwatch(replay_->fd());
  replay_.reset();
  // Behind a name there may be another address by now.
  if (!answered_ && NamesHost(status_->config.replay_endpoint)) address_.clear();
}

// ---- ConnectedStream ----

ConnectedStream::ConnectedStream(const LaneContext& lane,
                                 const std::shared_ptr<StreamStatus>& status,
                                 std::unique_ptr<EventSubscription> subscription)
    : lane_(lane),
      status_(status),
      subscription_(std::move(subscription)),
      watch_(lane, status.get(), subscription_.get()),
      stream_(lane, status),
      reconnect_pause_(lane.options->reconnect_min) {
  lane_.poll_set->Watch(subscription_->event_fd(), this);
  lane_.poll_set->Watch(subscription_->monitor_fd(), this);
  lane_.poll_set->MarkReady(this);
}

ConnectedStream::~ConnectedStream() {
  lane_.poll_set->Forget(this);
  lane_.poll_set->Unwatch(subscription_->event_fd());
  lane_.poll_set->Unwatch(subscription_->monitor_fd());
}

bool ConnectedStream::Work(const Turn& turn) {
  FollowConnection();
  bool more = ReceiveLive(turn);
  more |= stream_.Work(turn);
  return more;
}

bool ConnectedStream::ReceiveLive(const Turn& turn) {
  for (size_t i = 0; i < kBatchesPerTurn && (i == 0 || !turn.Over()); ++i) {
    if (!subscription_->Receive(&message_)) return false;
    if (const auto live = ParseLiveMessage(message_.frames())) {
      stream_.machine().OnLiveBatch(live->seq, live->payload);
    } else {
      stream_.machine().OnMalformedLive(DescribeMalformed(message_.frames()));
    }
  }
  return true;
}

void ConnectedStream::Tick() {
  stream_.Tick();
  watch_.Tick();
  ConnectAgain();
}

// At pauses that double up to reconnect_max.
void ConnectedStream::ConnectAgain() {
  const Nanos now = lane_.clock->Monotonic();
  if (!subscription_->lost()) {
    reconnect_at_ = Nanos::max();
  } else if (reconnect_at_ == Nanos::max()) {
    reconnect_at_ = now + reconnect_pause_;
    reconnect_pause_ = std::min<Nanos>(2 * reconnect_pause_, lane_.options->reconnect_max);
  } else if (subscription_->HasUnread()) {
    lane_.poll_set->MarkReady(this);
  } else if (now >= reconnect_at_) {
    reconnect_at_ = Nanos::max();
    subscription_->Reconnect();
  }
}

void ConnectedStream::FollowConnection() {
  while (const auto change = subscription_->NextChange()) {
    if (*change == EventSubscription::Change::kConnected) {
      reconnect_pause_ = lane_.options->reconnect_min;
      stream_.machine().OnConnected();
    }
    if (*change == EventSubscription::Change::kDisconnected) stream_.machine().OnDisconnected();
    if (*change == EventSubscription::Change::kRefused) {
      reconnect_pause_ = lane_.options->reconnect_max;
      Increment(&status_->refused_handshakes);
      watch_.OnRefused();
    }
  }
}

}  // namespace kvroute
