#ifndef KVROUTE_INDEXER_INDEX_PREFIX_HASH_H_
#define KVROUTE_INDEXER_INDEX_PREFIX_HASH_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/strong_int.h"
#include "indexer/event/event.h"

namespace kvroute {

// Hash of one block's tokens within a namespace, wherever the block stands.
using LocalHash = StrongInt<struct LocalHashTag, uint64_t>;
// Chained hash of all tokens up to and including a block: equal prefix hashes mean equal prefixes.
using PrefixHash = StrongInt<struct PrefixHashTag, uint64_t>;

// Seed of all local hashes of one (LoRA name, cache salt):
//   1337 + XXH3-64(lora_name, seed 0) + XXH3-64(cache_salt, seed 1)   modulo 2^64, each term only
//   where it is not empty.
// Bit for bit what NVIDIA Dynamo's and SMG's clients compute for base models and LoRA, so that
// their precomputed hashes can be used.
using NamespaceSeed = StrongInt<struct NamespaceSeedTag, uint64_t>;
NamespaceSeed MakeNamespaceSeed(std::string_view lora_name, std::string_view cache_salt);

// XXH3-64 of the tokens as little-endian u32. `mix`, when not empty, is what besides its tokens
// distinguishes the block (multimodal inputs, see MixMultimodal): the result is then XXH3-64 of the
// mix with the tokens' hash as its seed.
LocalHash HashBlock(absl::Span<const TokenId> tokens, NamespaceSeed seed);
LocalHash HashBlock(absl::Span<const TokenId> tokens, NamespaceSeed seed,
                    absl::Span<const uint64_t> mix);

// The words that one multimodal input adds to every block it overlaps: its identifier's hash, and
// where it starts relative to the block's first token (negative in later blocks of a long input),
// so that equal placeholders of different images, or of one image shifted, are different blocks.
void MixMultimodal(std::string_view identifier, int64_t offset_tokens, std::vector<uint64_t>* mix);
uint64_t HashIdentifier(std::string_view identifier);

// prefix = local for block 0, then XXH3-64(prefix of the parent || local, both u64 little-endian,
// seed 1337).
PrefixHash RootPrefix(LocalHash local);
PrefixHash ChainPrefix(PrefixHash parent, LocalHash local);

// The tokens that block `index` of a prompt is hashed over: its own, and `lookahead_tokens` behind
// it. Those are none but with speculative decoding by EAGLE and its like, whose cache of a block
// depends on what follows: vLLM says which tokens, and of SGLang, whose blocks are pairs of
// neighbouring tokens, it is one. The same tokens that NVIDIA Dynamo hashes for such models.
absl::Span<const TokenId> TokensOfBlock(absl::Span<const TokenId> tokens, uint32_t block_size,
                                        size_t index, uint32_t lookahead_tokens);
// How many blocks of a prompt are full, with the tokens behind them.
size_t FullBlocks(size_t tokens, uint32_t block_size, uint32_t lookahead_tokens);

// Fills locals[from, end) with the local hashes of a prompt's blocks, as HashBlock computes them,
// in half the time: what depends only on the block's length and the seed is done once.
void HashBlocks(absl::Span<const TokenId> tokens, uint32_t block_size, uint32_t lookahead_tokens,
                NamespaceSeed seed, size_t from, absl::Span<LocalHash> locals);

// Appends the prefix hashes of a prompt's full blocks (a partial last block is left out).
void HashPrompt(absl::Span<const TokenId> tokens, uint32_t block_size, NamespaceSeed seed,
                std::vector<PrefixHash>* prefixes, uint32_t lookahead_tokens = 0);
// Appends the prefix hashes that a request's precomputed local hashes chain to.
void ChainLocals(absl::Span<const LocalHash> locals, std::vector<PrefixHash>* prefixes);

// A multimodal input of a prompt, and which of its tokens are placeholders of it.
struct PromptInput {
  uint64_t identifier_hash;  // HashIdentifier
  uint64_t begin_tokens;
  uint64_t end_tokens;
};

// The full blocks of a prompt of tokens, whose local hashes are computed as they are asked for.
//
// Thread safety: immutable. Ownership: refers to what it is made from.
class PromptBlocks {
 public:
  PromptBlocks() = default;
  // `inputs` are in order and do not overlap. One that begins in the tokens behind a block is mixed
  // into it, too: the engine hashes it there. With `bare_inputs` a block is told from others by
  // which of them overlap it, and not by where they begin.
  PromptBlocks(absl::Span<const TokenId> tokens, uint32_t block_size, NamespaceSeed seed,
               uint32_t lookahead_tokens = 0, absl::Span<const PromptInput> inputs = {},
               bool bare_inputs = false);

  size_t size() const { return size_; }
  // Fills locals[from, end).
  void Hash(size_t from, absl::Span<LocalHash> locals) const;

 private:
  LocalHash OfTokensAndInputs(size_t block) const;

  size_t size_ = 0;
  absl::Span<const TokenId> tokens_;
  absl::Span<const PromptInput> inputs_;
  uint32_t block_size_ = 0;
  NamespaceSeed seed_{};
  uint32_t lookahead_tokens_ = 0;
  bool bare_inputs_ = false;
};

// A prompt as the index is asked for it: by its prefix hashes, or by its blocks' local hashes,
// which are computed from tokens as far as they are asked for: nobody has to hash what no worker
// holds.
//
// Thread safety: one thread at a time.
// Ownership: refers to what it is made from and to `memory`, which is overwritten; both must
// outlive it.
class PromptChain {
 public:
  PromptChain() = default;
  explicit PromptChain(absl::Span<const PrefixHash> prefixes)
      : size_(prefixes.size()), prefixes_(prefixes.data()) {}
  explicit PromptChain(absl::Span<const LocalHash> locals)
      : size_(locals.size()), locals_(locals.data()), ready_(locals.size()) {}
  PromptChain(const PromptBlocks& blocks, std::vector<LocalHash>* memory)
      : size_(blocks.size()), memory_(memory), blocks_(blocks) {}

  size_t size() const { return size_; }
  // Whether it is by its prefix hashes; then there are no local ones, else there are no others.
  bool by_prefixes() const { return prefixes_ != nullptr; }
  absl::Span<const PrefixHash> prefixes() const { return {prefixes_, by_prefixes() ? size_ : 0}; }
  // So many local hashes cost nothing any more.
  size_t ready() const { return ready_; }
  // At least the first `blocks` (at most size()) local hashes. Valid until the next call.
  const LocalHash* Locals(size_t blocks) {
    if (blocks > ready_) Extend(blocks);
    return locals_;
  }

 private:
  void Extend(size_t blocks);

  size_t size_ = 0;
  const PrefixHash* prefixes_ = nullptr;
  const LocalHash* locals_ = nullptr;
  size_t ready_ = 0;
  std::vector<LocalHash>* memory_ = nullptr;
  PromptBlocks blocks_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_PREFIX_HASH_H_
