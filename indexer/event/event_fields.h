#ifndef KVROUTE_INDEXER_EVENT_EVENT_FIELDS_H_
#define KVROUTE_INDEXER_EVENT_EVENT_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "indexer/event/array_arena.h"
#include "indexer/event/decoder.h"
#include "indexer/event/event.h"
#include "indexer/event/msgpack_cursor.h"

namespace kvroute {

// Every field of any producer that means something here; kUnknown ones are stepped over.
enum class EventField : uint8_t {
  kType,
  kBlockHashes,
  kParent,
  kTokenIds,
  kBlockSize,
  kLoraId,
  kMedium,
  kLoraName,
  kCacheSalt,
  kExtraKeys,
  kGroupIdx,
  kSpecKind,
  kSlidingWindow,
  kLookahead,
  kOwnership,
  kEventType,
  kSeqHashes,
  kParentHash,          // Mooncake store's own names, used where ours are absent
  kLoraNameOrMetadata,  // positional slot 7: vLLM's lora_name or SGLang's map
  kUnknown,
};
inline constexpr int kEventFieldCount = static_cast<int>(EventField::kUnknown) + 1;

EventField FieldOfKey(std::string_view key);

// The arrays that the events of one batch point to.
struct EventArrays {
  DecodeAllowance allowance;
  ArrayArena<EngineHash> hashes{&allowance};
  ArrayArena<TokenId> tokens{&allowance};
  ArrayArena<BlockExtraKeys> blocks{&allowance};
  ArrayArena<MultimodalKey> multimodal{&allowance};
  ArrayArena<std::string_view> strings{&allowance};
  ArrayArena<std::string_view> digests{&allowance};
  ArrayArena<int64_t> integers{&allowance};
  bool has_extra_keys = false;  // else nothing is in the five before it

  // For the next batch, whose arrays may take so many bytes.
  void Reset(size_t allowed_bytes) {
    allowance.Reset(allowed_bytes);
    hashes.Reset();
    tokens.Reset();
    if (has_extra_keys) ResetExtraKeys();
  }
  void ResetExtraKeys();
  // What is allocated after a mark is given back by Rewind. Of extra keys, which are sorted last,
  // only the largest part: an event hardly ever fails by them.
  struct Mark {
    ArrayArena<EngineHash>::Mark hashes;
    ArrayArena<TokenId>::Mark tokens;
    ArrayArena<BlockExtraKeys>::Mark blocks;
  };
  Mark GetMark() const { return {hashes.GetMark(), tokens.GetMark(), blocks.GetMark()}; }
  void Rewind(const Mark& mark) {
    hashes.Rewind(mark.hashes);
    tokens.Rewind(mark.tokens);
    blocks.Rewind(mark.blocks);
  }
};

// Reads the value under the cursor into the event's field. kOk leaves the cursor behind the value.
// kEnvelope: the bytes are broken, and with them the batch. Anything else: the value is not one for
// this field; the position is unspecified.
DecodeReason ReadEventField(EventField field, MsgpackCursor* cursor, EventArrays* arrays,
                            Event* event);

// What ReadUsualPairs has read.
struct UsualPairs {
  uint64_t pairs = 0;
  uint32_t fields = 0;  // bits by EventField
  DecodeReason reason = DecodeReason::kOk;
};
// Reads the pairs of an event's map, whose type is known, as far as they come in vLLM's order, of
// at most `pairs`. For what comes so nearly always this takes half the time of FieldOfKey and
// ReadEventField, whose jumps are mispredicted.
UsualPairs ReadUsualPairs(uint64_t pairs, MsgpackCursor* cursor, EventArrays* arrays, Event* event);

// Of an event that is read for the first time: for most fields nil says the same as no field.
inline DecodeReason ReadOrSkipNil(EventField field, MsgpackCursor* cursor, EventArrays* arrays,
                                  Event* event) {
  const bool may_be_nil = field != EventField::kBlockHashes && field != EventField::kSeqHashes;
  if (may_be_nil && cursor->TakeNil()) return DecodeReason::kOk;
  return ReadEventField(field, cursor, arrays, event);
}

// The key of a published hash: an integer modulo 2^64, or the last 8 bytes of a digest of 8 to 32;
// nullopt: neither.
std::optional<EngineHash> HashOfValue(const MsgpackValue& value);

// Reads hashes in the two usual forms, 64-bit integers of either sign and 32-byte digests. Returns
// how many.
uint64_t ReadPlainHashes(MsgpackCursor* cursor, uint64_t count, EngineHash* hashes);

// The two arrays that nearly all bytes are spent on.
DecodeReason ReadBlockHashes(MsgpackCursor* cursor, EventArrays* arrays, Event* event);
DecodeReason ReadTokenIds(MsgpackCursor* cursor, EventArrays* arrays, Event* event);
// One list of tokens a hash, all of one length.
DecodeReason ReadLookahead(MsgpackCursor* cursor, EventArrays* arrays, Event* event);

// Sorts extra_keys_raw, which is whole, into extra_keys; forgets it, and says so, when it is not
// one entry a block hash. kField: a block has more items than limits::kMaxExtraKeysPerBlock.
DecodeReason SortExtraKeys(EventArrays* arrays, Event* event);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_EVENT_FIELDS_H_
