#ifndef KVROUTE_INDEXER_EVENT_EVENT_H_
#define KVROUTE_INDEXER_EVENT_EVENT_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/types/span.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/strong_int.h"

namespace kvroute {

// The 64-bit handle an engine uses for a block: the published integer modulo 2^64, or the last 8
// bytes (big-endian) of a published digest, so that both forms of one vLLM hash are the same
// handle. Opaque; only valid inside its stream.
using EngineHash = StrongInt<struct EngineHashTag, uint64_t>;

using TokenId = uint32_t;

// Where a copy of a block lives. kUnknown is a medium no engine we know of uses: counted, never
// scored.
enum class Tier : uint8_t { kGpu = 0, kCpu = 1, kDisk = 2, kExternal = 3, kUnknown = 4 };
inline constexpr auto kTierNames =
    NamesUpTo<Tier::kUnknown>("gpu", "cpu", "disk", "external", "unknown");
inline constexpr int kTierCount = 4;  // the tiers that are scored: all but kUnknown
inline std::string_view TierName(Tier tier) { return kTierNames[tier]; }

// The wire dialect to assume where two engines use the same bytes differently (SGLang's slot 7, an
// absent medium).
enum class EngineKind : uint8_t { kAuto, kVllm, kSglang, kTrtllm, kMooncake };
inline constexpr auto kEngineKindNames =
    NamesUpTo<EngineKind::kMooncake>("auto", "vllm", "sglang", "trtllm", "mooncake");
inline constexpr size_t kEngineKindCount = kEngineKindNames.size();
inline std::string_view EngineKindName(EngineKind kind) { return kEngineKindNames[kind]; }
inline std::optional<EngineKind> ParseEngineKind(std::string_view name) {
  return kEngineKindNames.Parse(name);
}

enum class EventType : uint8_t { kStored, kRemoved, kCleared };
inline constexpr auto kEventTypeNames =
    NamesUpTo<EventType::kCleared>("stored", "removed", "cleared");
inline constexpr size_t kEventTypeCount = kEventTypeNames.size();
inline std::string_view EventTypeName(EventType type) { return kEventTypeNames[type]; }

// One multimodal input that overlaps a block: vLLM's identifier and where it starts, relative to
// the block's first token.
struct MultimodalKey {
  std::string_view identifier;
  int64_t offset_tokens = 0;
  bool has_offset = true;  // older vLLM publishes the bare identifier
};

// What besides its tokens distinguishes one block, from vLLM's extra_keys, sorted into kinds as far
// as the wire allows (see docs/wire-format.md, "extra keys"). `strings` are the bare strings in
// wire order after the leading LoRA name.
struct BlockExtraKeys {
  absl::Span<const MultimodalKey> multimodal;
  absl::Span<const std::string_view> strings;
  absl::Span<const std::string_view> digests;  // prompt-embeddings digests, raw bytes
  absl::Span<const int64_t> integers;          // lora_int_id of versions before vLLM PR 27211
  bool empty() const {
    return multimodal.empty() && strings.empty() && digests.empty() && integers.empty();
  }
};

// Kinds of what besides its tokens tells one block from another.
enum KeyKind : uint8_t {
  kSaltKeys = 1 << 0,
  kImageKeys = 1 << 1,  // multimodal inputs of any kind
  kAdapterKeys = 1 << 2,
  kAllKeys = kSaltKeys | kImageKeys | kAdapterKeys,
};

// One decoded event. Plain data; every span and view points into the DecodedBatch it belongs to or
// into the payload. A view's data() is null where the publisher sent no such field or nil, so that
// "" can be told from it.
struct Event {
  EventType type = EventType::kStored;
  uint32_t position = 0;  // index of the event in its batch as published, skipped ones counted

  // stored, removed
  absl::Span<const EngineHash> block_hashes;
  Tier tier = Tier::kGpu;   // kGpu when the medium is absent or nil
  std::string_view medium;  // as published; empty when absent or nil
  std::optional<uint32_t> group_idx;
  bool owned = false;  // the copies are looked after by somebody else than the engine ("ownership")

  // cleared
  bool every_tier = false;  // else `tier` alone

  // stored
  // nullopt: the first block of a prompt. That is also how the ways of saying so without nil are
  // read: 0 beside tokens (LMCache, old llm-d simulators) and the hash of Python's empty tuple
  // (SGLang before PR 13488).
  std::optional<EngineHash> parent;
  std::optional<EngineHash> published_parent;  // as on the wire, for people
  absl::Span<const TokenId> token_ids;         // of bigram cells (EAGLE) the first element
  bool bigram = false;                         // token_ids were published as pairs
  TokenId bigram_last = 0;  // the second element of the last pair: the token after token_ids
  // How many tokens behind a block its hash covers too, and the tokens: as many for each hash, one
  // hash after the other (vLLM with EAGLE since 0.33).
  uint32_t lookahead_tokens = 0;
  absl::Span<const TokenId> lookahead_token_ids;
  uint32_t block_size = 0;      // tokens a block; 0: unknown (offload placeholders, old simulators)
  bool has_block_size = false;  // whether it was published: false for nil (Mooncake store)
  // How many of token_ids each named block takes, in order, where they cover block_hashes exactly;
  // else 0 and the event says only who is held, not where it stands: placeholders without tokens,
  // groups and masked blocks of which fewer hashes are named than token_ids span. Never slice those
  // from the head.
  uint32_t tokens_per_hash = 0;
  std::optional<int64_t> lora_id;  // deprecated; the only name of the adapter before vLLM 0.14
  std::string_view lora_name;
  std::string_view cache_salt;  // SGLang; vLLM publishes it inside extra_keys
  std::string_view spec_kind;   // kv_cache_spec_kind
  std::optional<uint32_t> sliding_window;
  absl::Span<const BlockExtraKeys> extra_keys;  // empty, or one per block hash
  // Keys were published, but not one entry a block hash: which block has which cannot be told, and
  // without them its tokens do not say which block it is.
  bool extra_keys_misfit = false;
  std::string_view
      extra_keys_raw;  // the msgpack value as published, for people; empty when absent or nil
  // Kinds of keys that an event of this form would name if its blocks had them: bits of KeyKind.
  // Others may be in use without a word on the wire.
  uint8_t named_keys = 0;
  // The publisher's cache keeps one copy of a prefix (SGLang): it stores nothing again that it
  // holds.
  bool one_copy = false;
};

// Whether the event is about the group whose blocks are positions of a prompt: its spec kind is
// full, MLA or sink full attention, or it names none and is of group 0 or of no group. Others
// (sliding window, mamba, ...) are not indexed.
bool IsFullAttention(const Event& event);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_EVENT_H_
