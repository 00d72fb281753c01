#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_POLL_SET_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_POLL_SET_H_

#include <chrono>
#include <vector>

namespace kvroute {

// Something with sockets that a lane works on.
class Pollable {
 public:
  virtual ~Pollable() = default;
  // Does a bounded piece of work. True when there may be more to do at once.
  virtual bool Work() = 0;
  // Time passes: about every 100 ms.
  virtual void Tick() = 0;

 private:
  friend class PollSet;
  bool ready_ = false;
};

// Who of a lane's pollables has work. libzmq's descriptors tell only that something may have
// happened: a pollable stays ready until its Work says that nothing is left. Costs by what is
// ready, not by how many there are.
//
// Thread safety: one thread at a time; Wake from any thread.
class PollSet {
 public:
  PollSet();
  ~PollSet();
  PollSet(const PollSet&) = delete;
  PollSet& operator=(const PollSet&) = delete;

  void Watch(int fd, Pollable* pollable);
  void Unwatch(int fd);
  void MarkReady(Pollable* pollable);
  void Forget(Pollable* pollable);

  // Waits for work, at most `timeout`, and lets everything that is ready work once.
  void RunOnce(std::chrono::milliseconds timeout);
  void Wake();

 private:
  const int epoll_;
  const int wake_;
  std::vector<Pollable*> ready_;
  std::vector<Pollable*> turn_;  // scratch
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_POLL_SET_H_
