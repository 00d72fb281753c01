#include "indexer/stream/stream_machine.h"

#include <algorithm>

#include "indexer/base/log.h"

namespace kvroute {
StreamMachine::StreamMachine(StreamStatus* status, const StreamOptions& options, Decoder* decoder,
                             PrefixIndex* index, IngestCounters* counters, const Clock* clock)
    : status_(status),
      options_(options),
      decoder_(decoder),
      counters_(counters),
      clock_(clock),
      applier_(status, options.max_pending_memory_bytes, index, counters),
      trust_(status, clock),
      held_(options.max_held_batches, options.max_held_memory_bytes),
      published_rank_(status->config.published_rank) {}

// The walk of an event, from the message to the index. Which batch may be applied is decided by its
// number; what is in it is decided by the decoder and the applier; whoever reads the status
// afterwards sees a number no later than the index.
void StreamMachine::OnLiveBatch(uint64_t seq, std::string_view payload) {
  ++heard_;
  if (guard_.conflict()) return guard_.Observe(seq, clock_->Monotonic());
  const PayloadDigest digest = DigestPayload(payload);
  if (adopt_number_ && seq >= tracker_.next()) tracker_.JumpTo(seq);
  adopt_number_ = false;
  switch (tracker_.AdmitLive(seq, digest)) {
    case Admission::kDuplicate:
      CountDuplicate();
      break;
    case Admission::kRestart:
      if (const auto* held = held_.Find(seq); held != nullptr && held->payload == payload) {
        CountDuplicate();
        break;
      }
      Restart();
      if (!guard_.conflict())
        OnLiveBatch(seq, payload);  // the first of a new life: never a restart
      break;
    case Admission::kAhead:
      highest_live_ = seq;
      OnAhead(seq, payload, digest);
      break;
    case Admission::kNext:
      highest_live_ = seq;
      // What comes before the news of a new connection may be of another life of the publisher.
      if (!has_replay() || (connected_ && verified_)) {
        Apply(seq, payload, digest, Origin::kLive);
      } else {
        Hold(seq, payload, /*suspect=*/false);
      }
      break;
  }
}

void StreamMachine::Apply(uint64_t seq, std::string_view payload, PayloadDigest digest,
                          Origin origin) {
  const Nanos started = clock_->Monotonic();
  DecodedBatch batch;
  DecodeReason rejected = decoder_->Decode(payload, &batch);
  const bool bad = DecodesBadly(rejected, batch);
  // Bytes may have been damaged on their way: ask for them again, once, as long as there is an
  // exact state to save.
  if (bad && origin == Origin::kLive && has_replay() && trust_.known() == Trust::kExact &&
      refetched_ != seq) {
    refetched_ = seq;
    Hold(seq, payload, /*suspect=*/true);
    if (!replay_ || replay_->purpose != ReplayPurpose::kCatchUp) StartReplay(OverlapStart());
    return;
  }
  if (!IsOfThisRank(batch)) {
    rejected = DecodeReason::kOtherRank;
    batch.events = {};
    batch.skipped = {};
  }
  CountBad(rejected, batch);
  AppliedBatch applied = applier_.Apply(batch);
  if (rejected != DecodeReason::kOk) {
    applied.fault = rejected == DecodeReason::kOtherRank ? TrustReason::kRankMismatch
                                                         : TrustReason::kDecodeErrors;
  }
  tracker_.Advance(digest);
  held_.DropBelow(tracker_.next());
  Publish(payload.size(), batch.ts_seconds, started, origin);
  Learn(applied);
  if (replay_ && origin != Origin::kReplay) replay_->spliced = true;
  if (origin == Origin::kLive) Settle();
}

// What another rank holds must not be credited to this one. Mooncake store has no ranks and says 0.
bool StreamMachine::IsOfThisRank(const DecodedBatch& batch) {
  if (!batch.rank.has_value() || status_->config.engine == EngineKind::kMooncake) return true;
  if (!published_rank_.has_value()) published_rank_ = batch.rank;
  if (*published_rank_ == *batch.rank) return true;
  if (const uint64_t lines = rank_limiter_.Admit(clock_->Monotonic())) {
    LogWarning(
        "stream {}/{}: batch {} names data-parallel rank {}, the stream's is {}: left out; is "
        "event_endpoint \"{}\" that of this rank? ({} alike not shown)",
        status_->config.worker_id, status_->config.rank, tracker_.next(), *batch.rank,
        *published_rank_, status_->config.event_endpoint, lines - 1);
  }
  return false;
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
  if (origin != Origin::kReplay && ts_seconds > 0 && ts_seconds < 9e9) {
    const Nanos published(static_cast<int64_t>(ts_seconds * 1e9));
    counters_->publish_lag.Observe(std::max(wall - published, Nanos(0)));
  }
  Increment(&status_->batches);
  status_->last_batch_unix_ns.store(wall.count(), std::memory_order_relaxed);
  StatusChanged();
}

void StreamMachine::StatusChanged() {
  status_->held_batches.store(held_.size(), std::memory_order_relaxed);
  status_->next_seq.store(tracker_.next(), std::memory_order_release);
}

void StreamMachine::Learn(const AppliedBatch& applied) {
  if (connected_)
    trust_.SetCurrent(true);  // without a replay, numbers that go on confirm a new connection
  if (!replay_ && tracker_.next() == 1) {
    trust_.SetExact(
        TrustReason::kReplayComplete);  // this life of the publisher was seen from its first batch
  }
  if (applied.cleared && trust_.known() != Trust::kExact) {
    trust_.SetExact(TrustReason::kClearedByEngine);
    fresh_start_at_ = Nanos::max();
  }
  if (applied.fault != TrustReason::kNone && trust_.known() != Trust::kDegraded) {
    trust_.SetDegraded(applied.fault);
    ScheduleFreshStart();
  }
  LiftSyncing();
  probe_at_ = clock_->Monotonic() + options_.probe_after_idle;
}

// ---- held batches ----

void StreamMachine::OnAhead(uint64_t seq, std::string_view payload, PayloadDigest digest) {
  const bool catching_up = replay_ && replay_->purpose == ReplayPurpose::kCatchUp;
  if (!has_replay() || (held_.empty() && !catching_up && trust_.known() != Trust::kCold)) {
    Increment(&status_->gaps);
    Increment(&counters_->gaps);
    Increment(&status_->missing_batches, seq - tracker_.next());
    Increment(&counters_->missing_batches, seq - tracker_.next());
  }
  if (!has_replay()) {  // what is missing will never come: nothing to wait for
    SkipTo(seq, TrustReason::kNoReplay);
    return Apply(seq, payload, digest, Origin::kLive);
  }
  Hold(seq, payload, /*suspect=*/false);
  if (!catching_up) StartReplay(OverlapStart());
}

void StreamMachine::Hold(uint64_t seq, std::string_view payload, bool suspect) {
  if (held_.Find(seq) != nullptr) return CountDuplicate();  // a replay has brought it already
  if (!held_.Hold(seq, payload, suspect)) hold_overflow_ = true;
  StatusChanged();
}

void StreamMachine::CountDuplicate() {
  Increment(&status_->duplicates);
  Increment(&counters_->duplicate_batches);
}

bool StreamMachine::FrontHasItsTurn() const {
  return connected_ && verified_ && !held_.empty() && held_.front_seq() == tracker_.next() &&
         (!held_.front().suspect || accept_suspects_);
}

bool StreamMachine::Drain(size_t max_batches) {
  for (; max_batches > 0 && FrontHasItsTurn(); --max_batches) {
    const uint64_t seq = held_.front_seq();
    const HeldBatches::Batch batch = held_.PopFront();
    if (batch.suspect) accept_suspects_ = false;
    Apply(seq, batch.payload, DigestPayload(batch.payload), Origin::kHeld);
  }
  if (FrontHasItsTurn()) return true;
  Settle();
  if (!replay_ && !held_.empty() && !FrontHasItsTurn()) {
    StartReplay(OverlapStart());  // another hole behind the batches just applied
  }
  return FrontHasItsTurn();
}

}  // namespace kvroute
