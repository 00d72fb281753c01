#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTION_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "indexer/base/mutex.h"
#include "router/load/client_id.h"
#include "router/route/routing_stats.h"

struct sockaddr_storage;

namespace kvroute {

// A peer in gRPC's words, "ipv4:10.0.0.7:41312" or "ipv6:[fe80::1]:41312", with nothing escaped.
std::string PeerName(const sockaddr_storage& address);
std::string PeerName(std::string_view grpc_peer);

// Of one connection, as the kernel counts.
struct TcpReading {
  uint64_t bytes_received = 0;
  uint64_t bytes_acked = 0;   // by the peer
  uint64_t bytes_unread = 0;  // sent, or to be sent, and not acknowledged by the peer
};

// A client's connection, beside gRPC, which serves it: who it is, how many calls it has under way,
// and a descriptor of our own by which it can be cut off.
//
// Thread safety: every method from any thread; rpc_streams and watchers belong to the event loop.
class Connection {
 public:
  // Takes `fd`, a duplicate of the descriptor that gRPC has.
  Connection(uint64_t number, std::string peer, int fd, size_t listener = 0);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::string& peer() const { return peer_; }
  const ClientId& client() const { return client_; }
  // Which of the listening sockets it came to, in the order of Connections::Listen.
  size_t listener() const { return listener_; }

  // Ends the connection for both sides, whatever is under way; gRPC sees that its peer went. True
  // the first time.
  bool Cut();
  // nullopt when it is closed.
  std::optional<TcpReading> Read() const;
  // Gives the descriptor back: gRPC has closed its own.
  void Close();

  // Calls that the edge serves for it, and those of them whose answer is on its way.
  std::atomic<uint32_t> calls{0};
  std::atomic<uint32_t> unsent{0};
  std::atomic<size_t> unsent_bytes{0};  // of those
  // What has come of its requests: bytes of whole messages, and how many.
  std::atomic<uint64_t> message_bytes{0};
  std::atomic<uint64_t> messages{0};
  std::atomic<bool> has_called{false};
  uint32_t rpc_streams = 0;
  uint32_t watchers = 0;

 private:
  const std::string peer_;
  const ClientId client_;
  const size_t listener_;
  mutable Mutex mutex_;
  int fd_ ABSL_GUARDED_BY(mutex_);
  bool cut_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTION_H_
