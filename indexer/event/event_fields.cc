#include "indexer/event/event_fields.h"

#include <cstring>
#include <limits>
#include <optional>

#include "absl/base/attributes.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "indexer/event/medium.h"

namespace kvroute {
namespace {

// nil leaves the view null; a str of good UTF-8 within the limit is kept; anything else is `bad`.
DecodeReason ReadText(MsgpackCursor* cursor, DecodeReason bad, std::string_view* text) {
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (value.IsNil()) return DecodeReason::kOk;
  if (value.type != MsgpackType::kStr) return bad;
  if (value.bytes.size() > limits::kMaxNamespaceBytes || !IsValidUtf8(value.bytes)) return bad;
  *text = value.bytes;
  return DecodeReason::kOk;
}

// nil is nullopt; an integer from 0 to `max` is kept; anything else is `bad`.
DecodeReason ReadCount(MsgpackCursor* cursor, DecodeReason bad, uint32_t max,
                       std::optional<uint32_t>* count) {
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (value.IsNil()) return DecodeReason::kOk;
  if (value.type != MsgpackType::kInt || value.negative || value.number > max) return bad;
  *count = static_cast<uint32_t>(value.number);
  return DecodeReason::kOk;
}

DecodeReason ReadLoraId(MsgpackCursor* cursor, Event* event) {
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (value.IsNil()) return DecodeReason::kOk;
  if (value.type != MsgpackType::kInt) return DecodeReason::kField;
  const auto id = static_cast<int64_t>(value.number);
  if (!value.negative && id < 0) return DecodeReason::kField;
  event->lora_id = id;
  return DecodeReason::kOk;
}

DecodeReason ReadBlockSize(MsgpackCursor* cursor, Event* event) {
  std::optional<uint32_t> size;
  const DecodeReason reason =
      ReadCount(cursor, DecodeReason::kBlockSize, limits::kMaxBlockSizeTokens, &size);
  event->block_size = size.value_or(0);
  event->has_block_size = size.has_value();
  return reason;
}

DecodeReason ReadMedium(MsgpackCursor* cursor, Event* event) {
  const DecodeReason reason = ReadText(cursor, DecodeReason::kMedium, &event->medium);
  if (event->medium.data() != nullptr) event->tier = TierOfMedium(event->medium);
  return reason;
}

DecodeReason ReadOwnership(MsgpackCursor* cursor, Event* event) {
  std::string_view owner;
  const DecodeReason reason = ReadText(cursor, DecodeReason::kField, &owner);
  event->owned = !owner.empty();
  return reason;
}

DecodeReason ReadExtraKeys(MsgpackCursor* cursor, Event* event) {
  const uint8_t* const start = cursor->position();
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (value.IsNil()) return DecodeReason::kOk;
  if (value.type != MsgpackType::kArray) return DecodeReason::kField;
  // vLLM sends one nil a block where there are no extra keys.
  const uint8_t* at = cursor->position();
  const uint8_t* const nils_end = at + value.number;
  while (at != nils_end && *at == 0xc0) ++at;
  if (at == nils_end) {
    cursor->Seek(at);
  } else {
    cursor->Seek(start);
    if (!cursor->Skip(limits::kMaxSkipDepth - 1)) return DecodeReason::kEnvelope;
  }
  event->extra_keys_raw = cursor->Since(start);
  return DecodeReason::kOk;
}

DecodeReason ReadParent(MsgpackCursor* cursor, Event* event) {
  EngineHash plain;
  if (ReadPlainHashes(cursor, 1, &plain) == 1) {
    event->published_parent = plain;
    return DecodeReason::kOk;
  }
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (value.IsNil()) return DecodeReason::kOk;
  event->published_parent = HashOfValue(value);
  return event->published_parent ? DecodeReason::kOk : DecodeReason::kParent;
}

// SGLang's BlockStoredWithMetadata: a map in the place of vLLM's lora_name.
DecodeReason ReadMetadata(MsgpackCursor* cursor, uint64_t pairs, Event* event) {
  for (uint64_t i = 0; i < pairs; ++i) {
    const uint8_t* const key_start = cursor->position();
    const MsgpackValue key = cursor->Read();
    if (key.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
    if (key.type == MsgpackType::kStr && key.bytes == "cache_salt") {
      if (event->cache_salt.data() != nullptr) return DecodeReason::kDuplicateKey;
      const DecodeReason reason = ReadText(cursor, DecodeReason::kField, &event->cache_salt);
      if (reason != DecodeReason::kOk) return reason;
      continue;
    }
    cursor->Seek(key_start);  // a key may be an array or a map itself
    if (!cursor->Skip(limits::kMaxSkipDepth - 2) || !cursor->Skip(limits::kMaxSkipDepth - 2)) {
      return DecodeReason::kEnvelope;
    }
  }
  return DecodeReason::kOk;
}

DecodeReason ReadLoraNameOrMetadata(MsgpackCursor* cursor, Event* event) {
  const uint8_t* const start = cursor->position();
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kMap) return ReadMetadata(cursor, value.number, event);
  cursor->Seek(start);
  return ReadText(cursor, DecodeReason::kField, &event->lora_name);
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline DecodeReason ReadField(EventField field, MsgpackCursor* cursor,
                                                           EventArrays* arrays, Event* event) {
  switch (field) {
    case EventField::kBlockHashes:
    case EventField::kSeqHashes:
      return ReadBlockHashes(cursor, arrays, event);
    case EventField::kParent:
    case EventField::kParentHash:
      return ReadParent(cursor, event);
    case EventField::kTokenIds:
      return ReadTokenIds(cursor, arrays, event);
    case EventField::kBlockSize:
      return ReadBlockSize(cursor, event);
    case EventField::kLoraId:
      return ReadLoraId(cursor, event);
    case EventField::kMedium:
      return ReadMedium(cursor, event);
    case EventField::kLoraName:
      return ReadText(cursor, DecodeReason::kField, &event->lora_name);
    case EventField::kLoraNameOrMetadata:
      return ReadLoraNameOrMetadata(cursor, event);
    case EventField::kCacheSalt:
      return ReadText(cursor, DecodeReason::kField, &event->cache_salt);
    case EventField::kExtraKeys:
      return ReadExtraKeys(cursor, event);
    case EventField::kGroupIdx:
      return ReadCount(cursor, DecodeReason::kGroup, std::numeric_limits<uint32_t>::max(),
                       &event->group_idx);
    case EventField::kSpecKind:
      return ReadText(cursor, DecodeReason::kField, &event->spec_kind);
    case EventField::kSlidingWindow:
      return ReadCount(cursor, DecodeReason::kField, std::numeric_limits<uint32_t>::max(),
                       &event->sliding_window);
    case EventField::kLookahead:
      return ReadLookahead(cursor, arrays, event);
    case EventField::kOwnership:
      return ReadOwnership(cursor, event);
    case EventField::kType:
    case EventField::kEventType:
    case EventField::kUnknown:
      break;
  }
  return cursor->Skip(limits::kMaxSkipDepth - 1) ? DecodeReason::kOk : DecodeReason::kEnvelope;
}

// The pairs of one map, in the order of the calls of Take.
class UsualReader {
 public:
  UsualReader(uint64_t pairs, MsgpackCursor* cursor, EventArrays* arrays, Event* event)
      : pairs_(pairs), cursor_(cursor), arrays_(arrays), event_(event) {}

  // Reads the next pair if `key` names it.
  template <EventField kField, size_t kSize>
  void Take(const char (&key)[kSize]) {
    constexpr size_t kLength = kSize - 1;
    static_assert(kLength <= 31);  // of a short string
    if (read_.reason != DecodeReason::kOk || read_.pairs == pairs_) return;
    const uint8_t* const at = cursor_->position();
    if (cursor_->remaining() <= kLength || *at != (0xa0 | kLength)) return;
    if (std::memcmp(at + 1, key, kLength) != 0) return;
    cursor_->Seek(at + 1 + kLength);
    ++read_.pairs;
    read_.fields |= uint32_t{1} << static_cast<int>(kField);
    if (kField != EventField::kBlockHashes && cursor_->TakeNil()) return;
    read_.reason = ReadField(kField, cursor_, arrays_, event_);
  }

  const UsualPairs& read() const { return read_; }

 private:
  const uint64_t pairs_;
  MsgpackCursor* const cursor_;
  EventArrays* const arrays_;
  Event* const event_;
  UsualPairs read_;
};

}  // namespace

void EventArrays::ResetExtraKeys() {
  blocks.Reset();
  multimodal.Reset();
  strings.Reset();
  digests.Reset();
  integers.Reset();
  has_extra_keys = false;
}

EventField FieldOfKey(std::string_view key) {
  switch (key.size()) {
    case 4:
      return key == "type" ? EventField::kType : EventField::kUnknown;
    case 6:
      return key == "medium" ? EventField::kMedium : EventField::kUnknown;
    case 7:
      return key == "lora_id" ? EventField::kLoraId : EventField::kUnknown;
    case 9:
      if (key == "token_ids") return EventField::kTokenIds;
      if (key == "lora_name") return EventField::kLoraName;
      if (key == "ownership") return EventField::kOwnership;
      return key == "group_idx" ? EventField::kGroupIdx : EventField::kUnknown;
    case 10:
      if (key == "block_size") return EventField::kBlockSize;
      if (key == "extra_keys") return EventField::kExtraKeys;
      if (key == "cache_salt") return EventField::kCacheSalt;
      if (key == "event_type") return EventField::kEventType;
      return key == "seq_hashes" ? EventField::kSeqHashes : EventField::kUnknown;
    case 11:
      return key == "parent_hash" ? EventField::kParentHash : EventField::kUnknown;
    case 12:
      return key == "block_hashes" ? EventField::kBlockHashes : EventField::kUnknown;
    case 17:
      return key == "parent_block_hash" ? EventField::kParent : EventField::kUnknown;
    case 18:
      return key == "kv_cache_spec_kind" ? EventField::kSpecKind : EventField::kUnknown;
    case 19:
      return key == "lookahead_token_ids" ? EventField::kLookahead : EventField::kUnknown;
    case 28:
      return key == "kv_cache_spec_sliding_window" ? EventField::kSlidingWindow
                                                   : EventField::kUnknown;
    default:
      return EventField::kUnknown;
  }
}

DecodeReason ReadEventField(EventField field, MsgpackCursor* cursor, EventArrays* arrays,
                            Event* event) {
  return ReadField(field, cursor, arrays, event);
}

UsualPairs ReadUsualPairs(uint64_t pairs, MsgpackCursor* cursor, EventArrays* arrays,
                          Event* event) {
  using enum EventField;
  UsualReader reader(pairs, cursor, arrays, event);
  if (event->type == EventType::kCleared) return reader.read();
  reader.Take<kBlockHashes>("block_hashes");
  if (event->type == EventType::kStored) {
    reader.Take<kParent>("parent_block_hash");
    reader.Take<kTokenIds>("token_ids");
    reader.Take<kBlockSize>("block_size");
    reader.Take<kLoraId>("lora_id");
  }
  reader.Take<kMedium>("medium");
  if (event->type == EventType::kStored) {
    reader.Take<kLoraName>("lora_name");
    reader.Take<kExtraKeys>("extra_keys");
  }
  reader.Take<kGroupIdx>("group_idx");
  if (event->type == EventType::kStored) {
    reader.Take<kSpecKind>("kv_cache_spec_kind");
    reader.Take<kSlidingWindow>("kv_cache_spec_sliding_window");
  }
  return reader.read();
}

}  // namespace kvroute
