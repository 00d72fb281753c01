#include "indexer/event/unknown_event.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"

namespace kvroute {
namespace {

// They name blocks and leave all of them where they are: a block that no request uses any more is
// still there for the next one.
constexpr auto kHarmlessTags = std::to_array<std::string_view>({"BlockInactive", "Ignored"});

// What a tag speaks of when its event has to do with who holds what.
constexpr auto kWordsOfTags = std::to_array<std::string_view>(
    {"block",  "page",    "tier",   "prefix",  "clear",  "remov",   "evict",    "delet", "drop",
     "flush",  "reset",   "purg",   "invalid", "expir",  "free",    "releas",   "mov",   "transfer",
     "migrat", "offload", "onload", "demot",   "promot", "swap",    "spill",    "lost",  "discard",
     "replac", "trunc",   "wipe",   "unload",  "evacu",  "reclaim", "load_back"});

// What a key names when its value names blocks or a tier.
constexpr auto kWordsOfKeys = std::to_array<std::string_view>(
    {"hash", "blocks", "block_id", "medium", "media", "tier", "page", "token_ids"});

// In any letter case.
bool SpeaksOf(std::string_view text, absl::Span<const std::string_view> words) {
  const auto same = [](char letter, char of_word) {
    return absl::ascii_tolower(static_cast<unsigned char>(letter)) == of_word;
  };
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
  });
}

// Whether the value behind a key that is for blocks or tiers names any; steps over it.
bool NamesAny(MsgpackCursor* cursor) {
  const uint8_t* const start = cursor->position();
  const MsgpackValue value = cursor->Read();
  cursor->Seek(start);
  cursor->Skip();
  const bool container = value.type == MsgpackType::kArray || value.type == MsgpackType::kMap;
  return !value.IsNil() && !(container && value.number == 0);
}

// A list, a digest or the name of a tier in a place of which we do not know what it is for.
bool MayNameBlocks(MsgpackCursor* cursor, absl::Span<const MediumTier> media) {
  const uint8_t* const start = cursor->position();
  const MsgpackValue value = cursor->Read();
  cursor->Seek(start);
  cursor->Skip();
  switch (value.type) {
    case MsgpackType::kArray:
      return value.number > 0;
    case MsgpackType::kBin:
      return value.bytes.size() >= sizeof(uint64_t);
    case MsgpackType::kStr:
      return TierOfMedium(value.bytes, media) != Tier::kUnknown;
    default:
      return false;
  }
}

bool IsTagKey(const MsgpackValue& key) {
  return key.type == MsgpackType::kStr && (key.bytes == "type" || key.bytes == "event_type");
}

bool LookAtMap(uint64_t pairs, MsgpackCursor* cursor, std::string_view* tag) {
  bool names = false;
  for (uint64_t i = 0; i < pairs; ++i) {
    const uint8_t* const start = cursor->position();
    const MsgpackValue key = cursor->Read();
    if (key.type != MsgpackType::kStr) {
      cursor->Seek(start);
      cursor->Skip();
      cursor->Skip();
    } else if (IsTagKey(key)) {
      const uint8_t* const at = cursor->position();
      const MsgpackValue value = cursor->Read();
      if (value.type == MsgpackType::kStr && (tag->empty() || key.bytes == "type")) {
        *tag = value.bytes;
      }
      cursor->Seek(at);
      cursor->Skip();
    } else {
      const bool any = NamesAny(cursor);
      names |= any && SpeaksOf(key.bytes, kWordsOfKeys);
    }
  }
  return names;
}

}  // namespace

UnknownEvent LookAtUnknownEvent(MsgpackCursor cursor, absl::Span<const MediumTier> media) {
  UnknownEvent event;
  const MsgpackValue head = cursor.Read();
  bool names = false;
  if (head.type == MsgpackType::kMap) {
    names = LookAtMap(head.number, &cursor, &event.tag);
  } else {
    event.tag = cursor.Read().bytes;
    for (uint64_t i = 1; i < head.number; ++i) names |= MayNameBlocks(&cursor, media);
  }
  const bool harmless =
      std::find(kHarmlessTags.begin(), kHarmlessTags.end(), event.tag) != kHarmlessTags.end();
  event.may_change_holdings = !harmless && (names || SpeaksOf(event.tag, kWordsOfTags));
  return event;
}

}  // namespace kvroute
