#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_SOCKET_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_SOCKET_H_

#include <zmq.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/source/zmq/zmq_options.h"
#include "indexer/stream/stream.h"

namespace kvroute {

// The one libzmq context of the process's streams, with room for their sockets, and its I/O
// threads. Thread safety: any thread. Ownership: outlives its sockets.
class SocketContext {
 public:
  // RESOURCE_EXHAUSTED: there are no descriptors even for this.
  static absl::StatusOr<std::unique_ptr<SocketContext>> Open(int io_threads);
  ~SocketContext();
  SocketContext(const SocketContext&) = delete;
  SocketContext& operator=(const SocketContext&) = delete;
  void* get() const { return context_; }
  size_t max_sockets() const;

 private:
  explicit SocketContext(void* context) : context_(context) {}

  void* const context_;
};

// The frames of one received message. Reused between messages.
class Multipart {
 public:
  // No message of the protocol has more frames than four; of a longer one the rest is counted only.
  static constexpr size_t kMaxFrames = 5;

  Multipart();
  ~Multipart();
  Multipart(const Multipart&) = delete;
  Multipart& operator=(const Multipart&) = delete;

  // Takes the next message of a socket without waiting. False when there is none; a large one that
  // was taken before is given back then, so that silent streams do not keep them.
  bool ReceiveFrom(void* socket);
  // Valid until the next call.
  absl::Span<const std::string_view> frames() const { return {views_.data(), count_}; }
  // The descriptor of the connection it came by, as its monitor names it; -1: not known. It may be
  // another connection's by now.
  int connection();

 private:
  void GiveBackLarge();

  std::array<zmq_msg_t, kMaxFrames> messages_;
  std::array<std::string_view, kMaxFrames> views_;
  size_t count_ = 0;
};

// A libzmq socket that cleans up after itself.
//
// Thread safety: one thread at a time; it may be made on one and handed, under a lock, to another.
// Errors: what libzmq refuses is INVALID_ARGUMENT that starts with the name of the configuration
// field; RESOURCE_EXHAUSTED when the system has no descriptor left, in spite of SocketBudget.
class ZmqSocket {
 public:
  // `type` as in zmq_socket.
  static absl::StatusOr<std::unique_ptr<ZmqSocket>> Open(SocketContext* context, int type);
  ~ZmqSocket();
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;

  // What every socket towards an engine needs: limits, liveness, IPv6.
  void ApplyCommonOptions(const ZmqSourceOptions& options);
  // What happens to a connection that is lost (docs/decisions/0027): either whoever has the socket
  // connects anew, and what came by the lost one can be read until then; or libzmq does, at pauses
  // that double.
  void LeaveReconnecting();
  void Reconnect(const ZmqSourceOptions& options);
  absl::Status ApplyCurve(const CurveKeys& keys);
  // Makes the socket a CURVE server; an empty key leaves it plain.
  absl::Status ApplyCurveServer(const std::string& secret_key);
  void SetInt(int option, int value);
  void SetMaxMessageBytes(size_t bytes);
  void Subscribe(std::string_view topic);
  // To an address: libzmq's only I/O thread would wait for whoever is asked about a name.
  absl::Status Connect(std::string_view field, const std::string& endpoint);
  absl::Status Bind(std::string_view field, const std::string& endpoint);
  // The endpoint bound last, with the port the system chose.
  std::string BoundEndpoint() const;

  void* get() const { return socket_; }
  // Readable when something may have happened; see zmq_getsockopt(ZMQ_FD).
  int fd() const;
  // Whether a message lies there unread; whether one would be taken now. What the descriptor told
  // before is used up then.
  bool HasUnread() const { return (Events() & ZMQ_POLLIN) != 0; }
  bool CanSend() const { return (Events() & ZMQ_POLLOUT) != 0; }

 private:
  void KeepAlive(std::chrono::milliseconds interval);
  explicit ZmqSocket(void* socket) : socket_(socket) {}
  absl::Status SetKey(std::string_view field, int option, const std::string& key);
  int Events() const;

  void* const socket_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_ZMQ_SOCKET_H_
