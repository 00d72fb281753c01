#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_LISTENER_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_LISTENER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/source/discovery.h"
#include "indexer/source/zmq/stream_worker.h"

namespace kvroute {

// A socket that engines connect to; a stream for each topic that is heard.
//
// A stream belongs to the connections its messages came by. When one is lost, its streams, and no
// others, are taken as lost until they speak again or, where a replay is configured, their engine
// has confirmed its last batch. A stream that has lost all of them and whose engine stays silent
// expires; docs/decisions/0011 says why silence alone does not count.
//
// Errors: a topic that gets no stream is counted with its reason, message by message; one that is
// not wanted is remembered for a while, so that its batches cost no stream opened and closed each.
class Listener final : public Pollable {
 public:
  // Opens the stream of a topic, or says why it cannot be.
  using OpenedStream = std::variant<std::shared_ptr<StreamStatus>, UnknownTopic>;
  using OpenStream = std::function<OpenedStream(const std::string& topic)>;

  Listener(const LaneContext& lane, std::unique_ptr<EventSubscription> subscription,
           const ListenerConfig& config, OpenStream open_stream, OnExpired on_expired);
  ~Listener() override;

  bool Work(const Turn& turn) override;
  void Tick() override;
  // Forgets a stream; it comes back when its topic is heard again.
  void Remove(StreamId id);

 private:
  struct Followed {
    SocketBudget::Share share;  // of the connection it is heard by
    std::unique_ptr<ReplayedStream> stream;
    std::vector<int> connections;  // see Multipart::connection; kMaxConnections
    // Of one that has no connection any more: what was heard of its engine, and since when nothing
    // else was.
    uint64_t heard = 0;
    Nanos silent_since{0};
    bool asked_again = false;
  };
  static constexpr size_t kMaxConnections = 8;  // of one stream

  bool ReceiveLive(const Turn& turn);
  void CountMalformed();
  void FollowConnections();
  void LoseConnections();
  void Doubt(Followed* followed);
  bool Expired(Followed* followed, Nanos now);
  Followed* Follow(std::string_view topic);
  Followed* Begin(std::string_view topic);
  OpenedStream Open(const std::string& topic);

  const LaneContext lane_;
  const std::unique_ptr<EventSubscription> subscription_;
  const ListenerConfig config_;
  const OpenStream open_stream_;
  const OnExpired on_expired_;
  absl::flat_hash_map<std::string, Followed> streams_;
  std::vector<int> lost_connections_;                 // whose last messages are still to be read
  size_t left_before_ = 0;                            // at most so many
  absl::flat_hash_map<std::string, Nanos> unwanted_;  // topics, until when; kMaxRefusedTopics
  bool said_full_ = false;
  Multipart message_;
  LogLimiter limiter_;
  LogLimiter malformed_limiter_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_LISTENER_H_
