#include "indexer/event/event_decoder.h"

#include <array>
#include <bit>
#include <optional>

#include "absl/strings/match.h"
#include "absl/types/span.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

using enum EventField;

// Positions after the tag. What comes later is of a version we do not know and is stepped over.
constexpr std::array kStoredFields = {kBlockHashes, kParent,   kTokenIds,           kBlockSize,
                                      kLoraId,      kMedium,   kLoraNameOrMetadata, kExtraKeys,
                                      kGroupIdx,    kSpecKind, kSlidingWindow};
constexpr size_t kStoredRequired = 4;
constexpr std::array kRemovedFields = {kBlockHashes, kMedium, kGroupIdx};
constexpr size_t kRemovedRequired = 1;
constexpr std::array kClearedFields = {kMedium};

class FieldSet {
 public:
  bool Has(EventField field) const { return (bits_ >> static_cast<int>(field) & 1) != 0; }
  void Add(EventField field) { bits_ |= uint32_t{1} << static_cast<int>(field); }
  void AddAll(uint32_t bits) { bits_ |= bits; }
  bool empty() const { return bits_ == 0; }
  // In the order of the enum.
  EventField TakeFirst() {
    const auto first = static_cast<EventField>(std::countr_zero(bits_));
    bits_ &= bits_ - 1;
    return first;
  }

 private:
  static_assert(kEventFieldCount <= 32);
  uint32_t bits_ = 0;
};

// Fields that mean something in an event of the type; the others are not even looked at.
bool Belongs(EventField field, EventType type) {
  switch (type) {
    case EventType::kStored:
      return true;
    case EventType::kRemoved:
      return field == kBlockHashes || field == kSeqHashes || field == kMedium ||
             field == kGroupIdx || field == kOwnership;
    case EventType::kCleared:
      return field == kMedium || field == kOwnership;
  }
  return false;
}

// What an event's tag says. A clear is of every tier unless its tag or its medium names one.
struct Tag {
  EventType type;
  bool every_tier = false;
};

std::optional<Tag> TagOf(std::string_view tag) {
  if (tag == "BlockStored") return Tag{EventType::kStored};
  if (tag == "BlockRemoved") return Tag{EventType::kRemoved};
  if (tag == "AllBlocksCleared") return Tag{EventType::kCleared, true};
  if (tag == "TierBlocksCleared") return Tag{EventType::kCleared};
  return std::nullopt;
}

// Mooncake store's event_type.
std::optional<Tag> TagOfEventType(std::string_view name) {
  const absl::string_view text(name.data(), name.size());
  if (absl::EqualsIgnoreCase(text, "stored")) return Tag{EventType::kStored};
  if (absl::EqualsIgnoreCase(text, "removed")) return Tag{EventType::kRemoved};
  if (absl::EqualsIgnoreCase(text, "cleared")) return Tag{EventType::kCleared, true};
  return TagOf(name);
}

DecodeReason ReadTag(MsgpackCursor* cursor, std::optional<Tag> (*tag_of)(std::string_view),
                     Event* event) {
  const MsgpackValue tag = cursor->Read();
  if (tag.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (tag.type != MsgpackType::kStr) return DecodeReason::kNotAnEvent;
  const std::optional<Tag> known = tag_of(tag.bytes);
  if (!known) {
    return IsValidUtf8(tag.bytes) ? DecodeReason::kUnknownTag : DecodeReason::kNotAnEvent;
  }
  event->type = known->type;
  event->every_tier = known->every_tier;
  return DecodeReason::kOk;
}

class PositionalDecoder {
 public:
  PositionalDecoder(MsgpackCursor* cursor, EventArrays* arrays, Event* event)
      : cursor_(cursor), arrays_(arrays), event_(event) {}

  DecodeReason Decode(uint64_t elements, StoredForm* form) {
    if (elements == 0) return DecodeReason::kNotAnEvent;
    const DecodeReason reason = ReadTag(cursor_, TagOf, event_);
    if (reason != DecodeReason::kOk) return reason;
    form->positional = true;
    switch (event_->type) {
      case EventType::kStored:
        return ReadFields(kStoredFields, kStoredRequired, elements - 1, form);
      case EventType::kRemoved:
        return ReadFields(kRemovedFields, kRemovedRequired, elements - 1, form);
      case EventType::kCleared:
        return ReadFields(kClearedFields, 0, elements - 1, form);
    }
    return DecodeReason::kNotAnEvent;
  }

 private:
  DecodeReason ReadFields(absl::Span<const EventField> fields, size_t required, uint64_t elements,
                          StoredForm* form) {
    if (elements < required) return DecodeReason::kMissingField;
    for (uint64_t i = 0; i < elements; ++i) {
      EventField field = i < fields.size() ? fields[i] : kUnknown;
      // A clear had no fields at first: what else than a medium may come here is not known.
      if (event_->type == EventType::kCleared && Next() != MsgpackType::kStr) field = kUnknown;
      // SGLang's map in this place: whatever it sends after that is not what vLLM has there.
      if (field == kLoraNameOrMetadata && Next() == MsgpackType::kMap) {
        fields = fields.first(i + 1);
        form->has_salt = true;
      }
      const DecodeReason reason = ReadOrSkipNil(field, cursor_, arrays_, event_);
      if (reason != DecodeReason::kOk) return reason;
      form->has_lora_id |= field == kLoraId;
      form->has_lora_name |= field == kLoraNameOrMetadata && !form->has_salt;
      form->has_extra_keys |= field == kExtraKeys;
    }
    return DecodeReason::kOk;
  }

  MsgpackType Next() const {
    MsgpackCursor ahead = *cursor_;
    return ahead.Read().type;
  }

  MsgpackCursor* const cursor_;
  EventArrays* const arrays_;
  Event* const event_;
};

// A map's fields are read as they come once the type is known, which engines send first; those
// before it, and the ones that only stand in for others, when the map has ended.
class MapDecoder {
 public:
  MapDecoder(MsgpackCursor* cursor, EventArrays* arrays, Event* event)
      : cursor_(cursor), arrays_(arrays), event_(event) {}

  DecodeReason Decode(uint64_t pairs, StoredForm* form) {
    for (uint64_t i = 0; i < pairs; ++i) {
      DecodeReason reason = ReadPair();
      if (i == 0 && type_known_) {
        const UsualPairs usual = ReadUsualPairs(pairs - 1, cursor_, arrays_, event_);
        seen_.AddAll(usual.fields);
        i += usual.pairs;
        reason = usual.reason;
      }
      if (reason != DecodeReason::kOk) return reason;
    }
    const uint8_t* const end = cursor_->position();
    const DecodeReason reason = ReadDeferred();
    if (reason != DecodeReason::kOk) return reason;
    cursor_->Seek(end);
    form->has_lora_id = seen_.Has(kLoraId);
    form->has_lora_name = seen_.Has(kLoraName);
    form->has_extra_keys = seen_.Has(kExtraKeys);
    form->has_salt = seen_.Has(kCacheSalt);
    return CheckRequired();
  }

  bool IsMooncake() const { return seen_.Has(kEventType); }

 private:
  DecodeReason ReadPair() {
    const uint8_t* const key_start = cursor_->position();
    const MsgpackValue key = cursor_->Read();
    EventField field = kUnknown;
    if (key.type == MsgpackType::kStr) {
      field = FieldOfKey(key.bytes);
    } else {  // not a name, whatever it is: an array or a map too
      cursor_->Seek(key_start);
      if (!cursor_->Skip(limits::kMaxSkipDepth - 1)) return DecodeReason::kEnvelope;
    }
    if (field == kUnknown) return SkipValue();
    if (seen_.Has(field)) return DecodeReason::kDuplicateKey;
    seen_.Add(field);
    if (field == kType) {
      const DecodeReason reason = ReadTag(cursor_, TagOf, event_);
      type_known_ = reason == DecodeReason::kOk;
      other_type_ = reason == DecodeReason::kUnknownTag;
      return other_type_ ? DecodeReason::kOk : reason;  // an event_type may still say more
    }
    if (type_known_ && !StandsIn(field)) {
      return Belongs(field, event_->type) ? ReadOrSkipNil(field, cursor_, arrays_, event_)
                                          : SkipValue();
    }
    deferred_.Add(field);
    starts_[static_cast<size_t>(field)] = cursor_->position();
    return SkipValue();
  }

  static bool StandsIn(EventField field) {
    return field == kEventType || field == kSeqHashes || field == kParentHash;
  }

  DecodeReason ReadDeferred() {
    if (!type_known_) {
      if (!deferred_.Has(kEventType)) {
        return other_type_ ? DecodeReason::kUnknownTag : DecodeReason::kNotAnEvent;
      }
      cursor_->Seek(starts_[static_cast<size_t>(kEventType)]);
      const DecodeReason reason = ReadTag(cursor_, TagOfEventType, event_);
      if (reason != DecodeReason::kOk) return reason;
    }
    for (FieldSet left = deferred_; !left.empty();) {
      const EventField field = left.TakeFirst();
      if (field == kEventType || !Belongs(field, event_->type)) continue;
      if (field == kSeqHashes && seen_.Has(kBlockHashes)) continue;
      if (field == kParentHash && seen_.Has(kParent)) continue;
      cursor_->Seek(starts_[static_cast<size_t>(field)]);
      const DecodeReason reason = ReadOrSkipNil(field, cursor_, arrays_, event_);
      if (reason != DecodeReason::kOk) return reason;
    }
    return DecodeReason::kOk;
  }

  DecodeReason CheckRequired() const {
    if (event_->type == EventType::kCleared) return DecodeReason::kOk;
    bool complete = seen_.Has(kBlockHashes) || seen_.Has(kSeqHashes);
    if (event_->type == EventType::kStored && !IsMooncake()) {
      complete = complete && (seen_.Has(kParent) || seen_.Has(kParentHash)) &&
                 seen_.Has(kTokenIds) && seen_.Has(kBlockSize);
    }
    return complete ? DecodeReason::kOk : DecodeReason::kMissingField;
  }

  DecodeReason SkipValue() {
    return cursor_->Skip(limits::kMaxSkipDepth - 1) ? DecodeReason::kOk : DecodeReason::kEnvelope;
  }

  MsgpackCursor* const cursor_;
  EventArrays* const arrays_;
  Event* const event_;
  bool type_known_ = false;
  bool other_type_ = false;  // the type is one that we do not know
  FieldSet seen_;
  FieldSet deferred_;
  std::array<const uint8_t*, kEventFieldCount> starts_;  // of the deferred fields' values
};

}  // namespace

DecodeReason DecodeEvent(EngineKind engine, MsgpackCursor* cursor, EventArrays* arrays,
                         Event* event) {
  StoredForm form{.engine = engine};
  event->type = EventType::kRemoved;
  bool external_pool = engine == EngineKind::kMooncake;
  DecodeReason reason = DecodeReason::kNotAnEvent;
  const MsgpackValue head = cursor->Read();
  if (head.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (head.type == MsgpackType::kArray) {
    reason = PositionalDecoder(cursor, arrays, event).Decode(head.number, &form);
  } else if (head.type == MsgpackType::kMap) {
    MapDecoder decoder(cursor, arrays, event);
    reason = decoder.Decode(head.number, &form);
    external_pool |= decoder.IsMooncake();
  }
  if (reason != DecodeReason::kOk) return reason;
  if (event->medium.data() != nullptr) {
    event->every_tier = false;
  } else if (event->type == EventType::kCleared && !event->every_tier) {
    return DecodeReason::kMissingField;  // which tier?
  } else if (external_pool) {
    event->tier = Tier::kExternal;
  }
  if (event->type != EventType::kStored) return DecodeReason::kOk;
  reason = ApplyStoredRules(form, event);
  if (reason != DecodeReason::kOk) return reason;
  JudgeForm(form, event);
  return SortExtraKeys(arrays, event);
}

}  // namespace kvroute
