#ifndef KVROUTE_TOOLS_ENGINE_ENGINE_SOCKETS_H_
#define KVROUTE_TOOLS_ENGINE_ENGINE_SOCKETS_H_

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "indexer/base/clock.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"

namespace kvroute {

// The listening sockets of many engines on one thread, and which connection is whose. An engine can
// be closed for a while: nobody listens then, and its connections are cut.
//
// Thread safety: every method from any thread. Ownership: a connection belongs to `accepted` once
// that was called; it must say Ended before it closes the descriptor.
class EngineSockets {
 public:
  using Accepted = std::function<void(int fd, const sockaddr* address, socklen_t size)>;

  EngineSockets() = default;
  ~EngineSockets() { Stop(); }
  EngineSockets(const EngineSockets&) = delete;
  EngineSockets& operator=(const EngineSockets&) = delete;

  // "host:port" of the next engine. Errors name the address.
  absl::Status Listen(const std::string& address);
  // Once, after all Listen. `tick` is called about every 20 ms on the thread.
  absl::Status Start(Accepted accepted, std::function<void()> tick);
  void Stop();

  // As bound: "host:port" with the host as given.
  std::string address(size_t engine) const;
  // Of an accepted connection.
  size_t EngineOf(int fd) const;
  void Ended(int fd);

  void Close(size_t engine);
  // The same address again. Errors: somebody else has it now.
  absl::Status Reopen(size_t engine);

 private:
  struct Listener {
    std::string address;
    int fd = -1;  // -1: closed
  };

  void Run(const Accepted& accepted, const std::function<void()>& tick);
  void AcceptAll(size_t engine, const Accepted& accepted);
  absl::Status Watch(size_t engine, int fd) const;

  int epoll_ = -1;
  int stop_ = -1;  // an eventfd
  mutable Mutex mutex_;
  std::vector<Listener> listeners_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<int, size_t> connections_ ABSL_GUARDED_BY(mutex_);  // engine by descriptor
  NamedThread thread_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_ENGINE_SOCKETS_H_
