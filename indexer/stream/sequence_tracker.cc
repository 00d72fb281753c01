#include "indexer/stream/sequence_tracker.h"

#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvroute {

PayloadDigest DigestPayload(std::string_view payload) {
  return PayloadDigest(XXH3_64bits(payload.data(), payload.size()));
}

std::optional<bool> SequenceTracker::SameAsApplied(uint64_t seq, PayloadDigest digest) const {
  if (seq >= next_ || seq < known_from_ || next_ - seq > kRemembered) return std::nullopt;
  return digests_[seq % kRemembered] == digest;
}

Admission SequenceTracker::AdmitLive(uint64_t seq, PayloadDigest digest) {
  if (std::exchange(accepts_any_, false) && seq >= next_) JumpTo(seq);
  const bool rises = (!last_live_ || seq > *last_live_) && seq >= floor_;
  const std::optional<bool> same = SameAsApplied(seq, digest);
  if (same.has_value() && *same) return Admission::kDuplicate;
  if (last_live_ == seq && last_live_digest_ == digest) return Admission::kDuplicate;
  if (same.has_value() || !rises) return Admission::kRestart;
  last_live_ = seq;
  last_live_digest_ = digest;
  if (seq < next_) return Admission::kDuplicate;
  return seq == next_ ? Admission::kNext : Admission::kAhead;
}

Admission SequenceTracker::AdmitReplayed(uint64_t seq, PayloadDigest digest) const {
  if (seq == next_) return Admission::kNext;
  if (seq > next_) return Admission::kAhead;
  return SameAsApplied(seq, digest).value_or(true) ? Admission::kDuplicate : Admission::kRestart;
}

void SequenceTracker::Advance(PayloadDigest digest) {
  digests_[next_ % kRemembered] = digest;
  ++next_;
  accepts_any_ = false;
}

void SequenceTracker::JumpTo(uint64_t next) {
  next_ = next;
  known_from_ = next;
  accepts_any_ = false;
}

void SequenceTracker::Reset() { *this = SequenceTracker(); }

}  // namespace kvroute
