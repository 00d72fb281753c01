#ifndef KVROUTE_INDEXER_STREAM_LIVE_WATCH_H_
#define KVROUTE_INDEXER_STREAM_LIVE_WATCH_H_

#include "indexer/stream/stream.h"

namespace kvroute {

// Whether a stream understands what its engine says live, or knows it only by asking for replays:
// a subscription that matches nothing, and messages that are not ours, are silence to it.
//
// Thread safety: one thread at a time.
class LiveWatch {
 public:
  // Live messages in a row that are none of ours, once others were; one is enough before any.
  static constexpr int kMalformedInARow = 3;
  // Replays in a row that brought what should have come live, with nothing live between them. One
  // such is a lost message.
  static constexpr int kReplaysWithoutLive = 3;

  // What was thought of the engine stays until it is heard.
  void Connected() {
    heard_ = false;
    replays_ = malformed_ = 0;
    asked_ = false;
  }
  // A live batch.
  void Heard() {
    heard_ = ever_heard_ = true;
    replays_ = malformed_ = 0;
    reason_ = TrustReason::kNone;
  }
  void Malformed() {
    ++malformed_;
    if (!heard_ || malformed_ >= kMalformedInARow) reason_ = TrustReason::kMalformedMessages;
  }
  // A replay has ended. The first of a connection brings the past; what a later one brings was
  // published meanwhile.
  void Replayed(bool brought_batches) {
    const bool silent = asked_ && brought_batches;
    asked_ = true;
    replays_ = silent ? replays_ + 1 : 0;
    if (replays_ >= kReplaysWithoutLive && reason_ == TrustReason::kNone) {
      reason_ = TrustReason::kLiveSilent;
    }
  }
  // A reply to a replay names a topic that is not subscribed to. Where something was ever heard,
  // the live topic is another one.
  void ForeignTopic() {
    if (!ever_heard_) reason_ = TrustReason::kTopicMismatch;
  }

  // Why what is known must be taken for old; kNone: it need not.
  TrustReason reason() const { return reason_; }

 private:
  bool heard_ = false;  // on this connection
  bool ever_heard_ = false;
  bool asked_ = false;
  int replays_ = 0;
  int malformed_ = 0;
  TrustReason reason_ = TrustReason::kNone;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_LIVE_WATCH_H_
