#ifndef KVROUTE_INDEXER_STREAM_BLOCK_CONTENTS_H_
#define KVROUTE_INDEXER_STREAM_BLOCK_CONTENTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/scratch.h"
#include "indexer/event/event.h"
#include "indexer/index/prefix_hash.h"

namespace kvroute {

// Everything of a stored event that determines the local hashes of its blocks. Plain data; spans
// point into the event or into the ContentsReader that made it.
struct BlockContents {
  // of all blocks, first block first, and the tokens behind the last one that its hash covers
  absl::Span<const TokenId> tokens;
  uint32_t block_size = 0;
  uint32_t lookahead_tokens = 0;
  NamespaceSeed seed;           // of the event's own LoRA name and cache salt
  NamespaceSeed seed_unsalted;  // of the LoRA name alone
  bool salted = false;          // the event names a cache salt itself
  // How multimodal inputs are published, where there are any: with the place where they begin, or
  // bare, by their identifiers alone.
  enum class Inputs : uint8_t { kNone, kPlaced, kBare };
  Inputs inputs = Inputs::kNone;
  // all blocks' words (multimodal inputs, embeddings), see MixMultimodal
  absl::Span<const uint64_t> mix;
  // where each block's words end in `mix`; empty when no block has any
  absl::Span<const uint32_t> mix_ends;
};

// How many tokens behind a block its engine's hash covers, too.
inline uint32_t LookaheadOf(const Event& event) {
  return event.bigram ? 1 : event.lookahead_tokens;
}

// Turns events into contents with buffers it keeps, so that steady state allocates nothing.
//
// vLLM names the salt among the bare strings of a prompt's first block, behind the LoRA name. On
// that block the last bare string is taken as the salt, unless the next block has it, too: a salt
// is on the first alone. Any other bare string is the identifier of a multimodal input as old
// versions publish it, without its offset; queries of such a stream are hashed without offsets,
// too. SGLang names the salt in its own field.
class ContentsReader {
 public:
  // Valid until the next call and while the event lives. The event's tokens cover its blocks
  // exactly.
  BlockContents Read(const Event& event, uint32_t block_size);
  // Gives back what a large event needed; what was read is no longer valid.
  void GiveBackScratch();
  bool MayHaveMuchScratch() const { return AnyMayBeLarge(tokens_, mix_, mix_ends_); }

 private:
  std::string_view LoraName(const Event& event);
  BlockContents::Inputs ReadExtraKeys(const Event& event, bool salt_in_strings);

  std::vector<TokenId> tokens_;
  std::vector<uint64_t> mix_;
  std::vector<uint32_t> mix_ends_;
  std::string lora_id_;
};

// Replaces `locals` by the local hash of each block, in the namespace of `seed`.
void HashContents(const BlockContents& contents, NamespaceSeed seed,
                  std::vector<LocalHash>* locals);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_BLOCK_CONTENTS_H_
