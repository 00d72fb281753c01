#include "router/edge/grpc_base/connections.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <tuple>
#include <utility>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

// What epoll says of. Connections are numbered from 1 on, listeners down from the highest.
constexpr uint64_t kWake = 0;
constexpr uint64_t kFirstListener = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kMostListeners = 16;
uint64_t NumberOfListener(size_t listener) { return kFirstListener - listener; }
constexpr int kAcceptedAtOnce = 64;
// Fewer bytes are not worth asking gRPC for its counts.
constexpr uint64_t kFewBytes = 2'048;
// gRPC gives a connection its number a little before it lists it.
constexpr SocketNumber kListedLate = 64;
constexpr uint64_t kTurnsUntilTrim = 10;
// While more than so many bytes come in a turn, requests that are not whole are looked at so often.
constexpr std::chrono::milliseconds kLookEvery(10);
constexpr uint64_t kMuchBytes = 1 << 20;
// One whose number in gRPC is not known is taken to be gone by then.
constexpr uint64_t kTurnsUntilForgotten = 10;

Nanos Now() { return Clock::Real().Monotonic(); }

Unfinished::Whole WholeRequestsOf(const Connection& connection) {
  return {connection.message_bytes.load(), connection.messages.load()};
}

}  // namespace

size_t ConnectionsThatFit(size_t wanted) {
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return wanted;
  const size_t fit = static_cast<size_t>(descriptors.rlim_cur) / 8;
  return std::clamp<size_t>(fit, 1, wanted);
}

Connections::Connections(const ConnectionsOptions& options, const ConnectionCounters& counters)
    : options_(options), counters_(counters), limit_(options.max_connections) {}

Connections::~Connections() {
  Stop();
  CloseListeners();
  for (const int fd : {poll_, wake_}) {
    if (fd >= 0) close(fd);
  }
}

absl::Status Connections::Listen(const std::string& address) {
  if (poll_ < 0) {
    if (absl::Status status = Prepare(); !status.ok()) return status;
  }
  KVROUTE_CHECK(listeners_.size() < kMostListeners);
  absl::StatusOr<ListeningSocket> socket = kvroute::Listen(address);
  if (!socket.ok()) return socket.status();
  epoll_event accept{.events = EPOLLIN, .data = {.u64 = NumberOfListener(listeners_.size())}};
  listeners_.push_back(*socket);
  if (epoll_ctl(poll_, EPOLL_CTL_ADD, socket->fd, &accept) == 0) return absl::OkStatus();
  return absl::UnavailableError("out of descriptors");
}

absl::Status Connections::Prepare() {
  poll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event wake{.events = EPOLLIN, .data = {.u64 = kWake}};
  if (poll_ < 0 || wake_ < 0 || epoll_ctl(poll_, EPOLL_CTL_ADD, wake_, &wake) != 0) {
    return absl::UnavailableError("out of descriptors");
  }
  limit_ = ConnectionsThatFit(options_.max_connections);
  if (limit_ < options_.max_connections) {
    LogInfo(
        "{}.max_connections: {} of {}, as many as a quarter of the descriptors serve; raise "
        "the limit of open files for more",
        options_.edge, limit_, options_.max_connections);
  }
  return absl::OkStatus();
}

void Connections::CloseListeners() {
  for (ListeningSocket& listener : listeners_) {
    if (listener.fd >= 0) close(std::exchange(listener.fd, -1));
  }
}

void Connections::Start(Serve serve, Gone gone) {
  serve_ = std::move(serve);
  gone_ = std::move(gone);
  last_turn_ns_ = Now().count();
  thread_ = NamedThread(std::string(options_.edge) + "-accept", [this] { Run(); });
}

void Connections::StopListening() {
  listening_ = false;
  if (wake_ >= 0) eventfd_write(wake_, 1);
}

void Connections::Stop() {
  ending_ = true;
  StopListening();
  thread_.Join();
  watched_.clear();
  MutexLock lock(&mutex_);
  by_peer_.clear();
}

Nanos Connections::SinceLastTurn() const { return Now() - Nanos(last_turn_ns_.load()); }

std::shared_ptr<Connection> Connections::Find(std::string_view grpc_peer) const {
  const auto find = [this](std::string_view name) -> std::shared_ptr<Connection> {
    MutexLock lock(&mutex_);
    const auto it = by_peer_.find(absl::string_view(name.data(), name.size()));
    return it == by_peer_.end() ? nullptr : it->second;
  };
  if (grpc_peer.find('%') != std::string_view::npos) return find(PeerName(grpc_peer));
  return find(grpc_peer);
}

void Connections::Cut(Connection* connection, ConnectionEnd why) {
  if (!connection->Cut()) return;
  (*counters_.ended)[static_cast<size_t>(why)].fetch_add(1, std::memory_order_relaxed);
  if (why != ConnectionEnd::kRoom) trim_wanted_ = true;
  LogLimiter& log = why == ConnectionEnd::kRoom ? room_log_ : cut_log_;
  if (const uint64_t lines = log.Admit(Now())) {
    LogWarning("{}: connection of {} cut off: {} ({} alike held back)", options_.edge,
               connection->peer(), kConnectionEndNames[why], lines - 1);
  }
}

void Connections::Run() {
  std::array<epoll_event, 256> events;
  Nanos next_turn = Now() + kTurn;
  Nanos next_look = Now();
  while (!ending_) {
    const Nanos next = much_comes_ ? std::min(next_look, next_turn) : next_turn;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Now()).count();
    const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(std::max<int64_t>(left, 0)));
    for (int i = 0; i < count; ++i) {
      const uint64_t what = events[static_cast<size_t>(i)].data.u64;
      if (what > kFirstListener - kMostListeners) {
        Accept(kFirstListener - what);
      } else if (what == kWake) {
        eventfd_t ignored;
        eventfd_read(wake_, &ignored);
        if (!listening_) CloseListeners();
      } else {
        Forget(what);
      }
    }
    if (much_comes_ && Now() >= next_look) {
      LookAtUnfinished(/*all=*/false);
      next_look = Now() + kLookEvery;
    }
    if (Now() < next_turn) continue;
    TakeTurn();
    next_turn = Now() + kTurn;
  }
}

void Connections::Accept(size_t listener) {
  const int socket = listeners_[listener].fd;
  for (int i = 0; i < kAcceptedAtOnce && socket >= 0; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof(from);
    const int fd =
        accept4(socket, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      Admit(fd, listener, from);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return OutOfDescriptors();
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;
    }
  }
}

void Connections::Admit(int fd, size_t listener, const sockaddr_storage& from) {
  while (watched_.size() >= limit_ && MakeRoom()) {
  }
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  const uint64_t number = next_number_++;
  epoll_event hangup{.events = EPOLLET, .data = {.u64 = number}};  // EPOLLHUP is always told
  if (own < 0 || epoll_ctl(poll_, EPOLL_CTL_ADD, own, &hangup) != 0) {
    if (own >= 0) close(own);
    close(fd);
    return OutOfDescriptors();
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  auto connection = std::make_shared<Connection>(number, PeerName(from), own, listener);
  {
    MutexLock lock(&mutex_);
    by_peer_[connection->peer()] = connection;
  }
  Watched watched(options_.conduct);
  watched.connection = std::move(connection);
  watched.last_active_turn = turn_;
  watched_.emplace(number, std::move(watched));
  much_comes_ = true;  // nobody knows yet
  counters_.now->store(watched_.size(), std::memory_order_relaxed);
  serve_(fd, listener);
}

// False: there is none.
bool Connections::MakeRoom() {
  // By class; in it by when it was heard last, then by age.
  const auto rank = [](const ById::value_type& entry) {
    const Connection& connection = *entry.second.connection;
    const bool called = connection.has_called.load(std::memory_order_relaxed);
    const bool busy = connection.calls.load(std::memory_order_relaxed) != 0;
    return std::make_tuple(busy     ? 2
                           : called ? 1
                                    : 0,
                           called ? entry.second.last_active_turn : 0, entry.first);
  };
  const auto victim =
      std::min_element(watched_.begin(), watched_.end(),
                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (victim == watched_.end()) return false;
  Cut(victim->second.connection.get(), ConnectionEnd::kRoom);
  Forget(victim->first);
  return true;
}

void Connections::OutOfDescriptors() {
  (*counters_.ended)[static_cast<size_t>(ConnectionEnd::kDescriptors)].fetch_add(
      1, std::memory_order_relaxed);
  if (const uint64_t lines = room_log_.Admit(Now())) {
    LogWarning("{}: out of descriptors or memory for a new connection ({} alike held back)",
               options_.edge, lines - 1);
  }
  MakeRoom();
  SetListening(false);
  paused_ = true;
}

void Connections::ListenAgain() {
  if (std::exchange(paused_, false)) SetListening(true);
}

void Connections::SetListening(bool on) {
  for (size_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i].fd < 0) continue;
    epoll_event event{.events = on ? EPOLLIN : 0u, .data = {.u64 = NumberOfListener(i)}};
    epoll_ctl(poll_, EPOLL_CTL_MOD, listeners_[i].fd, &event);
  }
}

// It is closed, or about to be.
void Connections::Forget(uint64_t number) {
  const auto it = watched_.find(number);
  if (it == watched_.end()) return;
  const std::shared_ptr<Connection> connection = std::move(it->second.connection);
  if (it->second.unfinished.bytes() != 0) {
    gone_ones_.push_back({it->second.socket, it->second.unfinished.bytes(), turn_});
  }
  watched_.erase(it);
  counters_.now->store(watched_.size(), std::memory_order_relaxed);
  {
    MutexLock lock(&mutex_);
    const auto named = by_peer_.find(connection->peer());
    if (named != by_peer_.end() && named->second == connection) by_peer_.erase(named);
  }
  connection->Close();
  gone_(connection->client());
}

void Connections::TakeTurn() {
  ++turn_;
  last_turn_ns_ = Now().count();
  ListenAgain();
  FindSockets();
  for (auto& [number, watched] : watched_) Look(&watched);
  LookAtUnfinished(/*all=*/true);
  GiveMemoryBack();
}

// Of those that were silent in the last turn nothing is expected until the next.
void Connections::LookAtUnfinished(bool all) {
  if (options_.max_unfinished_bytes == 0) return;
  uint64_t unfinished = 0, received = 0;
  for (auto& [number, watched] : watched_) {
    if (watched.cut) continue;
    const Connection& connection = *watched.connection;
    if (!all && watched.last_active_turn + 1 < turn_ && watched.unfinished.bytes() == 0) continue;
    // First what came to the services: it is never more than was received.
    if (!all) watched.whole = WholeRequestsOf(connection);
    const std::optional<TcpReading> tcp = all ? watched.last.tcp : connection.Read();
    if (!tcp) continue;
    received += tcp->bytes_received - std::min(tcp->bytes_received, watched.received_before);
    watched.received_before = tcp->bytes_received;
    watched.unfinished.Read(tcp->bytes_received, watched.whole, watched.last.calls.begun);
    unfinished += watched.unfinished.bytes();
  }
  if (unfinished > options_.max_unfinished_bytes) CutMostUnfinished(unfinished);
  // Whoever comes next waits until gRPC has let go of what others left.
  if (const uint64_t gone = UnfinishedOfGone();
      gone > kMuchBytes && gone + unfinished > options_.max_unfinished_bytes && !paused_) {
    SetListening(false);
    paused_ = true;
  }
  const bool much = received > kMuchBytes || unfinished > kMuchBytes;
  much_comes_ = much || (much_comes_ && !all);  // until a whole turn brought little
}

// gRPC forgets a connection when the last of its calls is gone.
uint64_t Connections::UnfinishedOfGone() {
  std::erase_if(gone_ones_, [this](const GoneOne& gone) {
    if (gone.socket == 0) return gone.turn + kTurnsUntilForgotten < turn_;
    return !ReadCallCounts(gone.socket).has_value();
  });
  uint64_t bytes = 0;
  for (const GoneOne& gone : gone_ones_) bytes += gone.unfinished_bytes;
  return bytes;
}

void Connections::CutMostUnfinished(uint64_t bytes) {
  while (bytes > options_.max_unfinished_bytes) {
    const auto most = std::max_element(watched_.begin(), watched_.end(), [](auto& a, auto& b) {
      return (a.second.cut ? 0 : a.second.unfinished.bytes()) <
             (b.second.cut ? 0 : b.second.unfinished.bytes());
    });
    if (most == watched_.end() || most->second.cut) return;
    bytes -= std::min(bytes, most->second.unfinished.bytes());
    most->second.cut = true;
    Cut(most->second.connection.get(), ConnectionEnd::kUnfinishedRequests);
  }
}

void Connections::Look(Watched* watched) {
  if (watched->cut) return;
  Connection* const connection = watched->connection.get();
  watched->whole = WholeRequestsOf(*connection);
  const std::optional<TcpReading> tcp = connection->Read();
  if (!tcp) return;
  Conduct::Reading now{*tcp, watched->last.calls, connection->calls};
  if (now.tcp.bytes_received != watched->last.tcp.bytes_received) {
    watched->last_active_turn = turn_;
  }
  const uint64_t heard = now.tcp.bytes_received - watched->bytes_at_counts;
  // Of a silent client no call begins, and as long as the edge serves them all none has ended.
  const bool changes =
      now.calls.open() != 0 && (heard != 0 || now.calls.open() != now.calls_at_edge);
  if (watched->socket != 0 && (heard >= kFewBytes || changes)) {
    // gRPC may not have read yet what came since the last turn: that is asked about once more.
    watched->bytes_at_counts = watched->last.tcp.bytes_received;
    now.calls = ReadCallCounts(watched->socket).value_or(now.calls);
  }
  watched->last = now;
  const std::optional<ConnectionEnd> end = watched->conduct.Judge(now);
  if (!end) return;
  watched->cut = true;
  Cut(connection, *end);
}

// gRPC numbers a connection when its first bytes come or before.
void Connections::FindSockets() {
  absl::flat_hash_map<std::string_view, Watched*> unknown;
  for (auto& [number, watched] : watched_) {
    if (watched.socket == 0) unknown.emplace(watched.connection->peer(), &watched);
  }
  if (unknown.empty()) return;
  const SocketNumber first = std::max<SocketNumber>(last_socket_ - kListedLate, 0);
  ListSockets(first, [&](SocketNumber socket, std::string_view peer) {
    last_socket_ = std::max(last_socket_, socket);
    const auto it = unknown.find(PeerName(peer));
    if (it != unknown.end()) it->second->socket = socket;
  });
}

// What a peer that was cut off had taken, a second later, when gRPC has freed it.
void Connections::GiveMemoryBack() {
  if (trim_wanted_.exchange(false) && trim_at_turn_ <= turn_) {
    trim_at_turn_ = turn_ + kTurnsUntilTrim;
  }
  if (turn_ != trim_at_turn_) return;
  malloc_trim(0);
}

}  // namespace kvroute
