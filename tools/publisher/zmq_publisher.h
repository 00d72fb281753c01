#ifndef KVROUTE_TOOLS_PUBLISHER_ZMQ_PUBLISHER_H_
#define KVROUTE_TOOLS_PUBLISHER_ZMQ_PUBLISHER_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kvroute {

// One libzmq context with room for a fleet's sockets. Thread safety: any thread. Outlives its
// publishers.
class ZmqContext {
 public:
  explicit ZmqContext(int io_threads = 1);
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;
  void* get() const { return context_; }

 private:
  void* context_;
};

// A ZeroMQ CURVE key pair, each half Z85 text of 40 characters.
struct CurveKeyPair {
  std::string public_key;
  std::string secret_key;
};
CurveKeyPair NewCurveKeyPair();

// The defaults are vLLM's own.
struct PublisherOptions {
  std::string event_endpoint = "tcp://127.0.0.1:*";   // a port of * is chosen by the system
  std::string replay_endpoint = "tcp://127.0.0.1:*";  // empty: no replay socket
  bool connect = false;  // connect to event_endpoint (a listener) instead of binding it
  std::string topic = "";
  // replies of 4 frames (vLLM since 0.26); false: 3 frames (before; SGLang)
  bool topic_in_replay = true;
  size_t buffer_steps = 10'000;        // batches that can be replayed
  int send_high_water_mark = 100'000;  // batches a slow subscriber may lag before it loses some
  int replay_send_high_water_mark = 1'000;  // replies a slow client may lag before it loses some
  std::string curve_server_secret = "";     // the sockets it binds are CURVE servers; empty: plain
  std::string curve_listener_public = "";   // of the listener it connects to; empty: plain
};

// Failures to produce on purpose, each as engines and networks produce them. All zero: a healthy
// engine.
struct PublisherFaults {
  // so many next batches are not sent, but can be replayed: a full subscriber pipe
  uint64_t drop_live = 0;
  uint64_t lose = 0;  // so many next numbers never exist: the engine failed to encode or send them
  uint64_t corrupt = 0;            // so many next batches carry damaged bytes, live and in replay
  uint64_t duplicate = 0;          // so many next batches are sent twice
  uint64_t pass_replies = 0;       // so many replayed batches are sent before drop_replies counts
  uint64_t drop_replies = 0;       // so many next replayed batches are not sent: a full client pipe
  uint64_t drop_end_markers = 0;   // so many next ends of a replay are not sent
  uint64_t replies_per_serve = 0;  // at most so many replies a Serve: a slow replay; 0: no limit
};

// The sockets of one engine rank: PUB for live batches, ROUTER for replay, a bounded buffer between
// them.
//
// Thread safety: one thread at a time; as in an engine, that thread publishes and answers replay
// requests in turn. Errors: endpoints that cannot be bound are INVALID_ARGUMENT with libzmq's
// reason. Sends never block and never fail: what a peer cannot take is dropped, as PUB and ROUTER
// sockets do.
class ZmqPublisher {
 public:
  static absl::StatusOr<std::unique_ptr<ZmqPublisher>> Create(ZmqContext* context,
                                                              const PublisherOptions& options);
  ~ZmqPublisher();
  ZmqPublisher(const ZmqPublisher&) = delete;
  ZmqPublisher& operator=(const ZmqPublisher&) = delete;

  // As a client must dial them, with the port the system chose.
  const std::string& event_endpoint() const { return event_endpoint_; }
  const std::string& replay_endpoint() const { return replay_endpoint_; }

  // Gives the batch the next sequence number, sends it and keeps it for replay.
  void Publish(std::string_view payload);
  uint64_t next_seq() const { return next_seq_; }

  // Answers replay requests that have come or come within `timeout`. Returns the number of messages
  // sent. A client that subscribed before it asked gets whatever is published from here on.
  size_t Serve(std::chrono::milliseconds timeout = std::chrono::milliseconds(0));

  // What killing and starting the engine does: numbers from 0, nothing to replay, connections cut
  // and accepted again on the same ports. Errors: UNAVAILABLE when a port stays taken for 5 s.
  absl::Status Restart();
  // The same without cutting connections: the engine core restarted behind its sockets.
  void RestartNumbers();
  // Cuts the connections until Open.
  void Close();
  absl::Status Open();

  PublisherFaults& faults() { return faults_; }

 private:
  struct Buffered {
    uint64_t seq;
    std::string payload;
  };
  struct Replay {  // one client's, being answered
    std::string client;
    uint64_t next_seq;
  };

  ZmqPublisher(ZmqContext* context, const PublisherOptions& options);
  void ApplyCurve(void* socket, bool connect) const;
  absl::Status OpenSocket(int type, int high_water_mark, bool connect, std::string* endpoint,
                          void** socket);
  void SendLive(const Buffered& batch);
  void ReceiveRequests();
  // False when the client is done: its end marker went out.
  bool AnswerOne(Replay* replay);
  void SendReply(const Replay& replay, std::string_view topic, uint64_t seq,
                 std::string_view payload);

  ZmqContext* context_;
  PublisherOptions options_;
  PublisherFaults faults_;
  std::string event_endpoint_;
  std::string replay_endpoint_;
  void* events_ = nullptr;
  void* replays_ = nullptr;
  uint64_t next_seq_ = 0;
  std::deque<Buffered> buffer_;  // ascending by number
  std::deque<Replay> pending_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PUBLISHER_ZMQ_PUBLISHER_H_
