#include "indexer/event/event_encoder.h"

namespace kvroute {
namespace {

constexpr std::string_view kStyleNames[] = {"vllm_positional", "vllm_map", "vllm_bytes",
                                            "sglang_map"};

// The positional lengths from which on a field exists.
constexpr int kLengthWithMedium = 7;
constexpr int kLengthWithLoraName = 8;
constexpr int kLengthWithExtraKeys = 9;
constexpr int kLengthWithGroup = 10;
constexpr int kLengthWithSpec = 12;

std::optional<std::string_view> NilIfEmpty(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

std::string_view WireStyleName(WireStyle style) { return kStyleNames[static_cast<size_t>(style)]; }

std::optional<WireStyle> ParseWireStyle(std::string_view name) {
  for (size_t i = 0; i < std::size(kStyleNames); ++i) {
    if (kStyleNames[i] == name) return static_cast<WireStyle>(i);
  }
  return std::nullopt;
}

HashScheme HashSchemeOf(WireStyle style) {
  return style == WireStyle::kSglangMap ? HashScheme::kSglangSha256 : HashScheme::kVllmSha256Cbor;
}

EngineKind EngineKindOf(WireStyle style) {
  return style == WireStyle::kSglangMap ? EngineKind::kSglang : EngineKind::kVllm;
}

void EventEncoder::Stored(const StoredBlocks& blocks) {
  ++event_count_;
  switch (format_.style) {
    case WireStyle::kVllmPositional:
      return StoredArray(blocks);
    case WireStyle::kVllmMap:
    case WireStyle::kVllmBytes:
      return StoredVllmMap(blocks);
    case WireStyle::kSglangMap:
      return StoredSglangMap(blocks);
  }
}

void EventEncoder::StoredArray(const StoredBlocks& blocks) {
  const int length = format_.positional_length;
  writer_.Array(static_cast<size_t>(length));
  writer_.Str("BlockStored");
  Hashes(blocks.hashes);
  Parent(blocks.parent);
  Tokens(blocks.token_ids);
  writer_.Uint(blocks.block_size_tokens);
  UintOrNil(blocks.lora_id);
  if (length >= kLengthWithMedium) StrOrNil(blocks.medium);
  if (length >= kLengthWithLoraName) StrOrNil(NilIfEmpty(blocks.names.lora_name));
  if (length >= kLengthWithExtraKeys) ExtraKeys(blocks);
  if (length >= kLengthWithGroup) UintOrNil(blocks.group_idx);
  if (length >= kLengthWithSpec) {
    StrOrNil(blocks.spec_kind);
    UintOrNil(blocks.sliding_window);
  }
}

// Fields up to lora_name are always there, nil or not; the later ones only when they are set.
void EventEncoder::StoredVllmMap(const StoredBlocks& blocks) {
  writer_.Map(8u + blocks.extra_keys + blocks.group_idx.has_value() + blocks.spec_kind.has_value() +
              blocks.sliding_window.has_value());
  writer_.Str("type");
  writer_.Str("BlockStored");
  writer_.Str("block_hashes");
  Hashes(blocks.hashes);
  writer_.Str("parent_block_hash");
  Parent(blocks.parent);
  writer_.Str("token_ids");
  Tokens(blocks.token_ids);
  writer_.Str("block_size");
  writer_.Uint(blocks.block_size_tokens);
  writer_.Str("lora_id");
  UintOrNil(blocks.lora_id);
  writer_.Str("medium");
  StrOrNil(blocks.medium);
  writer_.Str("lora_name");
  StrOrNil(NilIfEmpty(blocks.names.lora_name));
  if (blocks.extra_keys) {
    writer_.Str("extra_keys");
    ExtraKeys(blocks);
  }
  if (blocks.group_idx) {
    writer_.Str("group_idx");
    writer_.Uint(*blocks.group_idx);
  }
  if (blocks.spec_kind) {
    writer_.Str("kv_cache_spec_kind");
    writer_.Str(*blocks.spec_kind);
  }
  if (blocks.sliding_window) {
    writer_.Str("kv_cache_spec_sliding_window");
    writer_.Uint(*blocks.sliding_window);
  }
}

void EventEncoder::StoredSglangMap(const StoredBlocks& blocks) {
  const bool salted = !blocks.names.cache_salt.empty();
  writer_.Map(6u + blocks.medium.has_value() + salted);
  writer_.Str("type");
  writer_.Str("BlockStored");
  writer_.Str("block_hashes");
  Hashes(blocks.hashes);
  writer_.Str("parent_block_hash");
  Parent(blocks.parent);
  writer_.Str("token_ids");
  Tokens(blocks.token_ids);
  writer_.Str("block_size");
  writer_.Uint(blocks.block_size_tokens);
  writer_.Str("lora_id");
  writer_.Nil();
  if (blocks.medium) {
    writer_.Str("medium");
    writer_.Str(*blocks.medium);
  }
  if (salted) {
    writer_.Str("cache_salt");
    writer_.Str(blocks.names.cache_salt);
  }
}

void EventEncoder::Removed(const RemovedBlocks& blocks) {
  ++event_count_;
  if (format_.style == WireStyle::kVllmPositional) {
    const bool medium = format_.positional_length >= kLengthWithMedium;
    const bool group = format_.positional_length >= kLengthWithGroup;
    writer_.Array(2u + medium + group);
    writer_.Str("BlockRemoved");
    Hashes(blocks.hashes);
    if (medium) StrOrNil(blocks.medium);
    if (group) UintOrNil(blocks.group_idx);
    return;
  }
  const bool vllm = format_.style != WireStyle::kSglangMap;
  const bool medium = vllm || blocks.medium.has_value();
  const bool group = vllm && blocks.group_idx.has_value();
  writer_.Map(2u + medium + group);
  writer_.Str("type");
  writer_.Str("BlockRemoved");
  writer_.Str("block_hashes");
  Hashes(blocks.hashes);
  if (medium) {
    writer_.Str("medium");
    StrOrNil(blocks.medium);
  }
  if (group) {
    writer_.Str("group_idx");
    writer_.Uint(*blocks.group_idx);
  }
}

void EventEncoder::Cleared() {
  ++event_count_;
  if (format_.style == WireStyle::kVllmPositional) {
    writer_.Array(1);
  } else {
    writer_.Map(1);
    writer_.Str("type");
  }
  writer_.Str("AllBlocksCleared");
}

void EventEncoder::Finish(double ts_seconds, std::optional<uint32_t> rank, std::string* payload) {
  payload->clear();
  MsgpackWriter envelope(payload);
  envelope.Array(format_.rank_in_batch ? 3 : 2);
  envelope.Float64(ts_seconds);
  envelope.Array(event_count_);
  payload->append(events_);
  if (format_.rank_in_batch) {
    if (rank) {
      envelope.Uint(*rank);
    } else {
      envelope.Nil();
    }
  }
  events_.clear();
  event_count_ = 0;
}

void EventEncoder::Hash(const Digest& digest) {
  switch (format_.style) {
    case WireStyle::kVllmPositional:
    case WireStyle::kVllmMap:
      return writer_.Uint(VllmEventHash(digest));
    case WireStyle::kVllmBytes:
      return writer_.Bin({reinterpret_cast<const char*>(digest.data()), digest.size()});
    case WireStyle::kSglangMap:
      return writer_.Int(SglangEventHash(digest));
  }
}

void EventEncoder::Hashes(absl::Span<const Digest> hashes) {
  writer_.Array(hashes.size());
  for (const Digest& hash : hashes) Hash(hash);
}

void EventEncoder::Parent(const Digest* parent) {
  if (parent == nullptr) return writer_.Nil();
  Hash(*parent);
}

void EventEncoder::Tokens(absl::Span<const TokenId> token_ids) {
  writer_.Array(token_ids.size());
  for (TokenId token : token_ids) writer_.Uint(token);
}

// One entry a block: the LoRA name on every block, the salt on the prompt's first.
void EventEncoder::ExtraKeys(const StoredBlocks& blocks) {
  if (!blocks.extra_keys) return writer_.Nil();
  writer_.Array(blocks.hashes.size());
  const bool lora = !blocks.names.lora_name.empty();
  for (size_t i = 0; i < blocks.hashes.size(); ++i) {
    const bool salt = i == 0 && blocks.parent == nullptr && !blocks.names.cache_salt.empty();
    if (!lora && !salt) {
      writer_.Nil();
      continue;
    }
    writer_.Array(size_t{lora} + size_t{salt});
    if (lora) writer_.Str(blocks.names.lora_name);
    if (salt) writer_.Str(blocks.names.cache_salt);
  }
}

void EventEncoder::StrOrNil(std::optional<std::string_view> text) {
  if (!text) return writer_.Nil();
  writer_.Str(*text);
}

void EventEncoder::UintOrNil(std::optional<uint64_t> value) {
  if (!value) return writer_.Nil();
  writer_.Uint(*value);
}

}  // namespace kvroute
