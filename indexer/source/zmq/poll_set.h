#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_POLL_SET_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_POLL_SET_H_

#include <chrono>
#include <utility>
#include <vector>

#include "indexer/base/clock.h"
#include "indexer/base/log.h"
#include "indexer/base/wake_fd.h"

namespace kvroute {

// How long a thread works before it looks after everything else again.
class Turn {
 public:
  Turn(const Clock* clock, Nanos length)
      : clock_(clock), began_(clock->Monotonic()), ends_(began_ + length) {}

  bool Over() const { return clock_->Monotonic() >= ends_; }
  Nanos Length() const { return clock_->Monotonic() - began_; }

 private:
  const Clock* const clock_;
  const Nanos began_;
  const Nanos ends_;
};

// Something with sockets that a lane works on.
class Pollable {
 public:
  virtual ~Pollable() = default;
  // Does a bounded piece of work, less when the turn is over, but never nothing. True when there
  // may be more to do at once.
  virtual bool Work(const Turn& turn) = 0;
  // Time passes: about every 100 ms.
  virtual void Tick() = 0;

 private:
  friend class PollSet;
  bool ready_ = false;
};

// Who of a lane's pollables has work. libzmq's descriptors tell only that something may have
// happened: a pollable stays ready until its Work says that nothing is left. Costs by what is
// ready, not by how many there are. One whose descriptor the system does not watch (ENOSPC, ENOMEM)
// is taken for ready every kUnwatchedInterval.
//
// Thread safety: one thread at a time; Wake from any thread. Errors: without descriptors ok() is
// false, and it is of no use.
class PollSet {
 public:
  static constexpr std::chrono::milliseconds kUnwatchedInterval{10};

  PollSet();
  ~PollSet();
  PollSet(const PollSet&) = delete;
  PollSet& operator=(const PollSet&) = delete;

  bool ok() const { return epoll_ >= 0 && wake_.fd() >= 0; }
  void Watch(int fd, Pollable* pollable);
  void Unwatch(int fd);
  void MarkReady(Pollable* pollable);
  void Forget(Pollable* pollable);

  // Waits until something is ready, at most `timeout`. False: nothing is.
  bool Wait(std::chrono::milliseconds timeout);
  // Lets what is ready work once each, until the turn is over: the others are the first in the
  // next.
  void Work(const Turn& turn);
  void Wake() { wake_.Wake(); }

 private:
  bool WorkOf(Pollable* pollable, const Turn& turn);

  const int epoll_;
  WakeFd wake_;
  std::vector<Pollable*> ready_;
  std::vector<Pollable*> turn_;  // scratch
  std::vector<std::pair<int, Pollable*>> unwatched_;
  LogLimiter limiter_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_POLL_SET_H_
