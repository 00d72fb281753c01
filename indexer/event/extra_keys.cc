#include <algorithm>
#include <string_view>

#include "indexer/base/limits.h"
#include "indexer/event/event_fields.h"

namespace kvroute {
namespace {

enum class ItemKind : uint8_t { kNone, kMultimodal, kString, kDigest, kInteger };

// One item of a block's keys; what it is, and its value as that.
struct Item {
  ItemKind kind = ItemKind::kNone;
  MultimodalKey multimodal;
  std::string_view bytes;
  int64_t integer = 0;
};

// [identifier, offset], or [identifier] and [identifier, nil] of which the place is not known.
bool ReadMultimodal(MsgpackCursor* cursor, uint64_t size, MultimodalKey* key) {
  if (size < 1 || size > 2) return false;
  const MsgpackValue identifier = cursor->Read();
  if (identifier.type != MsgpackType::kStr) return false;
  *key = {identifier.bytes, 0, false};
  if (size == 2) {
    const MsgpackValue offset = cursor->Read();
    if (offset.type != MsgpackType::kInt && !offset.IsNil()) return false;
    key->offset_tokens = static_cast<int64_t>(offset.number);
    key->has_offset = !offset.IsNil();
  }
  return true;
}

// What has no shape that we know is kept as raw bytes among the digests: it is part of what tells
// the block from others, and dropping it could only make different blocks equal.
Item ReadItem(MsgpackCursor* cursor, std::string_view leading_lora_name) {
  const uint8_t* const start = cursor->position();
  const MsgpackValue value = cursor->Read();
  Item item;
  item.bytes = value.bytes;
  switch (value.type) {
    case MsgpackType::kStr:
      if (!leading_lora_name.empty() && value.bytes == leading_lora_name) return item;
      item.kind = ItemKind::kString;
      return item;
    case MsgpackType::kBin:
      item.kind = ItemKind::kDigest;
      return item;
    case MsgpackType::kInt:
      item.kind = ItemKind::kInteger;
      item.integer = static_cast<int64_t>(value.number);
      return item;
    case MsgpackType::kArray:
      item.kind = ItemKind::kMultimodal;
      if (ReadMultimodal(cursor, value.number, &item.multimodal)) return item;
      break;
    default:
      break;
  }
  cursor->Seek(start);
  cursor->Skip();
  item.kind = ItemKind::kDigest;
  item.bytes = cursor->Since(start);
  return item;
}

// An array of so many values that are filled in one by one.
template <typename T>
struct Filled {
  T* values = nullptr;
  size_t count = 0;
  size_t capacity = 0;

  bool Allocate(ArrayArena<T>* arena) {
    if (capacity > 0) values = arena->Allocate(capacity);
    return capacity == 0 || values != nullptr;
  }
  void Add(const T& value) { values[count++] = value; }
  absl::Span<const T> Span() const { return {values, count}; }
};

// The keys of one block, by kind.
struct BlockKeys {
  Filled<MultimodalKey> multimodal;
  Filled<std::string_view> strings;
  Filled<std::string_view> digests;
  Filled<int64_t> integers;

  void Count(const Item& item) {
    multimodal.capacity += item.kind == ItemKind::kMultimodal;
    strings.capacity += item.kind == ItemKind::kString;
    digests.capacity += item.kind == ItemKind::kDigest;
    integers.capacity += item.kind == ItemKind::kInteger;
  }
  void Add(const Item& item) {
    if (item.kind == ItemKind::kMultimodal) multimodal.Add(item.multimodal);
    if (item.kind == ItemKind::kString) strings.Add(item.bytes);
    if (item.kind == ItemKind::kDigest) digests.Add(item.bytes);
    if (item.kind == ItemKind::kInteger) integers.Add(item.integer);
  }
};

// Reads the items twice: first to count them, so that no more is allocated than there will be.
DecodeReason SortBlock(MsgpackCursor* cursor, std::string_view lora_name, EventArrays* arrays,
                       BlockExtraKeys* block) {
  *block = {};
  const uint8_t* start = cursor->position();
  const MsgpackValue entry = cursor->Read();
  if (entry.IsNil()) return DecodeReason::kOk;
  uint64_t items = 1;  // a bare value is an entry of one
  if (entry.type == MsgpackType::kArray) {
    items = entry.number;
    start = cursor->position();
  } else {
    cursor->Seek(start);
  }
  if (items > limits::kMaxExtraKeysPerBlock) return DecodeReason::kField;
  const auto lora_of = [&](uint64_t i) { return i == 0 ? lora_name : std::string_view(); };
  BlockKeys keys;
  for (uint64_t i = 0; i < items; ++i) keys.Count(ReadItem(cursor, lora_of(i)));
  if (!keys.multimodal.Allocate(&arrays->multimodal) || !keys.strings.Allocate(&arrays->strings) ||
      !keys.digests.Allocate(&arrays->digests) || !keys.integers.Allocate(&arrays->integers)) {
    return DecodeReason::kMemory;
  }
  cursor->Seek(start);
  for (uint64_t i = 0; i < items; ++i) keys.Add(ReadItem(cursor, lora_of(i)));
  *block = {keys.multimodal.Span(), keys.strings.Span(), keys.digests.Span(), keys.integers.Span()};
  return DecodeReason::kOk;
}

}  // namespace

DecodeReason SortExtraKeys(EventArrays* arrays, Event* event) {
  if (event->extra_keys_raw.empty()) return DecodeReason::kOk;
  MsgpackCursor cursor(event->extra_keys_raw);
  const uint64_t entries = cursor.Read().number;
  const bool fits = entries == event->block_hashes.size();
  if (!fits) event->extra_keys_raw = {};
  if (cursor.remaining() == entries) {
    const std::string_view rest(reinterpret_cast<const char*>(cursor.position()), entries);
    if (std::all_of(rest.begin(), rest.end(), [](char byte) { return byte == '\xc0'; })) {
      return DecodeReason::kOk;
    }
  }
  if (!fits) {
    event->extra_keys_misfit = true;
    return DecodeReason::kOk;
  }
  arrays->has_extra_keys = true;
  BlockExtraKeys* const blocks = arrays->blocks.Allocate(entries);
  if (blocks == nullptr) return DecodeReason::kMemory;
  for (uint64_t i = 0; i < entries; ++i) {
    const DecodeReason reason = SortBlock(&cursor, event->lora_name, arrays, &blocks[i]);
    if (reason != DecodeReason::kOk) return reason;
  }
  event->extra_keys = absl::MakeConstSpan(blocks, entries);
  return DecodeReason::kOk;
}

}  // namespace kvroute
