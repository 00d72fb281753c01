#ifndef KVROUTE_INDEXER_EVENT_EVENT_ENCODER_H_
#define KVROUTE_INDEXER_EVENT_EVENT_ENCODER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "indexer/event/block_hasher.h"
#include "indexer/event/event.h"
#include "indexer/event/msgpack_writer.h"

namespace kvroute {

// Whose bytes to write. Facts: docs/wire-format.md.
enum class WireStyle : uint8_t {
  kVllmPositional,  // vLLM up to 0.23: events are arrays
  kVllmMap,         // vLLM since 0.24: events are maps, block hashes 64-bit integers
  kVllmBytes,       // the same with VLLM_KV_EVENTS_USE_INT_BLOCK_HASHES=0: 32-byte hashes
  kSglangMap,       // SGLang since about 0.5.2x
};
std::string_view WireStyleName(
    WireStyle style);  // "vllm_positional", "vllm_map", "vllm_bytes", "sglang_map"
std::optional<WireStyle> ParseWireStyle(std::string_view name);
HashScheme HashSchemeOf(WireStyle style);
EngineKind EngineKindOf(WireStyle style);

struct WireFormat {
  WireStyle style = WireStyle::kVllmMap;
  // Elements of a positional stored event, tag included, which name the version: 6 (0.9), 7
  // (medium), 8 (LoRA name), 9 (extra keys), 10 (group), 12 (0.22: spec kind and window). Removed
  // events have 2, 3 or 4 accordingly.
  int positional_length = 12;
  bool rank_in_batch = true;  // false: the two-element batches of vLLM 0.9.0
};

// A stretch of one chain that became resident. Views and spans are read during the call only.
struct StoredBlocks {
  absl::Span<const Digest> hashes;
  const Digest* parent = nullptr;  // nullptr: the first block of a prompt
  absl::Span<const TokenId> token_ids;
  uint32_t block_size_tokens = 0;
  std::optional<std::string_view> medium = "GPU";
  std::optional<int64_t> lora_id;  // vLLM's own number of the adapter
  HashNamespace names;
  // vLLM only, each from the version on that has it.
  // false: the field is nil (arrays) or absent (maps), as offload connectors leave it
  bool extra_keys = true;
  std::optional<uint32_t> group_idx = 0;
  std::optional<std::string_view> spec_kind = "full_attention";
  std::optional<uint32_t> sliding_window;
};

struct RemovedBlocks {
  absl::Span<const Digest> hashes;
  std::optional<std::string_view> medium = "GPU";
  std::optional<uint32_t> group_idx = 0;  // vLLM only
};

// Writes batches [ts, events, rank] byte for byte as the engines' msgspec does. Events are added in
// order; Finish takes them as one batch and leaves the encoder empty. Buffers are kept: steady
// state allocates nothing.
//
// Thread safety: one thread at a time.
class EventEncoder {
 public:
  explicit EventEncoder(const WireFormat& format) : format_(format), writer_(&events_) {}
  EventEncoder(const EventEncoder&) = delete;
  EventEncoder& operator=(const EventEncoder&) = delete;

  void Stored(const StoredBlocks& blocks);
  void Removed(const RemovedBlocks& blocks);
  void Cleared();

  size_t event_count() const { return event_count_; }
  // Replaces `payload`. `rank` nullopt is written as nil.
  void Finish(double ts_seconds, std::optional<uint32_t> rank, std::string* payload);

 private:
  void StoredArray(const StoredBlocks& blocks);
  void StoredVllmMap(const StoredBlocks& blocks);
  void StoredSglangMap(const StoredBlocks& blocks);
  void Hash(const Digest& digest);
  void Hashes(absl::Span<const Digest> hashes);
  void Parent(const Digest* parent);
  void Tokens(absl::Span<const TokenId> token_ids);
  void ExtraKeys(const StoredBlocks& blocks);
  void StrOrNil(std::optional<std::string_view> text);
  void UintOrNil(std::optional<uint64_t> value);

  WireFormat format_;
  std::string events_;
  MsgpackWriter writer_;
  size_t event_count_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_EVENT_ENCODER_H_
