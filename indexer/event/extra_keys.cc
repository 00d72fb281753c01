#include <algorithm>
#include <string_view>

#include "indexer/event/event_fields.h"

namespace kvroute {
namespace {

// Collects one block's keys; each kind's arena ends with the array that is being filled.
class BlockKeySorter {
 public:
  BlockKeySorter(EventArrays* arrays, size_t items)
      : arrays_(arrays),
        items_(items),
        multimodal_(arrays->multimodal.Allocate(items)),
        strings_(arrays->strings.Allocate(items)),
        digests_(arrays->digests.Allocate(items)),
        integers_(arrays->integers.Allocate(items)) {}

  // Reads one item. What has no shape that we know is kept as raw bytes among the digests: it is
  // part of what tells the block from others, and dropping it could only make different blocks
  // equal.
  void Add(MsgpackCursor* cursor, std::string_view leading_lora_name) {
    const uint8_t* const start = cursor->position();
    const MsgpackValue value = cursor->Read();
    switch (value.type) {
      case MsgpackType::kStr:
        if (!leading_lora_name.empty() && value.bytes == leading_lora_name) return;
        strings_[string_count_++] = value.bytes;
        return;
      case MsgpackType::kBin:
        digests_[digest_count_++] = value.bytes;
        return;
      case MsgpackType::kInt:
        integers_[integer_count_++] = static_cast<int64_t>(value.number);
        return;
      case MsgpackType::kArray:
        if (AddMultimodal(cursor, value.number)) return;
        break;
      default:
        break;
    }
    cursor->Seek(start);
    cursor->Skip();
    digests_[digest_count_++] = cursor->Since(start);
  }

  BlockExtraKeys Finish() {
    arrays_->multimodal.GiveBack(items_ - multimodal_count_);
    arrays_->strings.GiveBack(items_ - string_count_);
    arrays_->digests.GiveBack(items_ - digest_count_);
    arrays_->integers.GiveBack(items_ - integer_count_);
    BlockExtraKeys keys;
    keys.multimodal = {multimodal_, multimodal_count_};
    keys.strings = {strings_, string_count_};
    keys.digests = {digests_, digest_count_};
    keys.integers = {integers_, integer_count_};
    return keys;
  }

 private:
  // [identifier, offset], or [identifier] and [identifier, nil] of which the place is not known.
  bool AddMultimodal(MsgpackCursor* cursor, uint64_t size) {
    if (size < 1 || size > 2) return false;
    const MsgpackValue identifier = cursor->Read();
    if (identifier.type != MsgpackType::kStr) return false;
    MultimodalKey key{identifier.bytes, 0, false};
    if (size == 2) {
      const MsgpackValue offset = cursor->Read();
      if (offset.type != MsgpackType::kInt && !offset.IsNil()) return false;
      key.offset_tokens = static_cast<int64_t>(offset.number);
      key.has_offset = !offset.IsNil();
    }
    multimodal_[multimodal_count_++] = key;
    return true;
  }

  EventArrays* const arrays_;
  const size_t items_;
  MultimodalKey* const multimodal_;
  std::string_view* const strings_;
  std::string_view* const digests_;
  int64_t* const integers_;
  size_t multimodal_count_ = 0;
  size_t string_count_ = 0;
  size_t digest_count_ = 0;
  size_t integer_count_ = 0;
};

BlockExtraKeys SortBlock(MsgpackCursor* cursor, std::string_view lora_name, EventArrays* arrays) {
  const uint8_t* const start = cursor->position();
  const MsgpackValue entry = cursor->Read();
  if (entry.IsNil()) return {};
  uint64_t items = 1;  // a bare value is an entry of one
  if (entry.type == MsgpackType::kArray) {
    items = entry.number;
  } else {
    cursor->Seek(start);
  }
  BlockKeySorter sorter(arrays, items);
  for (uint64_t i = 0; i < items; ++i) {
    sorter.Add(cursor, i == 0 ? lora_name : std::string_view());
  }
  return sorter.Finish();
}

}  // namespace

void SortExtraKeys(EventArrays* arrays, Event* event) {
  if (event->extra_keys_raw.empty()) return;
  MsgpackCursor cursor(event->extra_keys_raw);
  const uint64_t entries = cursor.Read().number;
  const bool fits = entries == event->block_hashes.size();
  if (!fits) event->extra_keys_raw = {};
  if (cursor.remaining() == entries) {
    const std::string_view rest(reinterpret_cast<const char*>(cursor.position()), entries);
    if (std::all_of(rest.begin(), rest.end(), [](char byte) { return byte == '\xc0'; })) return;
  }
  if (!fits) {
    event->extra_keys_misfit = true;
    return;
  }
  BlockExtraKeys* const blocks = arrays->blocks.Allocate(entries);
  for (uint64_t i = 0; i < entries; ++i) blocks[i] = SortBlock(&cursor, event->lora_name, arrays);
  event->extra_keys = absl::MakeConstSpan(blocks, entries);
}

}  // namespace kvroute
