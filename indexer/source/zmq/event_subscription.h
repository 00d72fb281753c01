#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_EVENT_SUBSCRIPTION_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_EVENT_SUBSCRIPTION_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/source/zmq/accept_reserve.h"
#include "indexer/source/zmq/socket_budget.h"
#include "indexer/source/zmq/zmq_options.h"
#include "indexer/source/zmq/zmq_socket.h"

namespace kvroute {

// The SUB socket of one stream, or of a listener, and the monitor that tells of its connections.
//
// Thread safety: one thread at a time, see ZmqSocket. Errors: INVALID_ARGUMENT naming the field;
// RESOURCE_EXHAUSTED without descriptors, see SocketBudget.
class EventSubscription {
 public:
  // Where the endpoint names a host, it connects to nothing before ConnectTo.
  static absl::StatusOr<std::unique_ptr<EventSubscription>> Connect(SocketContext* context,
                                                                    SocketBudget* budget,
                                                                    const ZmqSourceOptions& options,
                                                                    const StreamConfig& config);
  // To what an engine says of its load: few and short messages, of which the newest counts.
  static absl::StatusOr<std::unique_ptr<EventSubscription>> ConnectForLoad(
      SocketContext* context, SocketBudget* budget, const ZmqSourceOptions& options,
      const std::string& endpoint);
  static absl::StatusOr<std::unique_ptr<EventSubscription>> Listen(SocketContext* context,
                                                                   SocketBudget* budget,
                                                                   const ZmqSourceOptions& options,
                                                                   const ListenerConfig& config);
  ~EventSubscription();

  // False: there is nothing to read, or what there is must not be read: of one that connects whose
  // connection was reset, see lost.
  bool Receive(Multipart* message);

  // Connects to another address, or anew to the same one; the connection before ends.
  absl::Status ConnectTo(const std::string& endpoint);
  // Empty: none yet.
  const std::string& connects_to() const { return endpoint_; }

  enum class Change : uint8_t {
    kConnected,     // the handshake with a publisher is done
    kDisconnected,  // a connection that had been made is gone
    kRefused,       // a publisher answered but the handshake failed: wrong keys, no ZeroMQ
    kNotAccepted,   // a publisher's connection, for want of a descriptor: PauseAccepting
  };
  // The next change of connection; nullopt when there is none to report.
  std::optional<Change> NextChange();
  // The connection that kDisconnected was last reported of, see Multipart::connection.
  int lost_connection() const { return lost_connection_; }

  // A connection was lost, refused or could not be made. Nobody makes another until Reconnect or
  // ConnectTo, which forget what came by it and has not been read. Only of a subscription that
  // connects.
  bool lost() const { return lost_; }
  // Something can be read.
  bool HasUnread() { return !reset_ && (peeked_ = events_->HasUnread()); }
  void Reconnect();

  // Of one that listens: takes no more connections, see AcceptReserve. False: nor did it before.
  bool PauseAccepting();
  // Takes them again once there are descriptors; true when it has just begun to.
  bool ResumeAccepting();

  int event_fd() const { return events_->fd(); }
  int monitor_fd() const { return monitor_->fd(); }
  std::string BoundEndpoint() const { return events_->BoundEndpoint(); }

 private:
  EventSubscription() = default;
  bool WouldResumeAReset();
  void Disconnect();
  static absl::StatusOr<std::unique_ptr<EventSubscription>> Open(SocketContext* context,
                                                                 SocketBudget* budget,
                                                                 const ZmqSourceOptions& options,
                                                                 const std::string& topic);

  SocketBudget::Share share_;  // first: returned when the sockets are closed
  SocketBudget::Share reserve_share_;
  std::optional<AcceptReserve> reserve_;  // of one that listens
  int listening_fd_ = -1;                 // libzmq's
  std::unique_ptr<ZmqSocket> events_;
  std::unique_ptr<ZmqSocket> monitor_;
  Multipart monitor_message_;
  std::string endpoint_;  // that it connects to
  bool lost_ = false;
  int lost_connection_ = -1;
  int connection_ = -1;  // libzmq's descriptor of the one that was made last
  bool reset_ = false;   // it was, and what came by it is left unread
  bool reset_untold_ = false;
  bool peeked_ = false;    // libzmq has taken the first frame of what is read next out of its queue
  uint64_t received_ = 0;  // messages of this connection's queue
  uint64_t resumes_at_ = 1;  // multiples of so many messages
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_EVENT_SUBSCRIPTION_H_
