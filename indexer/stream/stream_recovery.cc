// The part of StreamMachine that gets a stream from doubt to certainty, but for the requests
// themselves: connections, restarts, conflicts, losses, time.
#include <algorithm>

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
  trust_.SetCurrent(false);
  if (IsConflict(state_)) return Enter(StreamState::kConflictDisconnected);
  Enter(has_replay() ? StreamState::kDisconnected : StreamState::kLiveOnlyDisconnected);
  if (!replay_) return;
  EndReplay(ReplayResult::kFailed);
  LiftSyncing();
}

// ---- restarts and conflicts ----

// The publisher counts from its beginning again.
void StreamMachine::Forget() {
  Increment(&status_->restarts);
  Increment(&counters_->restarts);
  if (replay_) EndReplay(ReplayResult::kFailed);
  held_.Clear();
  highest_live_.reset();
  refetched_.reset();
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
  if (has_replay()) probe_after_ = options_.probe_after_idle;
  published_rank_ = status_->config.published_rank;
  trust_.SetUnknown();
  StatusChanged();
}

// ---- losses ----

void StreamMachine::HoldBehindGap(const Message& message) {
  if (held_.empty() && trust_.known() != Trust::kCold) CountGap(message.seq);
  Hold(message);
}

// Goes on from a number behind a loss. Removals may be among what was lost, so nothing known before
// can be kept.
void StreamMachine::SkipTo(uint64_t next, TrustReason reason) {
  trust_.SetDegraded(reason);  // first: a query that finds it forgotten finds it said, too
  applier_.Clear();
  tracker_.JumpTo(next);
  held_.DropBelow(next);
  StatusChanged();
}

void StreamMachine::AdoptNextNumber(TrustReason reason) {
  trust_.SetDegraded(reason);
  applier_.Clear();
  held_.Clear();
  highest_live_.reset();
  tracker_.AcceptAny();
  StatusChanged();
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
  } else if (!replay_ && now >= fresh_start_at_) {
    React(StreamInput::kFreshStartDue);
  } else if (!replay_ && now >= probe_at_) {
    React(StreamInput::kProbeDue);
  }
}

void StreamMachine::LiftSyncing() {
  const bool lifts = CellOf(state_, StreamInput::kQuiet).reaction == StreamReaction::kLiftSyncing;
  if (lifts && guard_.Believable(clock_->Monotonic())) trust_.SetSyncing(TrustReason::kNone);
}

void StreamMachine::ScheduleProbe() {
  if (probe_after_) probe_at_ = clock_->Monotonic() + *probe_after_;
}

// Passing troubles are worth another try with everything, if the engine still has everything.
void StreamMachine::ScheduleFreshStart() {
  const TrustReason reason = trust_.known_reason();
  const bool may_pass =
      reason == TrustReason::kReplayTimeout || reason == TrustReason::kReplayHole ||
      reason == TrustReason::kHoldOverflow || reason == TrustReason::kDecodeErrors;
  if (!has_replay() || !may_pass) return;
  const Nanos first = options_.fresh_start_after;
  fresh_start_delay_ = std::clamp<Nanos>(fresh_start_delay_ * 2, first, first * 64);
  fresh_start_at_ = clock_->Monotonic() + fresh_start_delay_;
}

}  // namespace kvroute
