// The part of StreamMachine that gets a stream from doubt to certainty: replays, restarts,
// conflicts, time.
#include <algorithm>
#include <utility>

#include "indexer/stream/stream_machine.h"

namespace kvroute {

void StreamMachine::OnConnected() {
  connected_ = true;
  status_->connected.store(true, std::memory_order_relaxed);
  if (!has_replay()) {
    // What was missed cannot be asked for: a stream that was known stays stale until its numbers go
    // on.
    if (trust_.known() == Trust::kCold && tracker_.next() == 0) {
      adopt_number_ = false;
      trust_.SetCurrent(true);
      trust_.SetDegraded(TrustReason::kNoReplay);
    }
    return;
  }
  if (guard_.conflict()) return trust_.SetCurrent(true);
  verified_ = OverlapStart() == tracker_.next();  // nothing applied whose number could be compared
  if (verified_) {  // nor can it be told whether what is held is of this life of the publisher
    held_.Clear();
    highest_live_.reset();
    StatusChanged();
  }
  held_.MarkUnproven();
  StartReplay(OverlapStart());
  trust_.SetCurrent(true);  // syncing by now, never exact for a moment
}

void StreamMachine::OnDisconnected() {
  connected_ = false;
  status_->connected.store(false, std::memory_order_relaxed);
  guard_.Disconnected();
  tracker_.Reconnected();
  trust_.SetCurrent(false);
  if (!replay_) return;
  EndReplay(ReplayResult::kFailed);
  LiftSyncing();
}

// ---- replay ----

// One before the number expected next, as long as its content is known and can be compared.
uint64_t StreamMachine::OverlapStart() const {
  return tracker_.KnowsLast() ? tracker_.next() - 1 : tracker_.next();
}

bool StreamMachine::StartReplay(uint64_t from, ReplayPurpose purpose) {
  if (!has_replay() || !connected_) return false;
  const Nanos now = clock_->Monotonic();
  replay_.emplace();
  replay_->purpose = purpose;
  replay_->from = from;
  replay_->mark = tracker_.next();
  replay_->reply_deadline = now + options_.replay_timeout;
  replay_->deadline = now + options_.replay_limit;
  replay_request_ = from;
  accept_suspects_ = false;
  probe_at_ = Nanos::max();
  Increment(&status_->replays);
  if (purpose == ReplayPurpose::kCatchUp) trust_.SetSyncing(TrustReason::kReplaying);
  return true;
}

std::optional<uint64_t> StreamMachine::TakeReplayRequest() {
  return std::exchange(replay_request_, std::nullopt);
}

void StreamMachine::OnReplayedBatch(uint64_t seq, std::string_view payload) {
  ++heard_;
  if (!replay_) return;
  replay_->reply_deadline = clock_->Monotonic() + options_.replay_timeout;
  if (!std::exchange(replay_->any_reply, true) && !OnFirstReply(seq)) return;
  const PayloadDigest digest = DigestPayload(payload);
  switch (tracker_.AdmitReplayed(seq, digest)) {
    case Admission::kDuplicate:
      if (seq + 1 == tracker_.next()) verified_ = true;
      break;
    case Admission::kRestart:
      Restart();
      if (!guard_.conflict()) StartReplay(0);
      break;
    case Admission::kNext:
      Apply(seq, payload, digest, Origin::kReplay);
      break;
    case Admission::kAhead:  // the replay lost some; what is not kept now is asked for again
      held_.Hold(seq, payload, /*suspect=*/false);
      StatusChanged();
      break;
  }
}

// False when the reply is not to be used.
bool StreamMachine::OnFirstReply(uint64_t seq) {
  const bool fresh_start = replay_->purpose == ReplayPurpose::kFreshStart;
  const bool from_start =
      fresh_start ? seq == 0 : seq <= replay_->from || (verified_ && seq <= tracker_.next());
  if (!from_start && AskForStartAgain(seq)) return false;
  if (fresh_start) {
    if (!from_start) {  // the engine no longer has its start, and never will again
      fresh_start_at_ = Nanos::max();
      EndReplay(ReplayResult::kTrimmed);
      LiftSyncing();
      return false;
    }
    replay_->purpose = ReplayPurpose::kCatchUp;
    fresh_start_at_ = Nanos::max();
    StartOver();
    trust_.SetSyncing(TrustReason::kReplaying);
  } else if (!from_start) {
    DropUnproven();
    // Each hole before it would end in a loss, so what is held before the last is of no use.
    const uint64_t from = held_.StretchBefore(seq);
    if (verified_ && from <= tracker_.next()) return true;
    replay_->trimmed = true;
    SkipTo(from, TrustReason::kReplayTrimmed);
  }
  return true;
}

// The engine has not confirmed that it is the publisher of the connections before, and will not:
// what came from those and was not applied is of no use.
void StreamMachine::DropUnproven() {
  if (verified_) return;
  held_.DropUnproven();
  highest_live_.reset();
}

// Replies that begin too late are those of an engine that no longer has the start, or the first
// were lost in its full pipe. What an engine no longer has it will not have later: replies that
// begin no earlier than those to the request before settle it, so that an engine with a long buffer
// is made to send it twice at most.
bool StreamMachine::AskForStartAgain(uint64_t first_reply) {
  if (replay_->attempts >= options_.replay_attempts || first_reply >= replay_->first_reply) {
    return false;
  }
  Retry(replay_->attempts + 1);
  replay_->first_reply = first_reply;
  return true;
}

void StreamMachine::OnReplayEnd() {
  ++heard_;
  if (!replay_) return;
  if (replay_->purpose == ReplayPurpose::kFreshStart) {
    fresh_start_at_ = Nanos::max();
    EndReplay(ReplayResult::kTrimmed);
    return LiftSyncing();
  }
  if (!replay_->any_reply && replay_->from < tracker_.next()) return OnLastBatchUnknown();
  replay_->ended = true;
  accept_suspects_ = true;
  Settle();
}

// The engine's replay does not even know the last batch that was applied. Behind a new connection
// that is a new life of the engine; on the same one it is a buffer that keeps less than one batch,
// unless the reply was lost.
void StreamMachine::OnLastBatchUnknown() {
  if (!verified_) {
    Restart();
    if (!guard_.conflict()) StartReplay(0);
    return;
  }
  if (replay_->attempts < options_.replay_attempts) return Retry(replay_->attempts + 1);
  probes_help_ = false;
  EndReplay(ReplayResult::kTrimmed);
  accept_suspects_ = true;
  if (!held_.empty() && !FrontHasItsTurn()) {
    SkipTo(held_.front_seq(), TrustReason::kReplayTrimmed);
  }
  LiftSyncing();
}

// Ends a running replay when nothing is missing up to the live stream; looks for what to do when it
// has ended too early.
void StreamMachine::Settle() {
  if (!replay_ || replay_->purpose == ReplayPurpose::kFreshStart || FrontHasItsTurn()) return;
  const bool missing = !held_.empty() || (highest_live_ && *highest_live_ >= tracker_.next());
  if (!missing && verified_ && (replay_->ended || replay_->spliced)) return Finish();
  if (!replay_->ended) return;
  RetryOrFail(hold_overflow_ ? TrustReason::kHoldOverflow : TrustReason::kReplayHole);
}

void StreamMachine::Finish() {
  EndReplay(replay_->trimmed ? ReplayResult::kTrimmed : ReplayResult::kComplete);
  hold_overflow_ = false;
  trust_.SetCurrent(connected_);
  if (trust_.known() == Trust::kCold) trust_.SetExact(TrustReason::kReplayComplete);
  LiftSyncing();
}

void StreamMachine::RetryOrFail(TrustReason reason) {
  const bool progressed = tracker_.next() > replay_->mark;
  if (!progressed && replay_->attempts >= options_.replay_attempts) return Fail(reason);
  Retry(progressed ? 1 : replay_->attempts + 1);
}

// The same replay, asked for once more within its time limit.
void StreamMachine::Retry(int attempts) {
  const RunningReplay before = *replay_;
  StartReplay(before.purpose == ReplayPurpose::kFreshStart ? 0 : OverlapStart(), before.purpose);
  replay_->attempts = attempts;
  replay_->deadline = before.deadline;
  replay_->trimmed = before.trimmed;
}

// The engine cannot or does not give what is missing.
void StreamMachine::Fail(TrustReason reason) {
  GiveUpReplay(reason);
  LiftSyncing();
}

void StreamMachine::GiveUpReplay(TrustReason reason) {
  const bool fresh_start = replay_->purpose == ReplayPurpose::kFreshStart;
  const bool catch_up = replay_->purpose == ReplayPurpose::kCatchUp;
  EndReplay(reason == TrustReason::kReplayTimeout ? ReplayResult::kTimeout : ReplayResult::kHole);
  accept_suspects_ = true;
  const bool overflowed = std::exchange(hold_overflow_, false);
  if (fresh_start) return ScheduleFreshStart();
  if (verified_ && FrontHasItsTurn()) return;  // only a better copy was missing
  DropUnproven();
  const bool unverified = !std::exchange(verified_, true);
  if (!held_.empty()) {
    SkipTo(held_.front_seq(), reason);
  } else if (unverified || overflowed || trust_.known() == Trust::kCold) {
    AdoptNextNumber(reason);
  } else if (catch_up) {
    // Nothing is known to be missing, but the engine did not say so: as after a new connection
    // without a replay, the state is as of then until its numbers go on. Asked again meanwhile.
    trust_.SetCurrent(false);
    probe_at_ = clock_->Monotonic() + options_.probe_after_idle;
  }
  if (trust_.known() == Trust::kDegraded) ScheduleFreshStart();
}

// Who calls it lifts the trust once what has come of the replay is in it: not exact in between.
void StreamMachine::EndReplay(ReplayResult result) {
  replay_.reset();
  replay_request_.reset();
  Increment(&counters_->replays[static_cast<size_t>(result)]);
}

// ---- losses ----

// Goes on from a number behind a loss. Removals may be among what was lost, so nothing known before
// can be kept.
void StreamMachine::SkipTo(uint64_t next, TrustReason reason) {
  trust_.SetDegraded(reason);  // first: a query that finds it forgotten finds it said, too
  Forget();
  tracker_.JumpTo(next);
  held_.DropBelow(next);
  verified_ = true;
  StatusChanged();
}

void StreamMachine::AdoptNextNumber(TrustReason reason) {
  trust_.SetDegraded(reason);
  Forget();
  held_.Clear();
  highest_live_.reset();
  adopt_number_ = true;
  StatusChanged();
}

void StreamMachine::Forget() { applier_.Clear(); }

// The state is empty and the publisher's first batch is awaited.
void StreamMachine::StartOver() {
  applier_.StartOver();
  tracker_.Reset();
  verified_ = true;
  adopt_number_ = false;
  probes_help_ = true;
  published_rank_ = status_->config.published_rank;
  trust_.SetUnknown();
  StatusChanged();
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

// ---- restarts and conflicts ----

void StreamMachine::Restart() {
  Increment(&status_->restarts);
  Increment(&counters_->restarts);
  if (replay_) EndReplay(ReplayResult::kFailed);
  held_.Clear();
  highest_live_.reset();
  refetched_.reset();
  hold_overflow_ = false;
  fresh_start_at_ = Nanos::max();
  fresh_start_delay_ = Nanos(0);
  if (guard_.Restarted(clock_->Monotonic())) return EnterConflict();
  trust_.SetSyncing(TrustReason::kEngineRestarted);
  StartOver();
}

// Nothing two publishers say under one name can be told apart: their batches are left alone until
// one of them stops.
void StreamMachine::EnterConflict() {
  trust_.SetDegraded(TrustReason::kIdentityConflict);
  trust_.SetSyncing(TrustReason::kNone);
  Forget();
  tracker_.Reset();
  StatusChanged();
}

void StreamMachine::LeaveConflict() {
  guard_.EndConflict();
  StartOver();
  if (StartReplay(0)) return;
  trust_.SetDegraded(TrustReason::kNoReplay);
}

void StreamMachine::LiftSyncing() {
  const bool catching_up = replay_ && replay_->purpose == ReplayPurpose::kCatchUp;
  if (!catching_up && guard_.Believable(clock_->Monotonic())) {
    trust_.SetSyncing(TrustReason::kNone);
  }
}

void StreamMachine::OnTick() {
  trust_.LogChange();
  if (!connected_) return;
  const Nanos now = clock_->Monotonic();
  if (guard_.conflict()) {
    if (guard_.Believable(now)) LeaveConflict();
    return;
  }
  LiftSyncing();
  if (replay_ && now >= replay_->deadline) {
    Fail(TrustReason::kReplayTimeout);
  } else if (replay_ && now >= replay_->reply_deadline) {
    RetryOrFail(TrustReason::kReplayTimeout);
  } else if (!replay_ && now >= fresh_start_at_) {
    StartReplay(0, ReplayPurpose::kFreshStart);
  } else if (!replay_ && now >= probe_at_ && probes_help_) {
    StartReplay(OverlapStart(), ReplayPurpose::kProbe);
  }
}

}  // namespace kvroute
