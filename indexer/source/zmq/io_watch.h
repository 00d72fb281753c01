#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_IO_WATCH_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_IO_WATCH_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/named_thread.h"
#include "indexer/base/thread_age.h"
#include "indexer/base/wake_fd.h"
#include "indexer/source/zmq/socket_budget.h"
#include "indexer/source/zmq/zmq_socket.h"

namespace kvroute {

// Whether libzmq's I/O threads go on: each has a connection of this process to itself, over which a
// word is sent every second. Its port is open to the other end of that connection only, whose own
// port is known before: whatever else asks for a connection is dropped by the system. (To close the
// port, zmq_unbind, would end the connection.) These threads have no other sign of life; one that
// waits for a name server, say, stops the events of every stream while each of these looks well.
//
// Thread safety: AddAges from any thread. Ownership: the context and the budget outlive it.
class IoWatch {
 public:
  static constexpr std::chrono::seconds kInterval{1};

  // RESOURCE_EXHAUSTED without descriptors.
  static absl::StatusOr<std::unique_ptr<IoWatch>> Start(SocketContext* sockets,
                                                        SocketBudget* budget, int io_threads);
  ~IoWatch();
  IoWatch(const IoWatch&) = delete;
  IoWatch& operator=(const IoWatch&) = delete;

  // Words that have come, of all threads.
  uint64_t words() const { return words_.load(std::memory_order_relaxed); }
  // "zmq-io-0": since when a word has been on its way.
  void AddAges(std::vector<ThreadAge>* ages) const;

 private:
  struct Line {
    ~Line();
    SocketBudget::Share share;
    int near = -1;                    // a TCP socket
    std::unique_ptr<ZmqSocket> far;   // a STREAM socket, which takes bytes as they come
    std::atomic<int64_t> sent_ns{0};  // 0: everything that was sent has come
  };

  IoWatch() = default;
  absl::Status Open(SocketContext* sockets, SocketBudget* budget, int io_thread);
  static absl::Status Connect(Line* line);
  void Run();
  void Ask(Line* line);

  std::vector<std::unique_ptr<Line>> lines_;
  WakeFd wake_;
  std::atomic<uint64_t> words_{0};
  std::atomic<bool> stop_{false};
  NamedThread thread_;  // last
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_IO_WATCH_H_
