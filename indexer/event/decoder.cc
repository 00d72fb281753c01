#include "indexer/event/decoder.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "indexer/base/limits.h"
#include "indexer/event/event_decoder.h"
#include "indexer/event/msgpack_cursor.h"
#include "indexer/event/paged_array.h"
#include "indexer/event/unknown_event.h"

namespace kvroute {
namespace {

// An integer time stamp this large is in milliseconds (Mooncake store): as seconds it would be the
// year 5138.
constexpr double kFirstMilliseconds = 1e11;
// Member by member: copying a whole empty one waits for its stores, which costs a small batch 10
// ns.
void Empty(DecodedBatch* batch) {
  batch->ts_seconds = 0;
  batch->ts_published = 0;
  batch->rank.reset();
  batch->events = {};
  batch->skipped = {};
  batch->unknown_tag = {};
}

DecodeReason ReadTimestamp(MsgpackCursor* cursor, DecodedBatch* batch) {
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (value.type == MsgpackType::kFloat) {
    batch->ts_published = value.real;
    batch->ts_seconds = std::isfinite(value.real) ? value.real : 0;
    return DecodeReason::kOk;
  }
  if (value.type != MsgpackType::kInt) return DecodeReason::kTimestamp;
  const double number = value.negative ? static_cast<double>(static_cast<int64_t>(value.number))
                                       : static_cast<double>(value.number);
  batch->ts_published = number;
  batch->ts_seconds = number >= kFirstMilliseconds ? number / 1e3 : number;
  return DecodeReason::kOk;
}

DecodeReason ReadRank(MsgpackCursor* cursor, DecodedBatch* batch) {
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (value.IsNil()) return DecodeReason::kOk;
  if (value.type != MsgpackType::kInt || value.negative || value.number > limits::kMaxRank) {
    return DecodeReason::kRank;
  }
  batch->rank = static_cast<uint32_t>(value.number);
  return DecodeReason::kOk;
}

}  // namespace

class Decoder::Impl {
 public:
  Impl(EngineKind kind, std::vector<MediumTier> media, size_t max_decoded_bytes)
      : kind_(kind), media_(std::move(media)), max_decoded_bytes_(max_decoded_bytes) {}

  DecodeReason Decode(std::string_view payload, DecodedBatch* batch) {
    Empty(batch);
    arrays_.Reset(std::min(max_decoded_bytes_, limits::kMaxDecodedBytesPerByte * payload.size() +
                                                   limits::kDecodedSlackBytes));
    events_.Clear();
    paid_events_ = 0;
    skipped_.Clear();
    unknown_tag_ = {};
    const DecodeReason reason = DecodeBatch(payload, batch);
    if (reason != DecodeReason::kOk) {
      Empty(batch);
      return reason;
    }
    batch->events = events_.values();
    batch->skipped = skipped_.values();
    batch->unknown_tag = unknown_tag_;
    return DecodeReason::kOk;
  }

 private:
  // [ts, events, rank?, whatever newer versions add]
  DecodeReason DecodeBatch(std::string_view payload, DecodedBatch* batch) {
    if (payload.size() > limits::kMaxPayloadBytes) return DecodeReason::kTooLarge;
    MsgpackCursor cursor(payload);
    const MsgpackValue head = cursor.Read();
    if (head.type != MsgpackType::kArray || head.number < 2) return DecodeReason::kEnvelope;
    DecodeReason reason = ReadTimestamp(&cursor, batch);
    if (reason == DecodeReason::kOk) reason = DecodeEvents(&cursor);
    if (reason == DecodeReason::kOk && head.number > 2) reason = ReadRank(&cursor, batch);
    if (reason != DecodeReason::kOk) return reason;
    for (uint64_t i = 3; i < head.number; ++i) {
      if (!cursor.Skip()) return DecodeReason::kEnvelope;
    }
    return cursor.AtEnd() ? DecodeReason::kOk : DecodeReason::kEnvelope;
  }

  DecodeReason DecodeEvents(MsgpackCursor* cursor) {
    const MsgpackValue head = cursor->Read();
    if (head.type != MsgpackType::kArray) return DecodeReason::kEnvelope;
    for (uint64_t i = 0; i < head.number; ++i) {
      const DecodeReason reason = DecodeOne(static_cast<uint32_t>(i), cursor);
      if (reason != DecodeReason::kOk) return reason;
    }
    return DecodeReason::kOk;
  }

  // A bad event is stepped over as a whole from its start; only bytes that have no end reject the
  // batch.
  DecodeReason DecodeOne(uint32_t position, MsgpackCursor* cursor) {
    const uint8_t* const start = cursor->position();
    const EventArrays::Mark mark = arrays_.GetMark();
    DecodeReason reason = DecodeReason::kMemory;
    bool is_store = false;
    if (Event* event = NextEvent()) {
      event->position = position;
      reason = DecodeEvent(kind_, cursor, &arrays_, event);
      if (reason == DecodeReason::kOk) {
        if (!media_.empty() && event->medium.data() != nullptr) {
          event->tier = TierOfMedium(event->medium, media_);
        }
        return reason;
      }
      is_store = event->type == EventType::kStored;
      events_.PopBack();
    }
    if (reason == DecodeReason::kEnvelope) return reason;
    arrays_.Rewind(mark);
    cursor->Seek(start);
    const MsgpackCursor whole = *cursor;
    if (!cursor->Skip()) return DecodeReason::kEnvelope;
    if (!arrays_.allowance.Take(sizeof(SkippedEvent))) return DecodeReason::kMemory;
    SkippedEvent* const skipped = skipped_.PushBack();
    if (skipped == nullptr) return DecodeReason::kMemory;
    skipped->position = position;
    skipped->reason = reason;
    skipped->may_change_holdings = reason != DecodeReason::kUnknownTag && !is_store;
    if (reason == DecodeReason::kUnknownTag) NoteUnknown(whole, skipped);
    return DecodeReason::kOk;
  }

  // Null: there is no room for one more. Its place is paid for once.
  Event* NextEvent() {
    if (events_.size() == paid_events_) {
      if (!arrays_.allowance.Take(sizeof(Event))) return nullptr;
      ++paid_events_;
    }
    return events_.PushBack();
  }

  void NoteUnknown(const MsgpackCursor& event, SkippedEvent* skipped) {
    const UnknownEvent unknown = LookAtUnknownEvent(event, media_);
    if (!unknown.may_change_holdings) return;
    skipped->may_change_holdings = true;
    if (unknown_tag_.data() == nullptr) unknown_tag_ = unknown.tag;
  }

  const EngineKind kind_;
  const std::vector<MediumTier> media_;
  const size_t max_decoded_bytes_;
  EventArrays arrays_;
  PagedArray<Event> events_;
  PagedArray<SkippedEvent> skipped_;
  size_t paid_events_ = 0;  // places of this batch's events that were taken off the allowance
  std::string_view unknown_tag_;
};

Decoder::Decoder(EngineKind kind, std::vector<MediumTier> media, size_t max_decoded_bytes)
    : impl_(std::make_unique<Impl>(kind, std::move(media), max_decoded_bytes)) {}
Decoder::~Decoder() = default;

DecodeReason Decoder::Decode(std::string_view payload, DecodedBatch* batch) {
  return impl_->Decode(payload, batch);
}

}  // namespace kvroute
