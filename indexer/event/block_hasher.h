#ifndef KVROUTE_INDEXER_EVENT_BLOCK_HASHER_H_
#define KVROUTE_INDEXER_EVENT_BLOCK_HASHER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "indexer/event/event.h"

namespace kvroute {

// The full hash an engine keeps for a block; what it publishes is derived from it (see
// VllmEventHash, SglangEventHash).
using Digest = std::array<uint8_t, 32>;

// How an engine chains its block hashes. Facts: docs/wire-format.md, "Block hashes".
// With EAGLE a block's hash covers tokens behind it, too: vLLM's third element is then
// [null or [extra keys], each such token], and SGLang hashes pairs of neighbouring tokens.
enum class HashScheme : uint8_t {
  kVllmSha256Cbor,  // SHA-256 of canonical CBOR [parent, [tokens], null or [extra keys]]
  kSglangSha256,    // SHA-256 of parent || tokens as u32 little-endian
};

// What separates equal tokens in an engine's own hashes. vLLM hashes the LoRA name into every block
// and the salt into block 0; SGLang starts the chain from the salt and leaves LoRA out.
struct HashNamespace {
  std::string_view lora_name;
  std::string_view cache_salt;
};

// The integers that stand for a digest in events.
uint64_t VllmEventHash(const Digest& digest);   // the last 8 bytes, big-endian, unsigned
int64_t SglangEventHash(const Digest& digest);  // the first 8 bytes, big-endian, signed

// Computes an engine's block hashes one block at a time: about 0.3 us for 16 tokens, without
// allocating in steady state.
//
// Thread safety: one thread at a time; a hasher is cheap enough for one a thread.
class BlockHasher {
 public:
  // `seed` is PYTHONHASHSEED as vLLM hashes it into the root (recent versions: "vllm-none-hash");
  // SGLang has none.
  explicit BlockHasher(HashScheme scheme, std::string_view seed = "0");
  ~BlockHasher();
  BlockHasher(BlockHasher&&) noexcept;
  BlockHasher& operator=(BlockHasher&&) noexcept;

  // The hash of the block with these tokens after `parent`; nullptr: the first block of a prompt.
  // `ahead` is what it covers of the tokens behind the block; of SGLang one at most.
  Digest Hash(const Digest* parent, absl::Span<const TokenId> tokens,
              const HashNamespace& names = {}, absl::Span<const TokenId> ahead = {});

 private:
  class Sha256;  // keeps OpenSSL out of this header

  void AppendVllmInput(const Digest* parent, absl::Span<const TokenId> tokens,
                       const HashNamespace& names, absl::Span<const TokenId> ahead);
  void AppendVllmKeys(const HashNamespace& names, bool is_first);
  void AppendSglangInput(const Digest* parent, absl::Span<const TokenId> tokens,
                         const HashNamespace& names, absl::Span<const TokenId> ahead);

  HashScheme scheme_;
  std::unique_ptr<Sha256> sha256_;
  Digest root_{};  // vLLM's NONE_HASH: the parent of a first block
  std::string input_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_BLOCK_HASHER_H_
