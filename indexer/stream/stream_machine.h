#ifndef KVROUTE_INDEXER_STREAM_STREAM_MACHINE_H_
#define KVROUTE_INDEXER_STREAM_STREAM_MACHINE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "indexer/base/clock.h"
#include "indexer/event/decoder.h"
#include "indexer/stream/held_batches.h"
#include "indexer/stream/live_watch.h"
#include "indexer/stream/restart_guard.h"
#include "indexer/stream/sequence_tracker.h"
#include "indexer/stream/stream_applier.h"
#include "indexer/stream/stream_options.h"
#include "indexer/stream/stream_state.h"
#include "indexer/stream/stream_trust.h"

namespace kvroute {

// One request to the engine, while it is answered.
struct RunningReplay {
  uint64_t from = 0;  // the first number asked for
  uint64_t mark = 0;  // what was expected next when it was asked
  int attempts = 1;   // for that mark
  // Of the engine: for its next reply, and for one that brings anything new. Nanos::max(): it has
  // not been asked yet.
  Nanos reply_deadline{0};
  Nanos deadline{0};
  uint64_t replies = 0;
  uint64_t applied = 0;                           // replies
  uint64_t spliced = 0;                           // live and held batches applied meanwhile
  uint64_t first_reply = ~uint64_t{0};            // to the request before, if that began too late
  ReplayResult result = ReplayResult::kComplete;  // if nothing more goes wrong
};

// One stream from batches to index, without its sockets: decides what is applied when, what is
// held, when to ask the engine for a replay, and how far the result may be believed.
// docs/life-of-an-event.md walks through it, docs/consistency.md says what its trust means.
//
// It is in one of the states of stream_state.h, and what it does about whatever happens is looked
// up in the table there. What the states do not say is numbers: of batches, attempts and times.
//
// Every request for a replay, unless it is from 0, asks again for the last batch that was applied:
// an engine that no longer knows that batch, or knows another by its number, has restarted.
//
// Thread safety: one thread at a time, the stream's lane. Ownership: everything passed in outlives
// it.
class StreamMachine {
 public:
  // The status has its configuration already, which does not change.
  StreamMachine(StreamStatus* status, const StreamOptions& options, Decoder* decoder,
                PrefixIndex* index, IngestCounters* counters, const Clock* clock);
  ~StreamMachine();
  StreamMachine(const StreamMachine&) = delete;
  StreamMachine& operator=(const StreamMachine&) = delete;

  // A connection was made. One that was not lost before ends here.
  void OnConnected();
  void OnDisconnected();
  // A message of the live stream or of the replay that was last asked for.
  void OnLiveBatch(uint64_t seq, std::string_view payload);
  void OnReplayedBatch(uint64_t seq, std::string_view payload);
  void OnReplayEnd();
  // A live message that is none of ours; `what` says how it differs.
  void OnMalformedLive(std::string_view what);
  // A reply to a replay says that its batches are published under this topic.
  void OnReplyTopic(std::string_view topic);
  // Time passes: to be called every 100 ms or so.
  void OnTick();

  // Applies up to `max_batches` of the held batches whose turn has come; true when more could be.
  bool Drain(size_t max_batches);

  // The number from which the engine is to be asked to replay, once for each request; a new one
  // replaces a running one. It is asked at once.
  std::optional<uint64_t> TakeReplayRequest();
  bool HasReplayRequest() const { return replay_request_.has_value(); }
  // Of a request that is there: whether the engine is asked for what it has published since rather
  // than for everything.
  bool ReplayRequestIsBrief() const { return *replay_request_ > 0; }
  // The request must wait until others' have been answered: that is said, and its time limits begin
  // once it is taken.
  void OnReplayQueued();
  // Whether the engine is taken to be silent at the next tick. A reply that has come and lies
  // unread is no silence: who finds one says so.
  bool ReplyIsDue() const { return replay_ && clock_->Monotonic() >= replay_->reply_deadline; }
  void OnReplyUnread();
  // Whether replies are still of interest.
  bool WantsReplay() const { return replay_.has_value(); }
  // Messages of the engine so far: as long as it does not change, nothing says that it is there.
  uint64_t heard() const { return heard_; }

  StreamState state() const { return state_; }
  // For tests: counts in `visited`, which outlives the machine, from here on.
  void CountVisits(VisitedCells* visited) { visited_ = visited; }

 private:
  enum class Origin : uint8_t { kLive, kHeld, kReplay };
  struct Message {
    uint64_t seq = 0;
    std::string_view payload;
    PayloadDigest digest{};
  };
  struct Step {
    StreamState state;
    StreamInput input;
  };

  // stream_machine.cc: the walk of a batch, and what is held.
  void React(StreamInput input, const Message& message);
  void React(StreamInput input) { React(input, Message()); }
  void Enter(StreamState next);
  StreamInput JudgeLive(const Message& message);
  bool IsImplausible(uint64_t seq);
  void Apply(const Message& message, Origin origin);
  AppliedBatch ForgetForMemory();
  bool AsksForCopy(const Message& message, bool bad, Origin origin);
  void Learn(const AppliedBatch& applied);
  void LearnCaveat(const AppliedBatch& applied);
  void KnowAll(TrustReason reason);
  void Publish(size_t bytes, double ts_seconds, Nanos started, Origin origin);
  bool IsOfThisRank(const DecodedBatch& batch);
  void ForgetRank();
  bool DecodesBadly(DecodeReason rejected, const DecodedBatch& batch) const;
  void CountBad(DecodeReason rejected, const DecodedBatch& batch);
  void CountGap(uint64_t seq);
  void CountDuplicate();
  void Hold(const Message& message, bool suspect = false);
  void ApplyHeld();
  bool FrontIsNext() const;
  StreamInput FrontInput() const;
  bool FrontHasItsTurn() const;
  void Settle();
  void ObserveLag(double ts_seconds, Nanos wall);
  void StatusChanged();

  // stream_recovery.cc: connections, restarts, conflicts, losses, time.
  void Recover(StreamReaction reaction, const Message& message);
  void Verify();
  void ConnectLiveOnly();
  void Disconnect();
  void Forget();
  void ForgetAndAsk();
  void EnterConflict();
  void LeaveConflict();
  void StartOver();
  void HoldBehindGap(const Message& message);
  void SkipTo(uint64_t next, TrustReason reason);
  void AdoptNextNumber(TrustReason reason);
  void LoseUpTo(uint64_t next);
  bool MayKeep() const { return options_.after_loss == AfterLoss::kKeep; }
  bool MayBeAnotherLife(uint64_t seq) const;
  bool MissesOnlyTheStartUpClear(uint64_t next) const;
  void ScheduleProbe(Nanos now);
  void ProbeLater();
  void ScheduleFreshStart();
  bool WaitsForRoom() const;
  void LiftSyncing();

  // stream_replay.cc: requests and their replies.
  void FollowReplay(StreamReaction reaction, const Message& message);
  uint64_t OverlapStart() const;
  void StartReplay(uint64_t from, StreamState state);
  void EndReplay(ReplayResult result);
  bool AwaitsReplies() const;
  bool BeginsInTime(uint64_t seq) const;
  StreamInput JudgeReply(const Message& message) const;
  void HoldReply(const Message& message);
  bool AskForStartAgain(uint64_t first_reply);
  void SkipToReply(uint64_t first_reply);
  void DropUnproven();
  void ReplaceState();
  void KeepState();
  void Finish();
  void AskAgainOrGiveUp();
  void AskAgain(int attempts);
  void DoWithout();
  void GiveUp();
  void GoOnWithLoss(StreamState asked_in, bool overflowed, TrustReason reason);

  bool has_replay() const { return !status_->config.replay_endpoint.empty(); }

  StreamStatus* const status_;
  const StreamOptions options_;
  Decoder* const decoder_;
  IngestCounters* const counters_;
  const Clock* const clock_;
  StreamApplier applier_;
  StreamTrust trust_;
  LiveWatch live_;
  SequenceTracker tracker_;
  HeldBatches held_;
  RestartGuard guard_;

  StreamState state_;
  Step step_{};  // what is being reacted to
  VisitedCells* visited_ = nullptr;

  std::optional<uint32_t> published_rank_;  // as configured or learned, see StreamConfig
  FirstRank own_first_rank_;                // of the only stream of a worker
  FirstRank* const first_rank_;
  bool hidden_keys_ = false;  // see LearnCaveat
  LogLimiter rank_limiter_;
  LogLimiter loss_limiter_;
  LogLimiter live_limiter_;
  uint64_t heard_ = 0;
  std::optional<uint64_t> highest_live_;  // of this life of the publisher
  // the number of which another copy was last asked for, because it did not decode
  std::optional<uint64_t> refetched_;
  uint64_t not_held_ = 0;  // live batches for which there was no room, since the last replay ended

  std::optional<RunningReplay> replay_;  // in the states that wait for one
  std::optional<uint64_t> replay_request_;
  std::optional<uint64_t> refused_;  // the number of the last message whose number was implausible
  // The connection was lost since the last batch was applied, and the engine has not confirmed that
  // it is the one of before.
  bool unproven_ = false;
  Nanos applied_at_{0};  // the last batch
  Nanos probe_delay_{0};
  Nanos probe_at_{Nanos::max()};
  Nanos fresh_start_at_{Nanos::max()};
  Nanos fresh_start_delay_{0};
  std::optional<Nanos> known_all_at_;  // since when, unless something was lost since
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_MACHINE_H_
