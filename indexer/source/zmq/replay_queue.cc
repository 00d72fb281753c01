#include "indexer/source/zmq/replay_queue.h"

#include <utility>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

void Decrement(std::atomic<uint64_t>* counter) { counter->fetch_sub(1, std::memory_order_relaxed); }

}  // namespace

void ReplayQueue::Enter(Place* place, bool brief) {
  if (place->state_ != Place::State::kOut) return;
  std::list<Place*>& queue = brief ? brief_ : whole_;
  place->state_ = Place::State::kWaiting;
  place->brief_ = brief;
  place->refused_ = false;
  place->at_ = queue.insert(queue.end(), place);
  Increment(&counters_->replays_waiting);
  Admit();
}

void ReplayQueue::Leave(Place* place) {
  if (place->state_ == Place::State::kOut) return;
  const bool ran = place->state_ == Place::State::kRunning;
  place->state_ = Place::State::kOut;
  if (!ran) {
    Decrement(&counters_->replays_waiting);
    (place->brief_ ? brief_ : whole_).erase(place->at_);
    return;
  }
  Decrement(&counters_->replays_running);
  running_.erase(place->at_);
  place->share_.Return();
  Admit();
}

void ReplayQueue::Admit() {
  while (HasRoom()) {
    std::list<Place*>* const queue = NextQueue();
    if (queue == nullptr || !Start(queue->front())) return;
  }
}

bool ReplayQueue::HasRoom() const {
  const Nanos now = clock_->Monotonic();
  size_t counted = 0;
  for (const Place* place : running_) {
    if (place->counts_until_ > now && ++counted >= max_) return false;
  }
  return true;
}

std::list<ReplayQueue::Place*>* ReplayQueue::NextQueue() {
  if (brief_.empty() && whole_.empty()) return nullptr;
  const bool whole = brief_.empty() || (whole_is_next_ && !whole_.empty());
  return whole ? &whole_ : &brief_;
}

// False: it has to wait for a descriptor. One is free at the latest when another replay has ended.
bool ReplayQueue::Start(Place* place) {
  auto share = budget_->TakeForReplay(kReplayCost);
  if (!share.ok()) {
    if (!std::exchange(place->refused_, true)) Increment(&counters_->refused_for_descriptors);
    if (const uint64_t lines = limiter_.Admit(clock_->Monotonic())) {
      LogWarning("replays wait: {} ({} alike not shown)", MessageOf(share.status()), lines - 1);
    }
    return false;
  }
  place->share_ = *std::move(share);
  std::list<Place*>& queue = place->brief_ ? brief_ : whole_;
  running_.splice(running_.end(), queue, place->at_);
  place->state_ = Place::State::kRunning;
  place->counts_until_ = clock_->Monotonic() + kPatience;
  Decrement(&counters_->replays_waiting);
  Increment(&counters_->replays_running);
  whole_is_next_ = place->brief_;
  poll_set_->MarkReady(place->stream_);
  return true;
}

}  // namespace kvroute
