#ifndef KVROUTE_TOOLS_ENGINE_WAITING_SET_H_
#define KVROUTE_TOOLS_ENGINE_WAITING_SET_H_

#include <poll.h>

#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/mutex.h"

namespace kvroute {

// Things that sleep until somebody wakes them, each with the socket of the client that waits. Who
// finds one here and takes it out is the one who wakes it, so that each sleep ends once, whoever
// comes first and whether it is still there or not.
//
// Thread safety: every method from any thread. `Thing` is a pointer.
template <typename Thing>
class WaitingSet {
 public:
  // `sleep` runs before anybody can wake it. False: it is closed, and nothing may sleep any more.
  template <typename Sleep>
  bool Add(Thing thing, int fd, Sleep sleep) {
    MutexLock lock(&mutex_);
    if (closed_) return false;
    waiting_[thing] = fd;
    sleep();
    return true;
  }
  size_t size() const {
    MutexLock lock(&mutex_);
    return waiting_.size();
  }
  // Whether the caller is to wake it.
  bool Take(Thing thing) {
    MutexLock lock(&mutex_);
    return waiting_.erase(thing) > 0;
  }
  // Those whose client has gone, which the caller is to wake.
  std::vector<Thing> TakeAbandoned() {
    std::vector<Thing> gone;
    MutexLock lock(&mutex_);
    std::vector<pollfd> sockets;
    std::vector<Thing> things;
    for (const auto& [thing, fd] : waiting_) {
      sockets.push_back({.fd = fd, .events = POLLRDHUP, .revents = 0});
      things.push_back(thing);
    }
    if (sockets.empty() || poll(sockets.data(), sockets.size(), 0) <= 0) return gone;
    for (size_t i = 0; i < sockets.size(); ++i) {
      if (sockets[i].revents == 0) continue;
      waiting_.erase(things[i]);
      gone.push_back(things[i]);
    }
    return gone;
  }
  // All, which the caller is to wake.
  std::vector<Thing> TakeAll() {
    MutexLock lock(&mutex_);
    return TakeAllLocked();
  }
  std::vector<Thing> Close() {
    MutexLock lock(&mutex_);
    closed_ = true;
    return TakeAllLocked();
  }

 private:
  std::vector<Thing> TakeAllLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<Thing> all;
    for (const auto& [thing, fd] : waiting_) all.push_back(thing);
    waiting_.clear();
    return all;
  }

  mutable Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<Thing, int> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_WAITING_SET_H_
