#include "indexer/source/zmq/listener.h"

#include <algorithm>
#include <utility>

#include "indexer/base/log.h"

namespace kvroute {

Listener::Listener(const LaneContext& lane, std::unique_ptr<EventSubscription> subscription,
                   const ListenerConfig& config, OpenStream open_stream, OnExpired on_expired)
    : lane_(lane),
      subscription_(std::move(subscription)),
      config_(config),
      open_stream_(std::move(open_stream)),
      on_expired_(std::move(on_expired)) {
  lane_.poll_set->Watch(subscription_->event_fd(), this);
  lane_.poll_set->Watch(subscription_->monitor_fd(), this);
  lane_.poll_set->MarkReady(this);
}

Listener::~Listener() {
  lane_.poll_set->Forget(this);
  lane_.poll_set->Unwatch(subscription_->event_fd());
  lane_.poll_set->Unwatch(subscription_->monitor_fd());
}

bool Listener::Work(const Turn& turn) {
  FollowConnections();
  const bool more = ReceiveLive(turn);
  if (!more) LoseConnections();
  return more;
}

bool Listener::ReceiveLive(const Turn& turn) {
  for (size_t i = 0; i < kBatchesPerTurn && (i == 0 || !turn.Over()); ++i) {
    if (!subscription_->Receive(&message_)) return false;
    const auto live = ParseLiveMessage(message_.frames());
    if (!live.has_value()) {
      CountMalformed();
    } else if (Followed* followed = Follow(live->topic)) {
      followed->stream->machine().OnLiveBatch(live->seq, live->payload);
      lane_.poll_set->MarkReady(followed->stream.get());
    }
    if (left_before_ > 0 && --left_before_ == 0) LoseConnections();
  }
  return true;
}

// Of a stream that is followed already: what cannot be read opens none.
void Listener::CountMalformed() {
  const std::string_view topic = TopicOfMalformed(message_.frames());
  const auto found = streams_.find(absl::string_view(topic.data(), topic.size()));
  const std::string what = DescribeMalformed(message_.frames());
  if (found != streams_.end()) return found->second.stream->machine().OnMalformedLive(what);
  Increment(&lane_.counters->malformed_messages);
  if (const uint64_t lines = malformed_limiter_.Admit(lane_.clock->Monotonic())) {
    LogWarning(
        "listener {}: a message of no stream was left out: {}; expected a topic, a number of 8 "
        "bytes and a batch ({} alike not shown)",
        subscription_->BoundEndpoint(), what, lines - 1);
  }
}

// The stream of the message just received, which has come by one of its connections.
Listener::Followed* Listener::Follow(std::string_view topic) {
  const auto found = streams_.find(absl::string_view(topic.data(), topic.size()));
  Followed* const followed = found != streams_.end() ? &found->second : Begin(topic);
  if (followed == nullptr) return nullptr;
  if (!followed->stream->connected()) followed->stream->machine().OnConnected();
  auto& connections = followed->connections;
  const int connection = message_.connection();
  if (std::find(connections.begin(), connections.end(), connection) == connections.end()) {
    if (connections.size() == kMaxConnections) connections.erase(connections.begin());
    connections.push_back(connection);
  }
  return followed;
}

// nullptr: the topic gets no stream, which is counted. One that is too long is neither copied nor
// shown.
Listener::Followed* Listener::Begin(std::string_view topic) {
  SocketBudget::Share share;
  OpenedStream opened = UnknownTopic::kNoIdentity;
  if (topic.size() <= limits::kMaxTopicBytes) {
    auto taken = lane_.budget->TakeForStream(kConnectionCost);
    opened = taken.ok() ? Open(std::string(topic)) : UnknownTopic::kDescriptors;
    if (taken.ok()) share = *std::move(taken);
  }
  if (const auto* reason = std::get_if<UnknownTopic>(&opened)) {
    Increment(&lane_.counters->unknown_topics[static_cast<size_t>(*reason)]);
    return nullptr;
  }
  Followed followed;
  followed.share = std::move(share);
  followed.stream = std::make_unique<ReplayedStream>(
      lane_, std::get<std::shared_ptr<StreamStatus>>(std::move(opened)));
  return &streams_.emplace(std::string(topic), std::move(followed)).first->second;
}

Listener::OpenedStream Listener::Open(const std::string& topic) {
  if (unwanted_.contains(topic)) return UnknownTopic::kNotWanted;
  if (streams_.size() >= config_.max_discovered_streams) {
    if (!std::exchange(said_full_, true)) {
      LogWarning(
          "listener {}: max_discovered_streams: {} topics are followed; \"{}\" and any other new "
          "one is left out",
          subscription_->BoundEndpoint(), config_.max_discovered_streams, topic);
    }
    return UnknownTopic::kListenerLimit;
  }
  if (unwanted_.size() >= limits::kMaxRefusedTopics) return UnknownTopic::kNotWanted;
  OpenedStream opened = open_stream_(topic);
  const auto* reason = std::get_if<UnknownTopic>(&opened);
  if (reason != nullptr && *reason == UnknownTopic::kNotWanted) {
    unwanted_.emplace(topic, lane_.clock->Monotonic() + kRefusalHolds);
  }
  return opened;
}

void Listener::FollowConnections() {
  while (const auto change = subscription_->NextChange()) {
    if (*change == EventSubscription::Change::kDisconnected) {
      lost_connections_.push_back(subscription_->lost_connection());
      left_before_ = static_cast<size_t>(lane_.options->receive_high_water_mark);
    }
    if (*change == EventSubscription::Change::kNotAccepted && subscription_->PauseAccepting()) {
      Increment(&lane_.counters->refused_for_descriptors);
      LogWarning(
          "listener {}: max_open_files: no file descriptor for an engine's connection: none is "
          "accepted until there are some; raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE= of "
          "systemd, the ulimits of a container)",
          subscription_->BoundEndpoint());
    }
    if (*change == EventSubscription::Change::kRefused) {
      if (const uint64_t lines = limiter_.Admit(lane_.clock->Monotonic())) {
        LogWarning(
            "listener {}: refused an engine whose handshake failed: is its CURVE key right? "
            "({} alike not shown)",
            subscription_->BoundEndpoint(), lines - 1);
      }
    }
  }
}

// Once their last messages have been read, else those would count as signs of life.
void Listener::LoseConnections() {
  left_before_ = 0;
  if (lost_connections_.empty()) return;
  for (auto& [topic, followed] : streams_) {
    const auto is_lost = [this](int connection) {
      return connection < 0 || std::find(lost_connections_.begin(), lost_connections_.end(),
                                         connection) != lost_connections_.end();
    };
    auto& connections = followed.connections;
    const auto left = std::remove_if(connections.begin(), connections.end(), is_lost);
    if (left == connections.end()) continue;
    connections.erase(left, connections.end());
    followed.asked_again = false;
    followed.heard = followed.stream->machine().heard();
    followed.silent_since = lane_.clock->Monotonic();
    Doubt(&followed);
  }
  lost_connections_.clear();
}

// A connection of it is lost. Its engine may have connected anew and have nothing to say: where it
// answers replays, it is asked.
void Listener::Doubt(Followed* followed) {
  ReplayedStream* const stream = followed->stream.get();
  stream->machine().OnDisconnected();
  if (stream->has_replay() || !followed->connections.empty()) stream->machine().OnConnected();
  lane_.poll_set->MarkReady(stream);
}

// Looks after a stream that has no connection, as far as is known.
bool Listener::Expired(Followed* followed, Nanos now) {
  StreamMachine& machine = followed->stream->machine();
  if (!followed->connections.empty()) return false;
  if (machine.heard() != followed->heard) {
    followed->heard = machine.heard();
    followed->silent_since = now;
    followed->asked_again = false;
    return false;
  }
  // An engine that does not answer either is not one to be chosen.
  if (followed->stream->has_replay() && !machine.WantsReplay() && followed->stream->connected()) {
    machine.OnDisconnected();
  }
  const Nanos silent = now - followed->silent_since;
  if (config_.expire_after == Nanos(0) || silent < config_.expire_after / 2) return false;
  if (followed->stream->has_replay() && !std::exchange(followed->asked_again, true))
    Doubt(followed);
  return silent >= config_.expire_after;
}

void Listener::Tick() {
  const Nanos now = lane_.clock->Monotonic();
  if (subscription_->ResumeAccepting()) {
    LogInfo("listener {}: accepts connections again", subscription_->BoundEndpoint());
  }
  for (auto& [topic, followed] : streams_) followed.stream->Tick();
  absl::erase_if(streams_, [&](auto& entry) {
    if (!Expired(&entry.second, now)) return false;
    Increment(&lane_.counters->expired_streams);
    if (on_expired_) on_expired_(entry.second.stream->id());
    return true;
  });
  if (streams_.size() < config_.max_discovered_streams) said_full_ = false;
  absl::erase_if(unwanted_, [now](const auto& entry) { return entry.second <= now; });
}

void Listener::Remove(StreamId id) {
  absl::erase_if(streams_, [id](const auto& entry) { return entry.second.stream->id() == id; });
  if (streams_.size() < config_.max_discovered_streams) said_full_ = false;
}

}  // namespace kvroute
