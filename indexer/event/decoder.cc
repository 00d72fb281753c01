#include "indexer/event/decoder.h"

#include <array>
#include <cmath>
#include <vector>

#include "indexer/base/limits.h"
#include "indexer/event/event_decoder.h"
#include "indexer/event/msgpack_cursor.h"

namespace kvroute {
namespace {

// An integer time stamp this large is in milliseconds (Mooncake store): as seconds it would be the
// year 5138.
constexpr double kFirstMilliseconds = 1e11;
// A batch with more events than this does not set the memory that the decoder keeps.
constexpr size_t kRetainedEvents = 16'384;

template <typename T>
void ClearBounded(std::vector<T>* values) {
  if (values->capacity() > kRetainedEvents) std::vector<T>().swap(*values);
  values->clear();
}

// Member by member: copying a whole empty one waits for its stores, which costs a small batch 10
// ns.
void Empty(DecodedBatch* batch) {
  batch->ts_seconds = 0;
  batch->ts_published = 0;
  batch->rank.reset();
  batch->events = {};
  batch->skipped = {};
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
  explicit Impl(EngineKind kind) : kind_(kind) {}

  DecodeReason Decode(std::string_view payload, DecodedBatch* batch) {
    Empty(batch);
    arrays_.Reset();
    ClearBounded(&events_);
    ClearBounded(&skipped_);
    const DecodeReason reason = DecodeBatch(payload, batch);
    if (reason != DecodeReason::kOk) {
      Empty(batch);
      return reason;
    }
    batch->events = events_;
    batch->skipped = skipped_;
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
    Event& event = events_.emplace_back();
    event.position = position;
    const DecodeReason reason = DecodeEvent(kind_, cursor, &arrays_, &event);
    if (reason == DecodeReason::kOk) return reason;
    events_.pop_back();
    if (reason == DecodeReason::kEnvelope) return reason;
    arrays_.Rewind(mark);
    cursor->Seek(start);
    if (!cursor->Skip()) return DecodeReason::kEnvelope;
    skipped_.push_back({position, reason});
    return DecodeReason::kOk;
  }

  const EngineKind kind_;
  EventArrays arrays_;
  std::vector<Event> events_;
  std::vector<SkippedEvent> skipped_;
};

Decoder::Decoder(EngineKind kind) : impl_(std::make_unique<Impl>(kind)) {}
Decoder::~Decoder() = default;

DecodeReason Decoder::Decode(std::string_view payload, DecodedBatch* batch) {
  return impl_->Decode(payload, batch);
}

}  // namespace kvroute
