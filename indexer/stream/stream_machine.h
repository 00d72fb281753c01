#ifndef KVROUTE_INDEXER_STREAM_STREAM_MACHINE_H_
#define KVROUTE_INDEXER_STREAM_STREAM_MACHINE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "indexer/base/clock.h"
#include "indexer/event/decoder.h"
#include "indexer/stream/held_batches.h"
#include "indexer/stream/restart_guard.h"
#include "indexer/stream/sequence_tracker.h"
#include "indexer/stream/stream_applier.h"
#include "indexer/stream/stream_options.h"
#include "indexer/stream/stream_trust.h"

namespace kvroute {

enum class ReplayPurpose : uint8_t {
  kCatchUp,     // batches are missing, or the publisher is to be verified
  kProbe,       // nothing is known to be missing
  kFreshStart,  // replaces the state if it starts at 0, and only then
};
// One request to the engine, while it is answered.
struct RunningReplay {
  uint64_t from = 0;  // the first number asked for
  uint64_t mark = 0;  // what was expected next when it was asked
  int attempts = 1;   // for that mark
  Nanos reply_deadline{0};
  Nanos deadline{0};
  bool any_reply = false;
  bool ended = false;                   // the end marker came
  bool spliced = false;                 // a live batch was applied behind it
  bool trimmed = false;                 // the engine no longer had its start
  uint64_t first_reply = ~uint64_t{0};  // to the request before, where that began behind `from`
  ReplayPurpose purpose = ReplayPurpose::kCatchUp;
};

// One stream from batches to index, without its sockets: decides what is applied when, what is
// held, when to ask the engine for a replay, and how far the result may be believed.
// docs/life-of-an-event.md walks through it, docs/consistency.md says what its trust means.
//
// Every replay but one from 0 asks again for the last batch that was applied: an engine that no
// longer knows it, or knows another by that number, has restarted.
//
// Thread safety: one thread at a time, the stream's lane. Ownership: everything passed in outlives
// it.
class StreamMachine {
 public:
  StreamMachine(StreamStatus* status, const StreamOptions& options, Decoder* decoder,
                PrefixIndex* index, IngestCounters* counters, const Clock* clock);

  void OnConnected();
  void OnDisconnected();
  // A message of the live stream or of the replay that was last asked for.
  void OnLiveBatch(uint64_t seq, std::string_view payload);
  void OnReplayedBatch(uint64_t seq, std::string_view payload);
  void OnReplayEnd();
  // Time passes: to be called every 100 ms or so.
  void OnTick();

  // Applies up to `max_batches` of the held batches whose turn has come; true when more could be.
  bool Drain(size_t max_batches);

  // The number from which the engine is to be asked to replay, once for each request; a new one
  // replaces a running one.
  std::optional<uint64_t> TakeReplayRequest();
  bool HasReplayRequest() const { return replay_request_.has_value(); }
  // Whether replies are still of interest.
  bool WantsReplay() const { return replay_.has_value(); }
  // Messages of the engine so far: as long as it does not change, nothing says that it is there.
  uint64_t heard() const { return heard_; }

 private:
  enum class Origin : uint8_t { kLive, kHeld, kReplay };
  void Apply(uint64_t seq, std::string_view payload, PayloadDigest digest, Origin origin);
  void Learn(const AppliedBatch& applied);
  void Publish(size_t bytes, double ts_seconds, Nanos started, Origin origin);
  bool IsOfThisRank(const DecodedBatch& batch);
  bool DecodesBadly(DecodeReason rejected, const DecodedBatch& batch) const;
  void CountBad(DecodeReason rejected, const DecodedBatch& batch);

  void OnAhead(uint64_t seq, std::string_view payload, PayloadDigest digest);
  bool OnFirstReply(uint64_t seq);
  void DropUnproven();
  bool AskForStartAgain(uint64_t first_reply);
  void OnLastBatchUnknown();
  void Hold(uint64_t seq, std::string_view payload, bool suspect);
  void CountDuplicate();
  bool FrontHasItsTurn() const;

  bool StartReplay(uint64_t from, ReplayPurpose purpose = ReplayPurpose::kCatchUp);
  void Settle();
  void RetryOrFail(TrustReason reason);
  void Retry(int attempts);
  void Fail(TrustReason reason);
  void GiveUpReplay(TrustReason reason);
  void Finish();
  void EndReplay(ReplayResult result);
  uint64_t OverlapStart() const;

  void Restart();
  void EnterConflict();
  void LeaveConflict();
  void StartOver();
  void Forget();
  void SkipTo(uint64_t next, TrustReason reason);
  void AdoptNextNumber(TrustReason reason);
  void ScheduleFreshStart();
  void LiftSyncing();
  void StatusChanged();

  bool has_replay() const { return !status_->config.replay_endpoint.empty(); }

  StreamStatus* const status_;
  const StreamOptions options_;
  Decoder* const decoder_;
  IngestCounters* const counters_;
  const Clock* const clock_;
  StreamApplier applier_;
  StreamTrust trust_;
  SequenceTracker tracker_;
  HeldBatches held_;
  RestartGuard guard_;

  std::optional<uint32_t> published_rank_;  // see StreamConfig
  LogLimiter rank_limiter_;

  uint64_t heard_ = 0;
  bool connected_ = false;
  bool verified_ = true;          // the publisher is known to be the one whose batches were applied
  bool adopt_number_ = false;     // whichever number comes next is the one to go on from
  bool accept_suspects_ = false;  // no better copies will come
  bool probes_help_ = true;       // the engine's replay knows at least the last batch
  bool hold_overflow_ = false;
  std::optional<uint64_t> highest_live_;  // of this life of the publisher
  // the number whose replay was last asked because it did not decode
  std::optional<uint64_t> refetched_;
  std::optional<RunningReplay> replay_;
  std::optional<uint64_t> replay_request_;
  Nanos probe_at_{Nanos::max()};
  Nanos fresh_start_at_{Nanos::max()};
  Nanos fresh_start_delay_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_MACHINE_H_
