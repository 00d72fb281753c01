#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_REPLAY_SERVER_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_REPLAY_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "test/benchmark/support/wire_events.h"

namespace kvroute {

// The replay sockets of many engines that all have the same buffer, at next to no cost: what is
// sent was put together before, as ZMTP bytes, and goes from there to the system. So a machine that
// runs both ends measures the other one.
//
// Thread safety: one thread. Errors: whatever fails ends the process.
class ReplayServer {
 public:
  ReplayServer(size_t engines, size_t batches, const WireEvents& events);

  // tcp://127.0.0.1:port of each.
  const std::vector<std::string>& endpoints() const { return endpoints_; }
  // Of one whole replay.
  size_t bytes() const { return replies_.size(); }
  void ServeForEver();

 private:
  struct Client {
    int fd = -1;
    std::string received;
    size_t sent = 0;
    bool asked = false;
    std::list<Client>::iterator self;
  };

  void Listen();
  void Accept(int listener);
  void Follow(Client* client);
  void Close(Client* client);

  const int epoll_;
  std::vector<size_t> begins_;  // of each batch's reply in replies_, and of the end
  std::string replies_;
  std::vector<int> listeners_;
  std::vector<std::string> endpoints_;
  std::list<Client> clients_;
};

// Receives one whole replay and drops it: what it costs to have the bytes. Bytes of it.
size_t ReceiveReplay(const std::string& endpoint, size_t bytes);

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_REPLAY_SERVER_H_
