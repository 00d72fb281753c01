#include "indexer/source/zmq/zmq_socket.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

int Milliseconds(std::chrono::milliseconds duration) { return static_cast<int>(duration.count()); }

// libzmq takes "tcp://host:port" as host and service and resolves later; these hosts can never be
// connected to.
bool IsWildcard(std::string_view endpoint) {
  const size_t scheme = endpoint.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view address = endpoint.substr(scheme + 3);
  return address.starts_with("*:") || address.starts_with("0.0.0.0:") ||
         address.starts_with("[::]:") || address.starts_with(":::");
}

}  // namespace

SocketContext::SocketContext(int io_threads) : context_(zmq_ctx_new()) {
  KVROUTE_CHECK(context_ != nullptr);
  zmq_ctx_set(context_, ZMQ_IO_THREADS, io_threads);
  // A stream takes a SUB socket, its monitor's two ends and, while it is replayed, a DEALER.
  zmq_ctx_set(context_, ZMQ_MAX_SOCKETS, zmq_ctx_get(context_, ZMQ_SOCKET_LIMIT));
  zmq_ctx_set(context_, ZMQ_BLOCKY, 0);
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
    if (zmq_msg_recv(message, socket, ZMQ_DONTWAIT) < 0) return false;  // parts come together
    more = zmq_msg_more(message) != 0;
    if (count_ < kMaxFrames) ++count_;
  }
  for (size_t i = 0; i < count_; ++i) {
    views_[i] = {static_cast<const char*>(zmq_msg_data(&messages_[i])),
                 zmq_msg_size(&messages_[i])};
  }
  return true;
}

int Multipart::connection() { return zmq_msg_get(&messages_[0], ZMQ_SRCFD); }

ZmqSocket::ZmqSocket(SocketContext* context, int type) : socket_(zmq_socket(context->get(), type)) {
  KVROUTE_CHECK(socket_ != nullptr);
  SetInt(ZMQ_LINGER, 0);
}

ZmqSocket::~ZmqSocket() { zmq_close(socket_); }

void ZmqSocket::SetInt(int option, int value) {
  KVROUTE_CHECK(zmq_setsockopt(socket_, option, &value, sizeof(value)) == 0);
}

void ZmqSocket::ApplyCommonOptions(const ZmqSourceOptions& options) {
  // libzmq's default of 1,000 loses batches without a word as soon as a lane is busy for a moment.
  SetInt(ZMQ_RCVHWM, options.receive_high_water_mark);
  const int64_t max_message_bytes = static_cast<int64_t>(limits::kMaxPayloadBytes);
  KVROUTE_CHECK(
      zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &max_message_bytes, sizeof(max_message_bytes)) == 0);
  SetInt(ZMQ_IPV6, 1);
  SetInt(ZMQ_TCP_KEEPALIVE, 1);
  SetInt(ZMQ_TCP_KEEPALIVE_IDLE, 30);
  SetInt(ZMQ_TCP_KEEPALIVE_INTVL, 10);
  SetInt(ZMQ_HEARTBEAT_IVL, Milliseconds(options.heartbeat_interval));
  SetInt(ZMQ_HEARTBEAT_TIMEOUT, 2 * Milliseconds(options.heartbeat_interval));
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
  if (IsWildcard(endpoint)) {
    return absl::InvalidArgumentError(absl::StrCat(
        std::string(field), ": \"", endpoint,
        "\" is where an engine binds; kvroute connects to it: name the engine's host"));
  }
  if (zmq_connect(socket_, endpoint.c_str()) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(std::string(field), ": cannot connect to \"",
                                                 endpoint, "\": ", zmq_strerror(zmq_errno())));
}

absl::Status ZmqSocket::Bind(std::string_view field, const std::string& endpoint) {
  if (zmq_bind(socket_, endpoint.c_str()) == 0) return absl::OkStatus();
  const int error = zmq_errno();
  // What another process has may be free a moment later.
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

int ZmqSocket::fd() const {
  int fd = -1;
  size_t size = sizeof(fd);
  KVROUTE_CHECK(zmq_getsockopt(socket_, ZMQ_FD, &fd, &size) == 0);
  return fd;
}

}  // namespace kvroute
