#include "indexer/stream/stream_trust.h"

#include "indexer/base/log_fields.h"

namespace kvroute {

void StreamTrust::SetCurrent(bool current) {
  current_ = current;
  Publish();
}

void StreamTrust::SetSyncing(TrustReason reason) {
  syncing_ = reason;
  Publish();
}

void StreamTrust::SetDeaf(TrustReason reason) {
  if (deaf_ == reason) return;
  deaf_ = reason;
  Publish();
}

void StreamTrust::SetQueued(bool queued) {
  if (queued_ == queued) return;
  queued_ = queued;
  Publish();
}

void StreamTrust::SetKnown(Trust trust, TrustReason reason) {
  known_ = trust;
  known_reason_ = reason;
  Publish();
}

void StreamTrust::SetCaveat(TrustReason reason) {
  if (reason == caveat_) return;
  caveat_ = reason;
  Publish();
}

void StreamTrust::Publish() {
  Trust trust = known_;
  TrustReason reason = known_reason_;
  if (!current_ && known_ == Trust::kCold) {
    reason = TrustReason::kConnecting;
  } else if (!current_) {
    trust = Trust::kStale;
    reason = TrustReason::kDisconnected;
  } else if (syncing_ != TrustReason::kNone || known_ == Trust::kCold) {
    trust = Trust::kSyncing;
    reason = syncing_ != TrustReason::kNone ? syncing_ : TrustReason::kReplaying;
    if (queued_ && reason == TrustReason::kReplaying) reason = TrustReason::kReplayQueued;
  } else if (deaf_ != TrustReason::kNone && known_ == Trust::kExact) {
    trust = Trust::kDegraded;
    reason = deaf_;
  }
  if (trust == Trust::kExact && caveat_ != TrustReason::kNone) {
    trust = Trust::kDegraded;
    reason = caveat_;
  }
  const Trust before = status_->trust.load(std::memory_order_relaxed);
  if (trust == before && reason == status_->reason.load(std::memory_order_relaxed)) return;
  status_->reason.store(reason, std::memory_order_relaxed);
  status_->trust.store(trust, std::memory_order_release);
  status_->trust_changed_unix_ns.store(clock_->Wall().count(), std::memory_order_relaxed);
}

void StreamTrust::LogChange() {
  const Trust trust = status_->trust.load(std::memory_order_relaxed);
  const TrustReason reason = status_->reason.load(std::memory_order_relaxed);
  if (trust == logged_ && reason == logged_reason_) return;
  if (limiter_.Admit(clock_->Monotonic()) == 0) return;
  const bool warn = trust == Trust::kDegraded || trust == Trust::kStale;
  const StreamConfig& config = status_->config;
  LogWith(warn ? LogLevel::kWarning : LogLevel::kInfo,
          {{"worker", config.worker_id},
           {"rank", uint64_t{config.rank}},
           {"trust", TrustName(trust)},
           {"reason", TrustReasonName(reason)}},
          "stream {}/{}: {} ({}), was {}; next batch {}", config.worker_id, config.rank,
          TrustName(trust), TrustReasonName(reason), TrustName(logged_),
          status_->next_seq.load(std::memory_order_relaxed));
  logged_ = trust;
  logged_reason_ = reason;
}

}  // namespace kvroute
