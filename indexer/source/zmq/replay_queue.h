#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_REPLAY_QUEUE_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_REPLAY_QUEUE_H_

#include <chrono>
#include <cstdint>
#include <list>

#include "indexer/base/clock.h"
#include "indexer/base/log.h"
#include "indexer/source/zmq/poll_set.h"
#include "indexer/source/zmq/socket_budget.h"

namespace kvroute {

// Which streams of a lane may ask their engines for a replay. All at once, after a start, they
// would bring more than the lane can apply: replies would lie unread until their engines' pipes are
// full and lose the rest, which is then asked for again. So `max` of them go at a time and the
// others wait in the order in which they came, those that miss little before those that miss
// everything, in turns.
//
// Only replays that keep the lane busy count: one whose engine has not answered for kPatience, or
// slower than the lane applies, holds nobody up. docs/decisions/0019 has the reasons.
//
// Thread safety: the lane's thread. Ownership: everything passed in outlives it, and it outlives
// its places.
class ReplayQueue {
 public:
  static constexpr std::chrono::milliseconds kPatience{500};

  ReplayQueue(size_t max, SocketBudget* budget, IngestCounters* counters, PollSet* poll_set,
              const Clock* clock)
      : max_(max), budget_(budget), counters_(counters), poll_set_(poll_set), clock_(clock) {}
  ReplayQueue(const ReplayQueue&) = delete;
  ReplayQueue& operator=(const ReplayQueue&) = delete;

  // A stream's place in it; out of it at first, and when it goes.
  class Place {
   public:
    Place(ReplayQueue* queue, Pollable* stream) : queue_(queue), stream_(stream) {}
    ~Place() { queue_->Leave(this); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    bool may_ask() const { return state_ == State::kRunning; }
    bool waits() const { return state_ == State::kWaiting; }

   private:
    friend class ReplayQueue;
    enum class State : uint8_t { kOut, kWaiting, kRunning };

    ReplayQueue* const queue_;
    Pollable* const stream_;
    State state_ = State::kOut;
    bool brief_ = false;
    bool refused_ = false;            // a descriptor, since it waits
    std::list<Place*>::iterator at_;  // unless it is out
    Nanos counts_until_{0};           // while running
    SocketBudget::Share share_;       // while running
  };

  // The stream wants to ask, for little or for everything. It may, if may_ask() now; else it is
  // marked ready once it may. Nothing changes for one that waits or runs.
  void Enter(Place* place, bool brief);
  // More replies have come than were read: the lane is what it waits for.
  void IsBusy(Place* place) { place->counts_until_ = clock_->Monotonic() + kPatience; }
  // Its replay is over, or it is gone.
  void Leave(Place* place);
  // Time passes.
  void Tick() { Admit(); }

  bool empty() const { return running_.empty() && brief_.empty() && whole_.empty(); }

 private:
  void Admit();
  bool HasRoom() const;
  std::list<Place*>* NextQueue();
  bool Start(Place* place);

  const size_t max_;
  SocketBudget* const budget_;
  IngestCounters* const counters_;
  PollSet* const poll_set_;
  const Clock* const clock_;
  std::list<Place*> brief_;
  std::list<Place*> whole_;
  std::list<Place*> running_;
  bool whole_is_next_ = false;
  LogLimiter limiter_{std::chrono::minutes(1)};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_REPLAY_QUEUE_H_
