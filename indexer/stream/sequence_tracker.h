#ifndef KVROUTE_INDEXER_STREAM_SEQUENCE_TRACKER_H_
#define KVROUTE_INDEXER_STREAM_SEQUENCE_TRACKER_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "indexer/base/strong_int.h"

namespace kvroute {

// All ones ends a replay; it never numbers a batch.
inline constexpr uint64_t kReservedSequence = ~uint64_t{0};

// Fingerprint of a payload: tells a batch that came twice from another batch with the same number.
using PayloadDigest = StrongInt<struct PayloadDigestTag, uint64_t>;
PayloadDigest DigestPayload(std::string_view payload);

enum class Admission : uint8_t {
  kNext,       // the number expected
  kAhead,      // numbers before it are missing
  kDuplicate,  // applied before
  kRestart,    // the publisher counts from its beginning again
};

// Knows which batches of one stream have been applied and judges the number of each further one.
// The engines' streams carry no epoch: a restart shows only in a number that goes down, or comes
// again with other content.
//
// Thread safety: one thread at a time. Memory: 2 KiB, whatever comes.
class SequenceTracker {
 public:
  // The number expected next.
  uint64_t next() const { return next_; }
  // Whether the content of the batch before it is known.
  bool KnowsLast() const { return next_ > known_from_; }

  // Judges a batch of the live stream. Within one connection a publisher's numbers rise, so an old
  // number is a duplicate only where a replay has overtaken the live stream, or where the very same
  // batch was published twice.
  Admission AdmitLive(uint64_t seq, PayloadDigest digest);
  // Judges a batch of a replay, which may start before `next`.
  Admission AdmitReplayed(uint64_t seq, PayloadDigest digest) const;

  // The batch `next` has been applied.
  void Advance(PayloadDigest digest);
  // The connection was lost and made anew: what comes from here on was published after everything
  // applied so far.
  void Reconnected() { floor_ = next_; }
  // Everything up to `next` is given up or unknown; numbers go on from there.
  void JumpTo(uint64_t next);
  // What comes before the next live batch is given up: its number, if no lower than `next`, is the
  // one expected, unless a batch is applied before.
  void AcceptAny() { accepts_any_ = true; }
  bool AcceptsAny(uint64_t seq) const { return accepts_any_ && seq >= next_; }
  // A new life of the publisher: nothing is known of it.
  void Reset();

 private:
  static constexpr size_t kRemembered = 256;

  // Whether the batch is the one applied under this number; nullopt: too long ago to say.
  std::optional<bool> SameAsApplied(uint64_t seq, PayloadDigest digest) const;

  uint64_t next_ = 0;
  uint64_t known_from_ = 0;  // digests are kept of [max(known_from, next - kRemembered), next)
  bool accepts_any_ = false;
  uint64_t floor_ = 0;  // live numbers below it were published in an earlier connection
  std::optional<uint64_t> last_live_;
  PayloadDigest last_live_digest_{};
  std::array<PayloadDigest, kRemembered> digests_{};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_SEQUENCE_TRACKER_H_
