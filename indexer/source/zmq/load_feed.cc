#include "indexer/source/zmq/load_feed.h"

#include <algorithm>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/event/load_stat.h"
#include "indexer/source/zmq/frames.h"

namespace kvroute {

LoadFeed::LoadFeed(const LaneContext& lane, std::shared_ptr<PushedLoad> load,
                   LoadSourceCounts* counts, std::unique_ptr<EventSubscription> subscription,
                   std::string endpoint)
    : lane_(lane),
      load_(std::move(load)),
      counts_(counts),
      subscription_(std::move(subscription)),
      endpoint_(std::move(endpoint)),
      reconnect_pause_(lane.options->reconnect_min) {
  lane_.poll_set->Watch(subscription_->event_fd(), this);
  lane_.poll_set->Watch(subscription_->monitor_fd(), this);
  lane_.poll_set->MarkReady(this);
  if (NamesHost(endpoint_)) Find();
}

LoadFeed::~LoadFeed() {
  lane_.poll_set->Forget(this);
  lane_.poll_set->Unwatch(subscription_->event_fd());
  lane_.poll_set->Unwatch(subscription_->monitor_fd());
}

bool LoadFeed::Work(const Turn& turn) {
  FollowConnection();
  for (size_t i = 0; i < kBatchesPerTurn && (i == 0 || !turn.Over()); ++i) {
    if (!subscription_->Receive(&message_)) return false;
    const auto live = ParseLiveMessage(message_.frames());
    if (!live) {
      Take(LoadMessage::kFrames, DescribeMalformed(message_.frames()));
      continue;
    }
    const absl::StatusOr<LoadStat> stat = ReadLoadStat(live->payload);
    if (!stat.ok()) {
      Take(LoadMessage::kMalformed, MessageOf(stat.status()));
      continue;
    }
    load_->running.store(stat->running, std::memory_order_relaxed);
    load_->waiting.store(stat->waiting, std::memory_order_relaxed);
    load_->used_tokens.store(stat->used_tokens, std::memory_order_relaxed);
    load_->capacity_tokens.store(stat->capacity_tokens, std::memory_order_relaxed);
    load_->at_ns.store(lane_.clock->Monotonic().count(), std::memory_order_release);
    Take(LoadMessage::kTaken, {});
  }
  return true;
}

void LoadFeed::Take(LoadMessage result, std::string_view why) {
  counts_->messages[static_cast<size_t>(result)].fetch_add(1, std::memory_order_relaxed);
  if (result == LoadMessage::kTaken) return;
  if (const uint64_t lines = limiter_.Admit(lane_.clock->Monotonic())) {
    LogWarning("load of {}: {}; what it said before stays until it is too old ({} alike not shown)",
               endpoint_, why, lines - 1);
  }
}

void LoadFeed::FollowConnection() {
  while (const auto change = subscription_->NextChange()) {
    if (*change == EventSubscription::Change::kConnected) {
      reconnect_pause_ = lane_.options->reconnect_min;
    }
  }
}

void LoadFeed::Tick() {
  const Nanos now = lane_.clock->Monotonic();
  if (dialing_ != nullptr) {
    if (!dialing_->done()) return;
    const std::string found = std::exchange(dialing_, nullptr)->dialed().endpoint;
    // What libzmq refuses is tried again as one that does not answer is.
    if (!found.empty() && subscription_->ConnectTo(found).ok()) return;
    reconnect_at_ = now + reconnect_pause_;
  } else if (!subscription_->lost()) {
    if (!subscription_->connects_to().empty()) reconnect_at_ = Nanos::max();
  } else if (reconnect_at_ == Nanos::max()) {
    reconnect_at_ = now + reconnect_pause_;
  } else if (subscription_->HasUnread()) {
    return lane_.poll_set->MarkReady(this);
  }
  if (now < reconnect_at_) return;
  reconnect_at_ = Nanos::max();
  reconnect_pause_ = std::min<Nanos>(2 * reconnect_pause_, lane_.options->reconnect_max);
  if (NamesHost(endpoint_)) return Find();
  subscription_->Reconnect();
}

void LoadFeed::Find() {
  if (const auto host = ParseTcpEndpoint(endpoint_)) {
    dialing_ = lane_.dialer->Dial(*host, Dialer::Purpose::kAddress);
  }
}

}  // namespace kvroute
