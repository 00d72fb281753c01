// The part of StreamApplier that cannot use what it is given: it is a fault of the batch, and one
// log line in a life of the engine.
#include <algorithm>
#include <utility>

#include "indexer/base/log.h"
#include "indexer/stream/stream_applier.h"

namespace kvroute {
namespace {

constexpr size_t kMaxLoggedBytes = 64;  // of a name that an engine published

}  // namespace

// What a type that we do not know says of nothing that is held costs no trust.
void StreamApplier::ApplySkipped(const SkippedEvent& skipped, std::string_view unknown_tag) {
  missed_removals_ |= skipped.may_change_holdings;
  if (skipped.reason != DecodeReason::kUnknownTag) return Fault(TrustReason::kDecodeErrors);
  if (!skipped.may_change_holdings) return;
  Fault(TrustReason::kUnknownEvent);
  if (!SayOnce(TrustReason::kUnknownEvent)) return;
  LogWarning(
      "stream {}/{}: events of type \"{}\" are not known: what they may have removed or moved "
      "is not followed",
      status_->config.worker_id, status_->config.rank, unknown_tag.substr(0, kMaxLoggedBytes));
}

bool StreamApplier::SayOnce(TrustReason reason) {
  static_assert(kTrustReasonCount <= 64);
  const uint64_t bit = uint64_t{1} << static_cast<int>(reason);
  return (std::exchange(said_, said_ | bit) & bit) == 0;
}

// What a stream stored in media that we do not know was left out, and so may be the removal of it.
// One that never stored there may mean by another name what it holds.
EventOutcome StreamApplier::RefuseMedium(const Event& event) {
  Fault(TrustReason::kUnknownMedium);
  if (event.type == EventType::kStored) {
    unknown_medium_stored_ = true;
  } else if (!unknown_medium_stored_) {
    missed_removals_ |=
        event.type == EventType::kCleared ||
        std::any_of(event.block_hashes.begin(), event.block_hashes.end(), [this](EngineHash hash) {
          return HoldsOrWaits(hash) || chunks_.IsRagged(hash);
        });
  }
  if (SayOnce(TrustReason::kUnknownMedium)) {
    LogWarning(
        "stream {}/{}: medium \"{}\" is not known: what it holds is left out; name its tier "
        "in ingest.media",
        status_->config.worker_id, status_->config.rank, event.medium.substr(0, kMaxLoggedBytes));
  }
  return EventOutcome::kUnknownTier;
}

void StreamApplier::SayUnplaceable(const Event& event) {
  Fault(TrustReason::kUnplaceable);
  if (!SayOnce(TrustReason::kUnplaceable)) return;
  LogWarning(
      "stream {}/{}: blocks in tier {} are left out: nothing says where in a prompt they stand",
      status_->config.worker_id, status_->config.rank, TierName(event.tier));
}

EventOutcome StreamApplier::RefuseSize(const Event& event) {
  Fault(TrustReason::kBlockSizeMismatch);
  if (!SayOnce(TrustReason::kBlockSizeMismatch)) return EventOutcome::kBlockSize;
  const StreamConfig& config = status_->config;
  if (lookahead_tokens_.value_or(LookaheadOf(event)) != LookaheadOf(event)) {
    LogError(
        "stream {}/{}: bigram: the engine hashes {} tokens behind a block, {} {}: left out; make "
        "it the engine's, or false to learn it",
        config.worker_id, config.rank, LookaheadOf(event), *lookahead_tokens_,
        config.bigram ? "is configured" : "was learned");
    return EventOutcome::kBlockSize;
  }
  LogError(
      "stream {}/{}: block_size_tokens: the engine's blocks in tier {} have {} tokens, {} {}: left "
      "out; make it the engine's, or 0 to learn it",
      config.worker_id, config.rank, TierName(event.tier), event.tokens_per_hash,
      block_size_.size(), config.block_size_tokens != 0 ? "is configured" : "was learned");
  return EventOutcome::kBlockSize;
}

}  // namespace kvroute
