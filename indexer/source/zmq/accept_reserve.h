#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_ACCEPT_RESERVE_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_ACCEPT_RESERVE_H_

#include <cstddef>
#include <vector>

namespace kvroute {

// Descriptors that a listening socket keeps for the moment when the process has no other. libzmq
// can then neither accept a connection nor leave it alone: its I/O thread tries again without end,
// on a whole core, while every stream waits for that thread. So what stands in the socket's queue
// (its backlog) is accepted with these, and no further connection gets into the queue: the system
// is told to drop whatever asks for one, whose engine tries again. Connections that stand are not
// touched, as they would be by zmq_unbind.
//
// Thread safety: one thread at a time.
class AcceptReserve {
 public:
  // `backlog` of the socket; Linux queues one more.
  explicit AcceptReserve(size_t backlog) : size_(backlog + 1) {}
  ~AcceptReserve() { Release(); }
  AcceptReserve(const AcceptReserve&) = delete;
  AcceptReserve& operator=(const AcceptReserve&) = delete;

  // Takes the descriptors; false, and none is taken: there are not so many.
  bool Take();
  // No more connections for now.
  void Pause(int listening_fd);
  // Connections again, if the descriptors are there.
  bool TryResume(int listening_fd);
  bool paused() const { return paused_; }

 private:
  void Release();

  const size_t size_;
  bool paused_ = false;
  std::vector<int> kept_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_ACCEPT_RESERVE_H_
