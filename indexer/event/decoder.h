#ifndef KVROUTE_INDEXER_EVENT_DECODER_H_
#define KVROUTE_INDEXER_EVENT_DECODER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/enum_names.h"
#include "indexer/event/event.h"
#include "indexer/event/medium.h"

namespace kvroute {

// Why a payload was rejected or an event skipped. The names are metric label values: bounded,
// stable.
enum class DecodeReason : uint8_t {
  kOk = 0,
  // the batch
  kEnvelope,  // not [ts, events, rank?] in exactly one msgpack object of the claimed sizes
  kTimestamp,
  kRank,
  kTooLarge,   // payload over limits::kMaxPayloadBytes
  kOtherRank,  // decoded well, but names another data-parallel rank than its stream's: never said
               // by the decoder
  // one event
  kNotAnEvent,  // neither array nor map, or its tag is missing or not a string
  kUnknownTag,  // an event type we do not know: see SkippedEvent
  kMissingField,
  kBlockHashes,
  kParent,
  kTokenIds,
  kBlockSize,
  kMedium,
  kGroup,
  kField,  // any other field of the wrong type or over its limit
  kDuplicateKey,
  kTokenCount,  // tokens do not cover the named hashes
  kSelfParent,
  kMemory,  // decoded it would take too many times its bytes (limits::kMaxDecodedBytesPerByte), or
            // more than there is
};
inline constexpr auto kDecodeReasonNames = NamesUpTo<DecodeReason::kMemory>(
    "ok", "envelope", "timestamp", "rank", "too_large", "other_rank", "not_an_event", "unknown_tag",
    "missing_field", "block_hashes", "parent", "token_ids", "block_size", "medium", "group",
    "field", "duplicate_key", "token_count", "self_parent", "memory");
inline constexpr size_t kDecodeReasonCount = kDecodeReasonNames.size();
inline std::string_view DecodeReasonName(DecodeReason reason) { return kDecodeReasonNames[reason]; }

struct SkippedEvent {
  uint32_t position = 0;
  DecodeReason reason = DecodeReason::kOk;
  // It may have removed or moved something: of kUnknownTag, one that names blocks or a tier; of the
  // other reasons, any that is not known to have been a store.
  bool may_change_holdings = false;
};

// One decoded payload. Valid until the decoder's next call and while the payload's bytes live.
struct DecodedBatch {
  double ts_seconds = 0;  // the publisher's wall clock; 0 when it sent no finite number
  // as on the wire: seconds, or milliseconds of Mooncake store; may be NaN or infinite
  double ts_published = 0;
  std::optional<uint32_t> rank;
  absl::Span<const Event> events;
  absl::Span<const SkippedEvent> skipped;
  // The type of the first skipped event that may have changed what is held; UTF-8.
  std::string_view unknown_tag;
};

// Turns the bytes of one batch into events, for every format in docs/wire-format.md: pure, no
// sockets.
//
// Errors: a broken envelope rejects the whole batch (anything but kOk); a bad event is skipped with
// a reason and the rest of its batch is kept. Memory: nothing is sized by a count the sender
// claims; a batch takes limits::kMaxDecodedBytesPerByte times its bytes and kDecodedSlackBytes at
// most, and what that allows no more is skipped (kMemory). Buffers are kept between calls, so that
// steady state allocates nothing, and of a large batch a few MiB. Nesting is skipped without
// recursion. Thread safety: one thread at a time.
class Decoder {
 public:
  // `media`: names of media beyond those that TierOfMedium knows. `max_decoded_bytes`: what a batch
  // may take at most, however long it is.
  explicit Decoder(EngineKind kind = EngineKind::kAuto, std::vector<MediumTier> media = {},
                   size_t max_decoded_bytes = std::numeric_limits<size_t>::max());
  ~Decoder();

  // kOk fills `batch`; otherwise `batch` is empty.
  DecodeReason Decode(std::string_view payload, DecodedBatch* batch);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_DECODER_H_
