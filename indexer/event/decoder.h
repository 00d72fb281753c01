#ifndef KVROUTE_INDEXER_EVENT_DECODER_H_
#define KVROUTE_INDEXER_EVENT_DECODER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/enum_names.h"
#include "indexer/event/event.h"

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
  kUnknownTag,  // an event type we do not know: skipped by design
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
};
inline constexpr auto kDecodeReasonNames = NamesUpTo<DecodeReason::kSelfParent>(
    "ok", "envelope", "timestamp", "rank", "too_large", "other_rank", "not_an_event", "unknown_tag",
    "missing_field", "block_hashes", "parent", "token_ids", "block_size", "medium", "group",
    "field", "duplicate_key", "token_count", "self_parent");
inline constexpr size_t kDecodeReasonCount = kDecodeReasonNames.size();
inline std::string_view DecodeReasonName(DecodeReason reason) { return kDecodeReasonNames[reason]; }

struct SkippedEvent {
  uint32_t position = 0;
  DecodeReason reason = DecodeReason::kOk;
};

// One decoded payload. Valid until the decoder's next call and while the payload's bytes live.
struct DecodedBatch {
  double ts_seconds = 0;  // the publisher's wall clock; 0 when it sent no finite number
  // as on the wire: seconds, or milliseconds of Mooncake store; may be NaN or infinite
  double ts_published = 0;
  std::optional<uint32_t> rank;
  absl::Span<const Event> events;
  absl::Span<const SkippedEvent> skipped;
};

// Turns the bytes of one batch into events, for every format in docs/wire-format.md: pure, no
// sockets.
//
// Errors: a broken envelope rejects the whole batch (anything but kOk); a bad event is skipped with
// a reason and the rest of its batch is kept. Memory: nothing is sized by a count the sender
// claims; buffers are kept between calls, so that steady state allocates nothing; what a batch can
// take is linear in its bytes. Nesting is skipped without recursion. Thread safety: one thread at a
// time.
class Decoder {
 public:
  explicit Decoder(EngineKind kind = EngineKind::kAuto);
  ~Decoder();

  // kOk fills `batch`; otherwise `batch` is empty.
  DecodeReason Decode(std::string_view payload, DecodedBatch* batch);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_DECODER_H_
