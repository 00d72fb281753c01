#include "indexer/source/zmq/zmq_socket.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "indexer/base/limits.h"
#include "indexer/base/scratch.h"
#include "indexer/source/zmq/endpoint.h"

namespace kvroute {
namespace {

int Milliseconds(std::chrono::milliseconds duration) { return static_cast<int>(duration.count()); }

// A context starts its threads with the first socket, and a socket that binds looks through the
// machine's interfaces; libzmq ends the process where these cannot have their descriptors. Whether
// there are so many is tried first.
bool CanOpen(size_t descriptors) {
  std::vector<int> opened;
  while (opened.size() < descriptors) {
    const int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0) break;
    opened.push_back(fd);
  }
  for (const int fd : opened) close(fd);
  return opened.size() == descriptors;
}

absl::Status NoDescriptor(std::string_view what) {
  return absl::ResourceExhaustedError(
      absl::StrCat("max_open_files: no file descriptor for ", std::string(what),
                   ": raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE= of systemd, the ulimits of a "
                   "container)"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SocketContext>> SocketContext::Open(int io_threads) {
  // Of the context, its reaper and each I/O thread: a mailbox and a poller; and the first socket's.
  constexpr size_t kOfEachThread = 2;
  const size_t descriptors = kOfEachThread * (static_cast<size_t>(io_threads) + 1) + 2;
  void* const context = CanOpen(descriptors) ? zmq_ctx_new() : nullptr;
  if (context == nullptr) return NoDescriptor("a ZeroMQ context");
  std::unique_ptr<SocketContext> opened(new SocketContext(context));
  zmq_ctx_set(context, ZMQ_IO_THREADS, io_threads);
  // A stream takes a SUB socket, its monitor's two ends and, while it is replayed, a DEALER.
  zmq_ctx_set(context, ZMQ_MAX_SOCKETS, zmq_ctx_get(context, ZMQ_SOCKET_LIMIT));
  zmq_ctx_set(context, ZMQ_BLOCKY, 0);
  // starts the threads
  if (auto first = ZmqSocket::Open(opened.get(), ZMQ_PAIR); !first.ok()) return first.status();
  return opened;
}

size_t SocketContext::max_sockets() const {
  return static_cast<size_t>(zmq_ctx_get(context_, ZMQ_MAX_SOCKETS));
}

SocketContext::~SocketContext() { zmq_ctx_term(context_); }

Multipart::Multipart() {
  for (zmq_msg_t& message : messages_) zmq_msg_init(&message);
}

Multipart::~Multipart() {
  for (zmq_msg_t& message : messages_) zmq_msg_close(&message);
}

bool Multipart::ReceiveFrom(void* socket) {
  count_ = 0;
  bool more = true;
  while (more) {
    zmq_msg_t* const message = &messages_[std::min(count_, kMaxFrames - 1)];
    if (zmq_msg_recv(message, socket, ZMQ_DONTWAIT) < 0) {  // of the first part: they come together
      GiveBackLarge();
      return false;
    }
    more = zmq_msg_more(message) != 0;
    if (count_ < kMaxFrames) ++count_;
  }
  for (size_t i = 0; i < count_; ++i) {
    views_[i] = {static_cast<const char*>(zmq_msg_data(&messages_[i])),
                 zmq_msg_size(&messages_[i])};
  }
  return true;
}

void Multipart::GiveBackLarge() {
  for (zmq_msg_t& message : messages_) {
    if (zmq_msg_size(&message) <= kKeptScratchBytes) continue;
    zmq_msg_close(&message);
    zmq_msg_init(&message);
  }
}

int Multipart::connection() { return zmq_msg_get(&messages_[0], ZMQ_SRCFD); }

absl::StatusOr<std::unique_ptr<ZmqSocket>> ZmqSocket::Open(SocketContext* context, int type) {
  void* const socket = zmq_socket(context->get(), type);
  if (socket == nullptr) return NoDescriptor("a ZeroMQ socket");
  std::unique_ptr<ZmqSocket> opened(new ZmqSocket(socket));
  opened->SetInt(ZMQ_LINGER, 0);
  return opened;
}

ZmqSocket::~ZmqSocket() { zmq_close(socket_); }

void ZmqSocket::SetInt(int option, int value) {
  KVROUTE_CHECK(zmq_setsockopt(socket_, option, &value, sizeof(value)) == 0);
}

void ZmqSocket::ApplyCommonOptions(const ZmqSourceOptions& options) {
  // libzmq's default of 1,000 loses batches without a word as soon as a lane is busy for a moment.
  SetInt(ZMQ_RCVHWM, options.receive_high_water_mark);
  SetMaxMessageBytes(limits::kMaxPayloadBytes);
  SetInt(ZMQ_IPV6, 1);
  KeepAlive(options.heartbeat_interval);
}

void ZmqSocket::SetMaxMessageBytes(size_t bytes) {
  const int64_t most = static_cast<int64_t>(bytes);
  KVROUTE_CHECK(zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &most, sizeof(most)) == 0);
}

// By the kernel, not by ZeroMQ's own heartbeats: of those libzmq sends one by a connection that it
// has lost behind a full queue, and ends the process (docs/decisions/0027).
void ZmqSocket::KeepAlive(std::chrono::milliseconds interval) {
  if (interval.count() == 0) return;
  constexpr int kUnanswered = 2;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(interval).count();
  SetInt(ZMQ_TCP_KEEPALIVE, 1);
  SetInt(ZMQ_TCP_KEEPALIVE_IDLE, static_cast<int>(seconds));
  SetInt(ZMQ_TCP_KEEPALIVE_INTVL, static_cast<int>((seconds + 1) / kUnanswered));
  SetInt(ZMQ_TCP_KEEPALIVE_CNT, kUnanswered);
}

// Without an interval libzmq would throw away what has not been read.
void ZmqSocket::LeaveReconnecting() {
  constexpr std::chrono::hours kNever{24 * 10};
  SetInt(ZMQ_RECONNECT_IVL, Milliseconds(kNever));
}

void ZmqSocket::Reconnect(const ZmqSourceOptions& options) {
  // libzmq doubles the interval up to the maximum and adds a random part of the minimum each time.
  SetInt(ZMQ_RECONNECT_IVL, Milliseconds(options.reconnect_min));
  SetInt(ZMQ_RECONNECT_IVL_MAX, Milliseconds(options.reconnect_max));
}

absl::Status ZmqSocket::ApplyCurve(const CurveKeys& keys) {
  const struct {
    std::string_view field;
    int option;
    const std::string& key;
  } parts[] = {{"curve.server_public", ZMQ_CURVE_SERVERKEY, keys.server_public},
               {"curve.client_public", ZMQ_CURVE_PUBLICKEY, keys.client_public},
               {"curve.client_secret", ZMQ_CURVE_SECRETKEY, keys.client_secret}};
  if (parts[0].key.empty() && parts[1].key.empty() && parts[2].key.empty()) {
    return absl::OkStatus();
  }
  for (const auto& part : parts) {
    if (absl::Status status = SetKey(part.field, part.option, part.key); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status ZmqSocket::ApplyCurveServer(const std::string& secret_key) {
  if (secret_key.empty()) return absl::OkStatus();
  SetInt(ZMQ_CURVE_SERVER, 1);
  return SetKey("curve.server_secret", ZMQ_CURVE_SECRETKEY, secret_key);
}

absl::Status ZmqSocket::SetKey(std::string_view field, int option, const std::string& key) {
  // The key's text, its final NUL included, is what libzmq takes as Z85.
  if (key.size() == 40 && zmq_setsockopt(socket_, option, key.c_str(), key.size() + 1) == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(field), ": not a CURVE key, which is 40 characters of Z85 (",
                   key.size(), " given)"));
}

void ZmqSocket::Subscribe(std::string_view topic) {
  KVROUTE_CHECK(zmq_setsockopt(socket_, ZMQ_SUBSCRIBE, topic.data(), topic.size()) == 0);
}

absl::Status ZmqSocket::Connect(std::string_view field, const std::string& endpoint) {
  if (absl::Status status = CheckConnectable(field, endpoint); !status.ok()) return status;
  KVROUTE_CHECK(!NamesHost(endpoint));
  if (zmq_connect(socket_, endpoint.c_str()) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": cannot connect to \"",
                                                 endpoint, "\": ", zmq_strerror(zmq_errno())));
}

absl::Status ZmqSocket::Bind(std::string_view field, const std::string& endpoint) {
  // A limit is never an end.
  if (std::string_view(endpoint).starts_with("ipc://")) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(field), ": \"", endpoint,
                     "\": libzmq ends the process when it is out of file descriptors for "
                     "connections to an ipc socket: listen at tcp://127.0.0.1:<port>"));
  }
  constexpr size_t kOfBinding = 4;
  if (!CanOpen(kOfBinding)) return NoDescriptor(endpoint);
  if (zmq_bind(socket_, endpoint.c_str()) == 0) return absl::OkStatus();
  const int error = zmq_errno();
  // What another process has may be free a moment later.
  if (error == EMFILE || error == ENFILE) return NoDescriptor(endpoint);
  const auto code = error == EADDRINUSE || error == EADDRNOTAVAIL
                        ? absl::StatusCode::kUnavailable
                        : absl::StatusCode::kInvalidArgument;
  return absl::Status(code, absl::StrCat(std::string(field), ": cannot bind \"", endpoint,
                                         "\": ", zmq_strerror(error)));
}

std::string ZmqSocket::BoundEndpoint() const {
  char text[256];
  size_t size = sizeof(text);
  KVROUTE_CHECK(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, text, &size) == 0);
  return std::string(text, size - 1);
}

int ZmqSocket::Events() const {
  int events = 0;
  size_t size = sizeof(events);
  return zmq_getsockopt(socket_, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

int ZmqSocket::fd() const {
  int fd = -1;
  size_t size = sizeof(fd);
  KVROUTE_CHECK(zmq_getsockopt(socket_, ZMQ_FD, &fd, &size) == 0);
  return fd;
}

}  // namespace kvroute
