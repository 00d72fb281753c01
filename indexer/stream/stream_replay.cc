// The part of StreamMachine that asks the engine for a replay and judges its replies.
#include <utility>

#include "indexer/base/check.h"
#include "indexer/base/log.h"
#include "indexer/stream/stream_machine.h"

namespace kvroute {

// The reactions to a running request.
void StreamMachine::FollowReplay(StreamReaction reaction, const Message& message) {
  switch (reaction) {
    case StreamReaction::kConfirm:
      unproven_ = false;
      return Enter(StreamState::kCatchingUp);
    case StreamReaction::kSplice:
      return Enter(StreamState::kSplicing);
    case StreamReaction::kFinish:
      return Finish();
    case StreamReaction::kReplace:
      return ReplaceState();
    case StreamReaction::kKeep:
      return KeepState();
    case StreamReaction::kKeepOrAskAgain:
      if (!AskForStartAgain(message.seq)) KeepState();
      return;
    case StreamReaction::kSkipOrAskAgain:
      if (!AskForStartAgain(message.seq)) SkipToReply(message.seq);
      return;
    case StreamReaction::kAskAgainOrDoWithout:
      if (replay_->attempts < options_.replay_attempts) return AskAgain(replay_->attempts + 1);
      return DoWithout();
    case StreamReaction::kAskAgainOrGiveUp:
      return AskAgainOrGiveUp();
    case StreamReaction::kGiveUp:
      return GiveUp();
    default:
      LogError("stream {}/{}: \"{}\" while {}: the table of states says that it cannot happen",
               status_->config.worker_id, status_->config.rank, StreamInputName(step_.input),
               StreamStateName(state_));
      KVROUTE_CHECK(reaction != StreamReaction::kNever);
  }
}

// One before the number expected next, as long as its content is known and can be compared.
uint64_t StreamMachine::OverlapStart() const {
  return tracker_.KnowsLast() ? tracker_.next() - 1 : tracker_.next();
}

void StreamMachine::StartReplay(uint64_t from, StreamState state) {
  const Nanos now = clock_->Monotonic();
  replay_.emplace();
  replay_->from = from;
  replay_->mark = tracker_.next();
  replay_->reply_deadline = now + options_.replay_timeout;
  replay_->deadline = now + options_.replay_limit;
  replay_request_ = from;
  probe_at_ = Nanos::max();
  Increment(&status_->replays);
  Enter(state);
  if (state == StreamState::kVerifying || state == StreamState::kCatchingUp) {
    trust_.SetSyncing(TrustReason::kReplaying);
  }
}

// Whoever calls it lifts the trust once what has come of the replay is in it: not exact in between.
void StreamMachine::EndReplay(ReplayResult result) {
  live_.Replayed(replay_->applied > 0);
  trust_.SetDeaf(live_.reason());
  replay_.reset();
  ProbeLater();
  replay_request_.reset();
  trust_.SetQueued(false);
  Increment(&counters_->replays[static_cast<size_t>(result)]);
}

std::optional<uint64_t> StreamMachine::TakeReplayRequest() {
  if (replay_ && replay_->deadline == Nanos::max()) {  // it was queued
    const Nanos now = clock_->Monotonic();
    replay_->reply_deadline = now + options_.replay_timeout;
    replay_->deadline = now + options_.replay_limit;
    trust_.SetQueued(false);
  }
  return std::exchange(replay_request_, std::nullopt);
}

// An engine that has not been asked owes no answer.
void StreamMachine::OnReplayQueued() {
  replay_->reply_deadline = Nanos::max();
  replay_->deadline = Nanos::max();
  trust_.SetQueued(true);
}

void StreamMachine::OnReplyUnread() {
  replay_->reply_deadline = clock_->Monotonic() + options_.replay_timeout;
}

// ---- replies ----

void StreamMachine::OnReplayedBatch(uint64_t seq, std::string_view payload) {
  ++heard_;
  if (!AwaitsReplies()) return React(StreamInput::kReplyStray);
  if (IsImplausible(seq)) {
    Increment(&status_->malformed_messages);
    return Increment(&counters_->malformed_messages);
  }
  const Nanos now = clock_->Monotonic();
  replay_->reply_deadline = now + options_.replay_timeout;
  const Message message{seq, payload, DigestPayload(payload)};
  if (replay_->replies++ == 0) {
    React(BeginsInTime(seq) ? StreamInput::kFirstReply : StreamInput::kFirstReplyLate, message);
    if (!replay_ || replay_->replies == 0) return;  // it is over, or asked for again
  }
  const StreamInput input = JudgeReply(message);
  if (input == StreamInput::kReplyConfirms) unproven_ = false;
  const uint64_t next = tracker_.next();
  React(input, message);
  // A long replay may take long, as long as it goes on.
  if (replay_ && tracker_.next() > next) replay_->deadline = now + options_.replay_limit;
}

void StreamMachine::OnReplayEnd() {
  ++heard_;
  if (!AwaitsReplies()) return React(StreamInput::kReplyStray);
  const bool knows_last = replay_->replies > 0 || replay_->from >= replay_->mark;
  React(knows_last ? StreamInput::kReplayEnd : StreamInput::kReplayEndUnknown);
  Settle();
}

// Behind the end of a replay nothing more belongs to it.
bool StreamMachine::AwaitsReplies() const { return replay_ && state_ != StreamState::kSplicing; }

bool StreamMachine::BeginsInTime(uint64_t seq) const {
  if (seq <= replay_->from) return true;
  const bool known = state_ == StreamState::kCatchingUp || state_ == StreamState::kProbing;
  return known && seq <= tracker_.next();
}

StreamInput StreamMachine::JudgeReply(const Message& message) const {
  switch (tracker_.AdmitReplayed(message.seq, message.digest)) {
    case Admission::kNext:
      return StreamInput::kReplyNext;
    case Admission::kAhead:
      return StreamInput::kReplyAhead;
    case Admission::kRestart:
      return StreamInput::kReplyRestart;
    case Admission::kDuplicate:
      break;
  }
  return message.seq + 1 == tracker_.next() ? StreamInput::kReplyConfirms
                                            : StreamInput::kReplyRepeated;
}

// The replay lost some before it, or the engine is not known yet. Without room it is asked for
// again.
void StreamMachine::HoldReply(const Message& message) {
  held_.Hold(message.seq, message.payload, /*suspect=*/false);
  StatusChanged();
}

// Replies that begin too late are those of an engine that no longer has the start, or the first
// were lost in its full pipe. What an engine no longer has it will not have later: replies that
// begin no earlier than those to the request before settle it, so that an engine with a long buffer
// is made to send it twice at most.
bool StreamMachine::AskForStartAgain(uint64_t first_reply) {
  if (replay_->attempts >= options_.replay_attempts || first_reply >= replay_->first_reply) {
    return false;
  }
  AskAgain(replay_->attempts + 1);
  replay_->first_reply = first_reply;
  return true;
}

// The engine no longer has what comes before its first reply. Each hole before that would end in a
// loss, so what is held before the last is of no use.
void StreamMachine::SkipToReply(uint64_t first_reply) {
  const bool verified = state_ != StreamState::kVerifying;
  if (!verified) DropUnproven();
  const uint64_t from = held_.StretchBefore(first_reply);
  if (verified && from <= tracker_.next()) return;  // nothing is missing
  replay_->result = ReplayResult::kTrimmed;
  SkipTo(from, TrustReason::kReplayTrimmed);
  if (!verified) Enter(StreamState::kCatchingUp);
}

// The engine has not confirmed that it is the publisher of the connections before, and will not:
// what came from those and was not applied is of no use.
void StreamMachine::DropUnproven() {
  held_.DropUnproven();
  highest_live_.reset();
}

// The fresh start is there: everything comes again.
void StreamMachine::ReplaceState() {
  fresh_start_at_ = Nanos::max();
  StartOver();
  replay_->mark = tracker_.next();
  Enter(StreamState::kCatchingUp);
  trust_.SetSyncing(TrustReason::kReplaying);
}

// The engine no longer has its start, and never will again.
void StreamMachine::KeepState() {
  fresh_start_at_ = Nanos::max();
  EndReplay(ReplayResult::kTrimmed);
  Enter(StreamState::kFollowing);
  LiftSyncing();
}

// ---- the end of a request ----

void StreamMachine::Finish() {
  EndReplay(replay_->result);
  Enter(StreamState::kFollowing);
  not_held_ = 0;
  trust_.SetCurrent(true);
  if (trust_.known() == Trust::kCold) KnowAll(TrustReason::kReplayComplete);
  LiftSyncing();
}

void StreamMachine::AskAgainOrGiveUp() {
  const bool progressed = tracker_.next() > replay_->mark;
  if (!progressed && replay_->attempts >= options_.replay_attempts) return GiveUp();
  AskAgain(progressed ? 1 : replay_->attempts + 1);
}

// The same, asked for once more; the time limit goes on.
void StreamMachine::AskAgain(int attempts) {
  const RunningReplay before = *replay_;
  const uint64_t from = state_ == StreamState::kStartingAfresh ? 0 : OverlapStart();
  StartReplay(from, state_ == StreamState::kSplicing ? StreamState::kCatchingUp : state_);
  replay_->attempts = attempts;
  replay_->applied = before.applied;
  replay_->deadline = before.deadline;
  replay_->result = before.result;
}

// The engine's replay does not even know the last batch that was applied. On a connection on which
// it has confirmed that batch once, it has a buffer that keeps less than one, or its pipe is full:
// it is asked again as rarely as an engine that has nothing to say.
void StreamMachine::DoWithout() {
  probe_delay_ = options_.probe_idle_max;
  EndReplay(ReplayResult::kTrimmed);
  Enter(StreamState::kFollowing);
  if (!held_.empty() && !FrontHasItsTurn()) {
    SkipTo(held_.front_seq(), TrustReason::kReplayTrimmed);
  }
  LiftSyncing();
}

// The engine cannot or does not give what is missing.
void StreamMachine::GiveUp() {
  const bool timeout =
      step_.input == StreamInput::kNoReplyInTime || step_.input == StreamInput::kReplayTooLong;
  const bool overflowed = std::exchange(not_held_, 0) > 0;
  const StreamState asked_in = state_;
  EndReplay(timeout ? ReplayResult::kTimeout : ReplayResult::kHole);
  Enter(StreamState::kFollowing);
  if (asked_in == StreamState::kStartingAfresh) {
    ScheduleFreshStart();
  } else {
    GoOnWithLoss(asked_in, overflowed,
                 timeout      ? TrustReason::kReplayTimeout
                 : overflowed ? TrustReason::kHoldOverflow
                              : TrustReason::kReplayHole);
  }
  LiftSyncing();
}

void StreamMachine::GoOnWithLoss(StreamState asked_in, bool overflowed, TrustReason reason) {
  const bool verified = asked_in != StreamState::kVerifying;
  if (verified && FrontHasItsTurn()) return;  // only a better copy was missing
  if (!verified) DropUnproven();
  if (!held_.empty()) {
    SkipTo(held_.front_seq(), reason);
  } else if (!verified || overflowed || trust_.known() == Trust::kCold) {
    AdoptNextNumber(reason);
  } else if (asked_in != StreamState::kProbing) {
    // Nothing is known to be missing, but the engine did not say so: as after a new connection
    // without a replay, the state is as of then until its numbers go on. Asked again meanwhile.
    trust_.SetCurrent(false);
    ScheduleProbe(clock_->Monotonic());
  }
  // An engine that does not answer a probe does not put off what is due already.
  const bool due = asked_in == StreamState::kProbing && fresh_start_at_ != Nanos::max();
  if (trust_.known() == Trust::kDegraded && !due) ScheduleFreshStart();
}

}  // namespace kvroute
