#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_HTTP_SIDE_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_HTTP_SIDE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/named_thread.h"

// Both ends of a gateway, at as little cost as may be: engines that answer at once, and clients.
namespace kvroute {

// HTTP/1.1 engines at every address 127.x.x.x of one port, on a thread of their own. An answer says
// in x-engine at which address it was asked; to "/stream" it is `events` events, 50 a second, to
// "/metrics" a page like vLLM's, else a short JSON.
//
// Thread safety: one thread. Errors: whatever fails ends the process.
class FakeEngines {
 public:
  FakeEngines();
  ~FakeEngines();

  static constexpr std::chrono::milliseconds kEventEvery{20};
  int port() const { return port_; }
  static const std::string& MetricsPage();
  // Processor time of its thread.
  double ThreadSeconds() const { return static_cast<double>(thread_ns_) * 1e-9; }
  void StreamEvents(int events) { events_ = events; }

 private:
  struct Connection;
  void Serve();
  void Take(Connection* connection);
  void Tick();
  void Close(Connection* connection);

  int listener_ = -1;
  int epoll_ = -1;
  int port_ = 0;
  std::atomic<int> events_{1};
  std::atomic<bool> ending_{false};
  std::atomic<int64_t> thread_ns_{0};
  std::vector<Connection*> streaming_;
  NamedThread thread_;
};

// Connections of clients to one gateway; each has one request at a time.
class HttpClients {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Answer {
    size_t connection;
    std::string_view engine;  // x-engine; good until the next call
    Time began;               // when its first byte came
  };

  HttpClients(int port, size_t connections);
  ~HttpClients();

  void Ask(size_t connection, std::string_view path, std::string_view body);
  // The next whole answer; nullopt: none before `until`. One of another status than 200 ends the
  // process.
  std::optional<Answer> Next(Time until);

 private:
  struct Connection;
  bool Take(Connection* connection);
  void Send(Connection* connection);

  int epoll_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_HTTP_SIDE_H_
