#ifndef KVROUTE_TEST_SUPPORT_TCP_PROXY_H_
#define KVROUTE_TEST_SUPPORT_TCP_PROXY_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "indexer/base/named_thread.h"

namespace kvroute::testing_support {

// A network between two loopback ports that can fail: forwards every connection to `target_port` on
// 127.0.0.1.
//
// Thread safety: every method from any thread.
class TcpProxy {
 public:
  enum class Mode : uint8_t {
    kForward,
    kHold,  // connections stand, nothing passes: a network that swallows packets
    kCut,   // connections are closed, new ones closed at once: a network that is down
  };

  explicit TcpProxy(int target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
  std::string endpoint() const { return "tcp://127.0.0.1:" + std::to_string(port_); }
  // Takes effect before it returns.
  void Set(Mode mode);
  int connections() const { return connections_.load(); }

 private:
  struct Pipe {  // one connection, both ways
    int client = -1;
    int server = -1;
    std::string to_server;
    std::string to_client;
  };

  void Run();
  void Accept();
  void PollOnce(Mode mode);
  bool Pump(Pipe* pipe, short client_events, short server_events);
  void CloseAll();

  const int target_port_;
  int port_ = 0;
  int listener_ = -1;
  std::vector<Pipe> pipes_;  // the thread's own
  std::atomic<Mode> mode_{Mode::kForward};
  std::atomic<Mode> in_effect_{Mode::kForward};
  std::atomic<int> connections_{0};
  std::atomic<bool> stop_{false};
  NamedThread thread_;
};

// The port of "tcp://host:port".
int PortOf(const std::string& endpoint);

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_TCP_PROXY_H_
