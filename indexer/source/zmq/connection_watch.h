#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_CONNECTION_WATCH_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_CONNECTION_WATCH_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "indexer/source/zmq/dialer.h"
#include "indexer/source/zmq/endpoint.h"
#include "indexer/source/zmq/event_subscription.h"
#include "indexer/source/zmq/lane_context.h"

namespace kvroute {

// Sees to it that a stream's subscription connects to an address at which its engine answers, and
// that it is said why it does not: libzmq neither asks for a name again, nor tries a second
// address, nor tells what is wrong. A name's address is asked for at first and whenever there has
// been no connection for a while: the engine may have moved.
//
// Thread safety: the lane's thread. Ownership: everything passed in outlives it.
class ConnectionWatch {
 public:
  // Without a connection for so long, it is looked into; then at pauses that double up to
  // reconnect_max.
  static constexpr std::chrono::seconds kPatience{1};
  static constexpr std::chrono::minutes kBetweenLines{1};

  ConnectionWatch(const LaneContext& lane, StreamStatus* status, EventSubscription* subscription);

  // Time passes: about every 100 ms.
  void Tick();
  // The port took the connection and the handshake failed.
  void OnRefused();

 private:
  void TakeAnswer(const Dialed& dialed);
  void Look(Nanos now);
  void Say(Nanos now);
  void SetTrouble(ConnectTrouble trouble);

  const LaneContext lane_;
  StreamStatus* const status_;
  EventSubscription* const subscription_;
  const std::optional<TcpEndpoint> endpoint_;  // nullopt: of another scheme
  std::shared_ptr<const Dialer::Call> call_;
  std::optional<Nanos> since_;  // without a connection
  Nanos look_at_{0};
  Nanos pause_{0};
  Nanos say_at_{0};
  std::optional<Nanos> answers_since_;  // the address that it connects to
  std::string not_at_;                  // an address that took connections and was no engine
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_CONNECTION_WATCH_H_
