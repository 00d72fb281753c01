#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTIONS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTIONS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "indexer/base/clock.h"
#include "indexer/base/log.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "indexer/telemetry/listening_socket.h"
#include "router/edge/grpc_base/conduct.h"
#include "router/edge/grpc_base/connection.h"
#include "router/edge/grpc_base/unfinished.h"
#include "router/route/routing_stats.h"

struct sockaddr_storage;

namespace kvroute {

struct ConnectionsOptions {
  std::string_view edge = "grpc";  // in logs, and of whose max_connections it is
  size_t max_connections = 0;
  // Of requests that are not whole yet, of all connections: beyond it those that have most of it
  // are cut off. 0: no limit.
  uint64_t max_unfinished_bytes = 0;
  ConductLimits conduct;
};

// Totals, owned by whoever shows them.
struct ConnectionCounters {
  std::atomic<uint64_t>* now = nullptr;
  std::array<std::atomic<uint64_t>, kConnectionEndNames.size()>* ended = nullptr;
};

// The connections of the gRPC ports of one edge. kvroute accepts them itself and gives them to
// gRPC: so their number is bounded, and one that misbehaves (conduct.h) is cut off, whatever gRPC
// makes of it. docs/decisions/0013 tells why.
//
// gRPC takes whatever is sent of a message before it looks how long that is, and its own quota does
// not keep it from that: so what has been received of requests and not become one yet is bounded
// here, by what the kernel counts and what came to the services.
//
// At the limit a new connection takes the place of another: of the oldest of those that never
// called, else of the one that has been silent for longest and has no call under way, else of the
// one that has been silent for longest.
//
// Thread safety: every method from any thread; one thread of its own accepts and judges.
// Ownership: the counters must outlive it. Errors: Listen's name the address; what happens to
// a connection is counted and logged at a bounded rate.
class Connections {
 public:
  // Takes the descriptor.
  using Serve = std::function<void(int fd, size_t listener)>;
  using Gone = std::function<void(const ClientId&)>;
  Connections(const ConnectionsOptions& options, const ConnectionCounters& counters);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Once for each address, before Start.
  absl::Status Listen(const std::string& address);
  int port(size_t listener = 0) const { return listeners_[listener].port; }
  // Accepts from now on; `serve` and `gone` are called on the thread.
  void Start(Serve serve, Gone gone);
  // No new ones; those that there are stay under watch.
  void StopListening();
  // Ends the thread, and forgets them. Idempotent.
  void Stop();

  // Of a call, by its ServerContext::peer(); nullptr: it is closed already.
  std::shared_ptr<Connection> Find(std::string_view grpc_peer) const;
  void Cut(Connection* connection, ConnectionEnd why);
  // How long the thread has done nothing.
  Nanos SinceLastTurn() const;

 private:
  struct Watched {
    explicit Watched(const ConductLimits& limits) : conduct(limits) {}
    std::shared_ptr<Connection> connection;
    Conduct conduct;
    Conduct::Reading last;
    Unfinished unfinished;
    Unfinished::Whole whole;
    uint64_t received_before = 0;  // when that was looked at
    SocketNumber socket = 0;       // 0: not known yet
    uint64_t bytes_at_counts = 0;  // received a turn before last.calls were read
    uint64_t last_active_turn = 0;
    bool cut = false;
  };
  using ById = absl::flat_hash_map<uint64_t, Watched>;

  void Run();
  absl::Status Prepare();
  void Accept(size_t listener);
  void Admit(int fd, size_t listener, const sockaddr_storage& from);
  void CloseListeners();
  void SetListening(bool on);
  bool MakeRoom();
  void OutOfDescriptors();
  void ListenAgain();
  void Forget(uint64_t number);
  void TakeTurn();
  // More often while much comes: no wire brings more between two looks than there is room for.
  void LookAtUnfinished(bool all);
  uint64_t UnfinishedOfGone();
  void CutMostUnfinished(uint64_t bytes);
  void Look(Watched* watched);
  void FindSockets();
  void GiveMemoryBack();

  const ConnectionsOptions options_;
  const ConnectionCounters counters_;
  size_t limit_ = 0;
  std::vector<ListeningSocket> listeners_;
  int poll_ = -1;
  int wake_ = -1;
  Serve serve_;
  Gone gone_;

  // Of the thread.
  ById watched_;
  uint64_t next_number_ = 1;
  bool much_comes_ = false;
  // Connections that are closed, and that gRPC has not let go of yet: it may be behind.
  struct GoneOne {
    SocketNumber socket;
    uint64_t unfinished_bytes;
    uint64_t turn;
  };
  std::vector<GoneOne> gone_ones_;
  uint64_t turn_ = 0;
  SocketNumber last_socket_ = 0;
  bool paused_ = false;  // out of descriptors: until the next turn
  uint64_t trim_at_turn_ = 0;
  LogLimiter room_log_;

  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Connection>> by_peer_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> listening_{true};
  std::atomic<bool> ending_{false};
  std::atomic<bool> trim_wanted_{false};
  std::atomic<int64_t> last_turn_ns_{0};
  LogLimiter cut_log_;
  NamedThread thread_;
};

// How many connections the descriptors allow, each of which takes two: a quarter of them all, so
// that what else runs (engines, pages, files) has its own.
size_t ConnectionsThatFit(size_t wanted);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTIONS_H_
