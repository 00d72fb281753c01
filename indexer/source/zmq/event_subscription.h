#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_EVENT_SUBSCRIPTION_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_EVENT_SUBSCRIPTION_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/source/zmq/zmq_options.h"
#include "indexer/source/zmq/zmq_socket.h"

namespace kvroute {

// The SUB socket of one stream, or of a listener, and the monitor that tells of its connections.
//
// Thread safety: one thread at a time, see ZmqSocket. Errors: INVALID_ARGUMENT naming the field.
class EventSubscription {
 public:
  static absl::StatusOr<std::unique_ptr<EventSubscription>> Connect(SocketContext* context,
                                                                    const ZmqSourceOptions& options,
                                                                    const StreamConfig& config);
  static absl::StatusOr<std::unique_ptr<EventSubscription>> Listen(SocketContext* context,
                                                                   const ZmqSourceOptions& options,
                                                                   const ListenerConfig& config);
  ~EventSubscription();

  bool Receive(Multipart* message) { return message->ReceiveFrom(events_.get()); }

  enum class Change : uint8_t {
    kConnected,     // the handshake with a publisher is done
    kDisconnected,  // a connection that had been made is gone
    kRefused,       // a publisher answered but the handshake failed: wrong keys, no ZeroMQ
  };
  // The next change of connection; nullopt when there is none to report.
  std::optional<Change> NextChange();
  // The connection that kDisconnected was last reported of, see Multipart::connection.
  int lost_connection() const { return lost_connection_; }

  // After a connection that was lost libzmq connects again by itself, but never after what it takes
  // for a breach of the protocol: a peer without CURVE, not ZeroMQ at all, or a message beyond the
  // limit. True then, until Reconnect; only of a subscription that connects.
  bool gave_up() const { return gave_up_; }
  void Reconnect();

  int event_fd() const { return events_.fd(); }
  int monitor_fd() const { return monitor_.fd(); }
  std::string BoundEndpoint() const { return events_.BoundEndpoint(); }

 private:
  EventSubscription(SocketContext* context, const ZmqSourceOptions& options);

  ZmqSocket events_;
  ZmqSocket monitor_;
  Multipart monitor_message_;
  std::string endpoint_;  // that it connects to
  bool gave_up_ = false;
  int lost_connection_ = -1;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_EVENT_SUBSCRIPTION_H_
