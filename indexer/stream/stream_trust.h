#ifndef KVROUTE_INDEXER_STREAM_STREAM_TRUST_H_
#define KVROUTE_INDEXER_STREAM_STREAM_TRUST_H_

#include "indexer/base/clock.h"
#include "indexer/base/log.h"
#include "indexer/stream/stream.h"

namespace kvroute {

// How far a stream may be believed, from four independent facts: whether what is known of it is
// current (its connection stands and its numbers were seen to go on), whether a replay is bringing
// it up to date, what is known then, and whether something of its engine keeps it from being exact:
// it is not heard live, or does not publish enough. Writes the outcome to the status, with the time
// and one log line a change.
//
// Thread safety: one thread at a time. Ownership: status and clock outlive it.
class StreamTrust {
 public:
  StreamTrust(StreamStatus* status, const Clock* clock) : status_(status), clock_(clock) {}

  void SetCurrent(bool current);
  // kReplaying or kEngineRestarted while syncing, kNone when it is over.
  void SetSyncing(TrustReason reason);
  // Whether a replay must wait for its turn, which is then the reason while syncing by one.
  void SetQueued(bool queued);
  void SetExact(TrustReason reason) { SetKnown(Trust::kExact, reason); }
  void SetDegraded(TrustReason reason) { SetKnown(Trust::kDegraded, reason); }
  // Why the engine is not heard live, which takes from what is exact; kNone: it is.
  void SetDeaf(TrustReason reason);
  // kNone: nothing keeps the stream from being exact. See StreamMachine::LearnCaveat.
  void SetCaveat(TrustReason reason);
  void SetUnknown() { SetKnown(Trust::kCold, TrustReason::kConnecting); }

  // Logs the state if it is another than was last logged: one line for a flurry of changes. To be
  // called every 100 ms or so.
  void LogChange();

  // What is known once connected and in sync: cold, exact or degraded.
  Trust known() const { return known_; }
  TrustReason known_reason() const { return known_reason_; }

 private:
  void SetKnown(Trust trust, TrustReason reason);
  void Publish();

  StreamStatus* const status_;
  const Clock* const clock_;
  bool current_ = false;
  TrustReason syncing_ = TrustReason::kNone;
  TrustReason deaf_ = TrustReason::kNone;
  bool queued_ = false;
  Trust known_ = Trust::kCold;
  TrustReason known_reason_ = TrustReason::kNone;
  TrustReason caveat_ = TrustReason::kNone;
  Trust logged_ = Trust::kCold;
  TrustReason logged_reason_ = TrustReason::kConnecting;
  LogLimiter limiter_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_TRUST_H_
