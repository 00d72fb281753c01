#include "indexer/stream/stream_machine.h"

#include <algorithm>
#include <new>
#include <utility>

#include "indexer/base/check.h"
#include "indexer/base/log.h"

namespace kvroute {

StreamMachine::StreamMachine(StreamStatus* status, const StreamOptions& options, Decoder* decoder,
                             PrefixIndex* index, IngestCounters* counters, const Clock* clock)
    : status_(status),
      options_(options),
      decoder_(decoder),
      counters_(counters),
      clock_(clock),
      applier_(status, options.max_pending_memory_bytes, index, counters, options.pending_memory),
      trust_(status, clock),
      held_(options.max_held_batches, options.max_held_memory_bytes, options.held_memory),
      state_(has_replay() ? StreamState::kDisconnected : StreamState::kLiveOnlyDisconnected),
      published_rank_(status->config.published_rank),
      first_rank_(status->config.first_rank.of_worker != nullptr
                      ? status->config.first_rank.of_worker.get()
                      : &own_first_rank_) {
  applier_.OnCutBack([this] {
    if (trust_.known() == Trust::kDegraded) return;
    trust_.SetDegraded(TrustReason::kMemoryLimit);
    ScheduleFreshStart();
  });
}

StreamMachine::~StreamMachine() { ForgetRank(); }

// The walk of an event, from the message to the index: its number is judged, the table says what is
// done about it, and what comes of that is settled. What is in the batch is for the decoder and the
// applier; whoever reads the status afterwards sees a number no later than the index.
void StreamMachine::OnLiveBatch(uint64_t seq, std::string_view payload) {
  if (IsImplausible(seq)) return OnMalformedLive("a number that cannot be the next");
  ++heard_;
  live_.Heard();
  trust_.SetDeaf(live_.reason());
  const Message message{seq, payload, DigestPayload(payload)};
  const StreamInput input = JudgeLive(message);
  React(input, message);
  if (input == StreamInput::kLiveRestart && !IsConflict(state_)) {
    React(JudgeLive(message), message);  // the first batch of a new life: never a restart
  }
  Settle();
}

// No loss is that long. Where the next number goes on from it, the publisher counts so.
bool StreamMachine::IsImplausible(uint64_t seq) {
  if (seq < tracker_.next() || seq - tracker_.next() <= limits::kMaxSequenceJump) return false;
  const std::optional<uint64_t> before = std::exchange(refused_, seq);
  return !before.has_value() || seq != *before + 1;
}

StreamInput StreamMachine::JudgeLive(const Message& message) {
  if (tracker_.AcceptsAny(message.seq)) LoseUpTo(message.seq);  // see AdoptNextNumber
  switch (tracker_.AdmitLive(message.seq, message.digest)) {
    case Admission::kNext:
      return StreamInput::kLiveNext;
    case Admission::kAhead:
      return StreamInput::kLiveAhead;
    case Admission::kDuplicate:
      return StreamInput::kLiveRepeated;
    case Admission::kRestart:
      break;
  }
  const auto* held = held_.Find(message.seq);
  return held != nullptr && held->payload == message.payload ? StreamInput::kLiveRepeated
                                                             : StreamInput::kLiveRestart;
}

// Does what the table says.
void StreamMachine::React(StreamInput input, const Message& message) {
  const Step outer = std::exchange(step_, {state_, input});
  if (visited_ != nullptr) {
    ++visited_->visits[static_cast<size_t>(state_)][static_cast<size_t>(input)];
  }
  switch (const StreamReaction reaction = CellOf(state_, input).reaction) {
    case StreamReaction::kApplyLive:
      Apply(message, Origin::kLive);
      break;
    case StreamReaction::kApplyHeld:
      ApplyHeld();
      break;
    case StreamReaction::kApplyReply:
      Apply(message, Origin::kReplay);
      break;
    case StreamReaction::kHold:
      Hold(message);
      break;
    case StreamReaction::kHoldSuspect:
      Hold(message, /*suspect=*/true);
      break;
    case StreamReaction::kHoldReply:
      HoldReply(message);
      break;
    case StreamReaction::kCountRepeat:
      CountDuplicate();
      break;
    case StreamReaction::kIgnore:
    case StreamReaction::kUse:
    case StreamReaction::kWait:
      break;
    default:
      Recover(reaction, message);
  }
  step_ = outer;
}

void StreamMachine::Enter(StreamState next) {
  if (next == state_) return;
  KVROUTE_CHECK(CellOf(step_.state, step_.input).leads_to.Contains(next));
  if (visited_ != nullptr) {
    visited_->led_to[static_cast<size_t>(step_.state)][static_cast<size_t>(step_.input)].Add(next);
  }
  state_ = next;
}

void StreamMachine::Apply(const Message& message, Origin origin) {
  const Nanos started = clock_->Monotonic();
  DecodedBatch batch;
  DecodeReason rejected = DecodeReason::kOk;
  AppliedBatch applied;
  try {
    rejected = decoder_->Decode(message.payload, &batch);
    if (AsksForCopy(message, DecodesBadly(rejected, batch), origin)) {
      return React(StreamInput::kLiveDamaged, message);
    }
    if (!IsOfThisRank(batch)) {
      rejected = DecodeReason::kOtherRank;
      batch.events = {};
      batch.skipped = {};
    }
    CountBad(rejected, batch);
    applied = applier_.Apply(batch, trust_.known() == Trust::kDegraded);
    LearnCaveat(applied);
    if (rejected != DecodeReason::kOk) {
      const bool other_rank = rejected == DecodeReason::kOtherRank;
      applied.fault = other_rank ? TrustReason::kRankMismatch : TrustReason::kDecodeErrors;
      if (!other_rank) applier_.Lose(1, /*may_keep=*/true);
    }
  } catch (const std::bad_alloc&) {
    applied = ForgetForMemory();
  }
  applied_at_ = started;
  if (origin == Origin::kLive) highest_live_ = message.seq;
  if (replay_) ++(origin == Origin::kReplay ? replay_->applied : replay_->spliced);
  tracker_.Advance(message.digest);
  held_.DropBelow(tracker_.next());
  Publish(message.payload.size(), batch.ts_seconds, started, origin);
  Learn(applied);
}

// The system has less memory than we may have. How far the batch was applied nobody knows, so
// nothing of the stream can be kept.
AppliedBatch StreamMachine::ForgetForMemory() {
  trust_.SetDegraded(TrustReason::kMemoryLimit);  // first: a query that finds it gone finds it said
  Increment(&status_->rejected_batches[static_cast<size_t>(DecodeReason::kMemory)]);
  Increment(&counters_->rejected_batches[static_cast<size_t>(DecodeReason::kMemory)]);
  applier_.Abandon();
  ScheduleFreshStart();
  AppliedBatch applied;
  applied.fault = TrustReason::kMemoryLimit;
  return applied;
}

// Bytes may have been damaged on their way: they are asked for again, once, as long as there is an
// exact state to save.
bool StreamMachine::AsksForCopy(const Message& message, bool bad, Origin origin) {
  if (!bad || origin != Origin::kLive || !has_replay()) return false;
  if (trust_.known() != Trust::kExact || refetched_ == message.seq) return false;
  refetched_ = message.seq;
  return true;
}

// What another rank holds must not be credited to this one. Mooncake store has no ranks and says 0.
bool StreamMachine::IsOfThisRank(const DecodedBatch& batch) {
  if (!batch.rank.has_value() || status_->config.engine == EngineKind::kMooncake) return true;
  const uint32_t rank = status_->config.rank;
  if (!published_rank_.has_value() && first_rank_->Learn(rank, *batch.rank)) {
    published_rank_ = batch.rank;
  }
  if (published_rank_ == batch.rank) return true;
  if (const uint64_t lines = rank_limiter_.Admit(clock_->Monotonic())) {
    const uint32_t expected = published_rank_.value_or(first_rank_->known().value_or(0) + rank);
    LogWarning(
        "stream {}/{}: batch {} names data-parallel rank {}, the stream's is {}: left out; is "
        "event_endpoint \"{}\" that of this rank, and first_rank right? ({} alike not shown)",
        status_->config.worker_id, rank, tracker_.next(), *batch.rank, expected,
        status_->config.event_endpoint, lines - 1);
  }
  return false;
}

// Where it was learned: the engine may be another rank when it comes back.
void StreamMachine::ForgetRank() {
  if (status_->config.published_rank.has_value() || !published_rank_.has_value()) return;
  published_rank_.reset();
  first_rank_->Forget();
}

bool StreamMachine::DecodesBadly(DecodeReason rejected, const DecodedBatch& batch) const {
  return rejected != DecodeReason::kOk ||
         std::any_of(batch.skipped.begin(), batch.skipped.end(), [](const SkippedEvent& skipped) {
           return skipped.reason != DecodeReason::kUnknownTag;
         });
}

void StreamMachine::CountBad(DecodeReason rejected, const DecodedBatch& batch) {
  if (rejected != DecodeReason::kOk) {
    Increment(&status_->rejected_batches[static_cast<size_t>(rejected)]);
    Increment(&counters_->rejected_batches[static_cast<size_t>(rejected)]);
  }
  for (const SkippedEvent& skipped : batch.skipped) {
    Increment(&status_->skipped_events[static_cast<size_t>(skipped.reason)]);
    Increment(&counters_->skipped_events[static_cast<size_t>(skipped.reason)]);
  }
}

// The number is stored last, with release: who loads it before a query sees its batch in the
// answer.
void StreamMachine::Publish(size_t bytes, double ts_seconds, Nanos started, Origin origin) {
  const Nanos wall = clock_->Wall();
  Increment(&counters_->batches);
  Increment(&counters_->payload_bytes, bytes);
  counters_->apply_latency.Observe(clock_->Monotonic() - started);
  if (origin != Origin::kReplay) ObserveLag(ts_seconds, wall);
  Increment(&status_->batches);
  status_->last_batch_unix_ns.store(wall.count(), std::memory_order_relaxed);
  StatusChanged();
}

// One clock that was never set would spoil the sum of all lags for good.
void StreamMachine::ObserveLag(double ts_seconds, Nanos wall) {
  const bool is_time = ts_seconds > 0 && ts_seconds < 9e9;
  const Nanos lag = is_time ? wall - Nanos(static_cast<int64_t>(ts_seconds * 1e9)) : Nanos::max();
  if (lag > limits::kMaxPublishLag) return Increment(&counters_->implausible_times);
  counters_->publish_lag.Observe(std::max(lag, Nanos(0)));
}

void StreamMachine::StatusChanged() {
  status_->held_batches.store(held_.size(), std::memory_order_relaxed);
  status_->next_seq.store(tracker_.next(), std::memory_order_release);
}

void StreamMachine::Learn(const AppliedBatch& applied) {
  // Without a replay, numbers that go on confirm a new connection.
  if (IsConnected(state_)) {
    trust_.SetCurrent(true);
    unproven_ = false;
  }
  // This life of the publisher was seen from its first batch.
  if (!replay_ && tracker_.next() == 1) KnowAll(TrustReason::kReplayComplete);
  if (applied.cleared && trust_.known() != Trust::kExact) {
    KnowAll(TrustReason::kClearedByEngine);
  }
  if (applied.fault != TrustReason::kNone && trust_.known() != Trust::kDegraded) {
    trust_.SetDegraded(applied.fault);
    ScheduleFreshStart();
  }
  LiftSyncing();
  ScheduleProbe(applied_at_);
}

// What keeps the stream from being exact although nothing of it was lost: of its engine rather than
// of its state, so that no clear ends it. After a loss, blocks stored again prove nothing.
void StreamMachine::LearnCaveat(const AppliedBatch& applied) {
  if (applied.hidden_keys && trust_.known() != Trust::kDegraded &&
      !std::exchange(hidden_keys_, true)) {
    LogWarning(
        "stream {}/{}: batch {} stores again, or under a second hash, a block that the engine "
        "holds: it tells blocks apart by something that it does not publish (an extra_key, a salt, "
        "an image), and matches may be too long",
        status_->config.worker_id, status_->config.rank, tracker_.next());
  }
  trust_.SetCaveat(hidden_keys_                ? TrustReason::kHiddenKeys
                   : applied.no_full_attention ? TrustReason::kNoFullAttention
                                               : TrustReason::kNone);
}

// Nothing is left that a fresh start could repair.
void StreamMachine::KnowAll(TrustReason reason) {
  trust_.SetExact(reason);
  fresh_start_at_ = Nanos::max();
  known_all_at_ = clock_->Monotonic();
}

// ---- held batches ----

void StreamMachine::CountGap(uint64_t seq) {
  Increment(&status_->gaps);
  Increment(&counters_->gaps);
  const uint64_t missing = seq - tracker_.next();
  if (missing > limits::kMaxSequenceJump) return;  // it counts from elsewhere: see IsImplausible
  Increment(&status_->missing_batches, missing);
  Increment(&counters_->missing_batches, missing);
}

void StreamMachine::CountDuplicate() {
  Increment(&status_->duplicates);
  Increment(&counters_->duplicate_batches);
}

// Of the live stream.
void StreamMachine::Hold(const Message& message, bool suspect) {
  highest_live_ = message.seq;
  // a replay has brought it already
  if (held_.Find(message.seq) != nullptr) return CountDuplicate();
  if (!held_.Hold(message.seq, message.payload, suspect)) ++not_held_;
  StatusChanged();
}

bool StreamMachine::FrontIsNext() const {
  return !held_.empty() && held_.front_seq() == tracker_.next();
}

StreamInput StreamMachine::FrontInput() const {
  return held_.front().suspect ? StreamInput::kHeldSuspect : StreamInput::kHeldNext;
}

bool StreamMachine::FrontHasItsTurn() const {
  return FrontIsNext() && CellOf(state_, FrontInput()).reaction == StreamReaction::kApplyHeld;
}

void StreamMachine::ApplyHeld() {
  const uint64_t seq = held_.front_seq();
  const HeldBatches::Batch batch = held_.PopFront();
  Apply({seq, batch.payload, DigestPayload(batch.payload)}, Origin::kHeld);
}

bool StreamMachine::Drain(size_t max_batches) {
  for (; max_batches > 0 && FrontIsNext(); --max_batches) {
    const bool has_its_turn = FrontHasItsTurn();
    React(FrontInput());
    if (!has_its_turn) break;
  }
  Settle();
  return FrontHasItsTurn();
}

// Whether the stream has come up to date, or what is to be done when it cannot with what there is.
void StreamMachine::Settle() {
  if (FrontHasItsTurn()) return;
  if (!replay_) {
    if (!held_.empty()) React(StreamInput::kHoleLeft);
    return;
  }
  const bool missing = !held_.empty() || (highest_live_ && *highest_live_ >= tracker_.next());
  const bool ended = state_ == StreamState::kSplicing;
  if (!missing && (ended || replay_->spliced > 0)) {
    React(StreamInput::kCaughtUp);
  } else if (ended) {
    React(StreamInput::kHoleLeft);
  }
}

}  // namespace kvroute
