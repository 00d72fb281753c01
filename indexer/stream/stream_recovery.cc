// The part of StreamMachine that gets a stream from doubt to certainty, but for the requests
// themselves: connections, restarts, conflicts, losses, time.
#include <algorithm>
#include <utility>

#include "indexer/base/log.h"
#include "indexer/stream/stream_machine.h"

namespace kvroute {

// The reactions to whatever is not a batch whose turn has come or will come.
void StreamMachine::Recover(StreamReaction reaction, const Message& message) {
  switch (reaction) {
    case StreamReaction::kVerify:
      return Verify();
    case StreamReaction::kConnectLiveOnly:
      return ConnectLiveOnly();
    case StreamReaction::kStandBy:
      Enter(StreamState::kConflict);
      return trust_.SetCurrent(true);
    case StreamReaction::kDisconnect:
      return Disconnect();
    case StreamReaction::kHoldGap:
      return HoldBehindGap(message);
    case StreamReaction::kAskForGap:
      HoldBehindGap(message);
      return StartReplay(OverlapStart(), StreamState::kCatchingUp);
    case StreamReaction::kSkipGap:
      CountGap(message.seq);
      SkipTo(message.seq, TrustReason::kNoReplay);
      return Apply(message, Origin::kLive);
    case StreamReaction::kAskForCopy:
      Hold(message, /*suspect=*/true);
      return StartReplay(OverlapStart(), StreamState::kCatchingUp);
    case StreamReaction::kAskForHole:
      return StartReplay(OverlapStart(), StreamState::kCatchingUp);
    case StreamReaction::kAskAfresh:
      return StartReplay(0, StreamState::kStartingAfresh);
    case StreamReaction::kProbe:
      return StartReplay(OverlapStart(), StreamState::kProbing);
    case StreamReaction::kForget:
      Forget();
      if (IsConnected(state_) && !IsConflict(state_) && has_replay())
        Enter(StreamState::kFollowing);
      return;
    case StreamReaction::kForgetAndAsk:
      return ForgetAndAsk();
    case StreamReaction::kObserve:
      return guard_.Observe(message.seq, clock_->Monotonic());
    case StreamReaction::kLeaveConflict:
      return LeaveConflict();
    case StreamReaction::kLiftSyncing:
      return LiftSyncing();
    default:
      FollowReplay(reaction, message);
  }
}

// ---- connections ----

void StreamMachine::OnConnected() {
  if (IsConnected(state_)) OnDisconnected();
  live_.Connected();
  status_->connected.store(true, std::memory_order_relaxed);
  React(StreamInput::kConnectionMade);
}

void StreamMachine::OnDisconnected() {
  status_->connected.store(false, std::memory_order_relaxed);
  React(StreamInput::kConnectionLost);
}

void StreamMachine::Verify() {
  const bool comparable = tracker_.KnowsLast();
  if (!comparable) {  // nor can it be told whether what is held is of this life of the publisher
    held_.Clear();
    highest_live_.reset();
    applier_.Clear();  // what a loss has left
    StatusChanged();
  }
  held_.MarkUnproven();
  StartReplay(OverlapStart(), comparable ? StreamState::kVerifying : StreamState::kCatchingUp);
  trust_.SetCurrent(true);  // syncing by now, never exact for a moment
}

// What was missed cannot be asked for: a stream that was known stays stale until its numbers go on.
void StreamMachine::ConnectLiveOnly() {
  Enter(StreamState::kLiveOnly);
  if (trust_.known() != Trust::kCold || tracker_.next() != 0) return;
  trust_.SetCurrent(true);
  trust_.SetDegraded(TrustReason::kNoReplay);
}

void StreamMachine::Disconnect() {
  guard_.Disconnected();
  tracker_.Reconnected();
  unproven_ = true;
  trust_.SetCurrent(false);
  if (IsConflict(state_)) return Enter(StreamState::kConflictDisconnected);
  Enter(has_replay() ? StreamState::kDisconnected : StreamState::kLiveOnlyDisconnected);
  if (!replay_) return;
  EndReplay(ReplayResult::kInterrupted);
  LiftSyncing();
}

// ---- restarts and conflicts ----

// The publisher counts from its beginning again.
void StreamMachine::Forget() {
  Increment(&status_->restarts);
  Increment(&counters_->restarts);
  if (replay_) EndReplay(ReplayResult::kInterrupted);
  held_.Clear();
  highest_live_.reset();
  refetched_.reset();
  refused_.reset();
  not_held_ = 0;
  fresh_start_at_ = Nanos::max();
  fresh_start_delay_ = Nanos(0);
  if (guard_.Restarted(clock_->Monotonic())) return EnterConflict();
  trust_.SetSyncing(TrustReason::kEngineRestarted);
  StartOver();
}

void StreamMachine::ForgetAndAsk() {
  Forget();
  if (!IsConflict(state_)) StartReplay(0, StreamState::kCatchingUp);
}

// Nothing two publishers say under one name can be told apart: their batches are left alone until
// one of them stops.
void StreamMachine::EnterConflict() {
  trust_.SetDegraded(TrustReason::kIdentityConflict);
  trust_.SetSyncing(TrustReason::kNone);
  applier_.Clear();
  tracker_.Reset();
  probe_at_ = Nanos::max();
  Enter(IsConnected(state_) ? StreamState::kConflict : StreamState::kConflictDisconnected);
  StatusChanged();
}

void StreamMachine::LeaveConflict() {
  guard_.EndConflict();
  StartOver();
  if (has_replay()) return StartReplay(0, StreamState::kCatchingUp);
  Enter(StreamState::kLiveOnly);
  trust_.SetDegraded(TrustReason::kNoReplay);
}

// The state is empty and the publisher's first batch is awaited.
void StreamMachine::StartOver() {
  applier_.StartOver();
  tracker_.Reset();
  ForgetRank();
  hidden_keys_ = false;
  trust_.SetCaveat(TrustReason::kNone);
  trust_.SetUnknown();
  StatusChanged();
}

// ---- losses ----

void StreamMachine::HoldBehindGap(const Message& message) {
  if (held_.empty() && trust_.known() != Trust::kCold) CountGap(message.seq);
  Hold(message);
}

// Goes on from a number behind a loss. Removals may be among what was lost, so what is known from
// before is in doubt from here on.
void StreamMachine::SkipTo(uint64_t next, TrustReason reason) {
  if (MissesOnlyTheStartUpClear(next)) {
    KnowAll(TrustReason::kClearedByEngine);
  } else {
    trust_.SetDegraded(reason);  // first: a query that finds it forgotten finds it said, too
    LoseUpTo(next);
  }
  tracker_.JumpTo(next);
  held_.DropBelow(next);
  StatusChanged();
}

// How much is lost shows when the next batch comes; until then all of it is in doubt.
void StreamMachine::AdoptNextNumber(TrustReason reason) {
  trust_.SetDegraded(reason);
  applier_.Lose(0, MayKeep());
  held_.Clear();
  highest_live_.reset();
  tracker_.AcceptAny();
  StatusChanged();
}

// No replay will bring the batches from the number expected up to `next`.
void StreamMachine::LoseUpTo(uint64_t next) {
  const uint64_t batches = next - tracker_.next();
  const uint64_t holdings = status_->holdings.load(std::memory_order_relaxed);
  const bool another_life = unproven_ && MayBeAnotherLife(next);
  const LossOutcome outcome = applier_.Lose(batches, MayKeep() && !another_life);
  Increment(&counters_->losses[static_cast<size_t>(outcome)]);
  // Of a stream joined late, what was before is not a loss.
  if (tracker_.next() > 0 && batches <= limits::kMaxSequenceJump) {
    Increment(&status_->lost_batches, batches);
    Increment(&counters_->lost_batches, batches);
  }
  if (outcome == LossOutcome::kEmpty) return;
  const uint64_t lines = loss_limiter_.Admit(clock_->Monotonic());
  if (lines == 0) return;
  LogWarning(
      "stream {}/{}: {} batches before {} are lost; the {} holdings known are {}, {} of them "
      "probably "
      "wrong ({} alike not shown)",
      status_->config.worker_id, status_->config.rank, batches, next, holdings,
      LossOutcomeName(outcome), status_->doubtful_holdings.load(std::memory_order_relaxed),
      lines - 1);
}

// Whether the batch can be of an engine that has restarted since the last batch that was applied:
// its numbers began at 0 behind that, and no engine publishes faster than kFastestBatch.
bool StreamMachine::MayBeAnotherLife(uint64_t seq) const {
  constexpr Nanos kFastestBatch = std::chrono::milliseconds(1);
  return seq < static_cast<uint64_t>((clock_->Monotonic() - applied_at_) / kFastestBatch);
}

// SGLang's first batch says that it holds nothing, and nothing else.
bool StreamMachine::MissesOnlyTheStartUpClear(uint64_t next) const {
  return status_->config.engine == EngineKind::kSglang && tracker_.next() == 0 && next == 1;
}

// ---- what is heard live ----

void StreamMachine::OnMalformedLive(std::string_view what) {
  ++heard_;
  Increment(&status_->malformed_messages);
  Increment(&counters_->malformed_messages);
  live_.Malformed();
  trust_.SetDeaf(live_.reason());
  if (const uint64_t lines = live_limiter_.Admit(clock_->Monotonic())) {
    LogWarning(
        "stream {}/{}: a live message was left out: {}; expected a topic, a number of 8 bytes and "
        "a batch ({} alike not shown)",
        status_->config.worker_id, status_->config.rank, what, lines - 1);
  }
}

void StreamMachine::OnReplyTopic(std::string_view topic) {
  const std::string& subscribed = status_->config.topic;
  if (topic.starts_with(subscribed)) return;
  live_.ForeignTopic();
  if (live_.reason() != TrustReason::kTopicMismatch) return;
  trust_.SetDeaf(live_.reason());
  if (const uint64_t lines = live_limiter_.Admit(clock_->Monotonic())) {
    LogWarning(
        "stream {}/{}: the engine publishes under the topic \"{}\", subscribed to is \"{}\": "
        "nothing is heard of it live ({} alike not shown)",
        status_->config.worker_id, status_->config.rank, topic.substr(0, limits::kMaxTopicBytes),
        subscribed, lines - 1);
  }
}

// ---- time ----

void StreamMachine::OnTick() {
  trust_.LogChange();
  const Nanos now = clock_->Monotonic();
  if (guard_.Believable(now)) React(StreamInput::kQuiet);
  if (replay_ && now >= replay_->deadline) {
    React(StreamInput::kReplayTooLong);
  } else if (replay_ && now >= replay_->reply_deadline) {
    React(StreamInput::kNoReplyInTime);
  } else if (!replay_ && now >= fresh_start_at_ && !WaitsForRoom()) {
    React(StreamInput::kFreshStartDue);
  } else if (!replay_ && now >= probe_at_) {
    React(StreamInput::kProbeDue);
  }
}

void StreamMachine::LiftSyncing() {
  const bool lifts = CellOf(state_, StreamInput::kQuiet).reaction == StreamReaction::kLiftSyncing;
  if (lifts && guard_.Believable(clock_->Monotonic())) trust_.SetSyncing(TrustReason::kNone);
}

// A batch was applied.
void StreamMachine::ScheduleProbe(Nanos now) {
  if (!has_replay()) return;
  probe_delay_ = options_.probe_after_idle;
  probe_at_ = now + probe_delay_;
}

// Behind a replay that has brought nothing: however long an engine stays silent, the next batch it
// publishes may be lost.
void StreamMachine::ProbeLater() {
  if (!has_replay() || probe_at_ != Nanos::max()) return;
  const Nanos first = options_.probe_after_idle;
  probe_delay_ =
      std::clamp<Nanos>(probe_delay_ * 2, first, std::max<Nanos>(first, options_.probe_idle_max));
  probe_at_ = clock_->Monotonic() + probe_delay_;
}

// What was given up for want of memory is asked for again once there is some.
bool StreamMachine::WaitsForRoom() const {
  return trust_.known_reason() == TrustReason::kMemoryLimit && !applier_.HasRoomAgain();
}

// Passing troubles are worth another try with everything, if the engine still has everything. What
// goes wrong again sooner after a success than was waited for before it is the same trouble, which
// is waited for longer; a stream that was well for that long begins anew.
void StreamMachine::ScheduleFreshStart() {
  const Nanos now = clock_->Monotonic();
  const std::optional<Nanos> known_all_at = std::exchange(known_all_at_, std::nullopt);
  if (known_all_at.has_value() && now - *known_all_at >= fresh_start_delay_) {
    fresh_start_delay_ = Nanos(0);
  }
  const TrustReason reason = trust_.known_reason();
  const bool may_pass = reason == TrustReason::kReplayTimeout ||
                        reason == TrustReason::kReplayHole ||
                        reason == TrustReason::kHoldOverflow ||
                        reason == TrustReason::kDecodeErrors || reason == TrustReason::kMemoryLimit;
  if (!has_replay() || !may_pass) return;
  const Nanos first = options_.fresh_start_after;
  fresh_start_delay_ = std::clamp<Nanos>(fresh_start_delay_ * 2, first, first * 64);
  fresh_start_at_ = now + fresh_start_delay_;
}

}  // namespace kvroute
