#ifndef KVROUTE_ROUTER_PROMPT_PROMPT_VIEW_H_
#define KVROUTE_ROUTER_PROMPT_PROMPT_VIEW_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/types/span.h"
#include "indexer/event/event.h"

// A prompt as a request brings it: unchecked, and viewed where it lies. Whoever makes a view keeps
// alive what it points into for as long as the view is used.
namespace kvroute {

// A multimodal input: `length_tokens` placeholders from `offset_tokens` of the prompt on.
struct MultimodalInput {
  std::string_view identifier;  // what the engine calls it
  uint32_t offset_tokens = 0;
  uint32_t length_tokens = 0;
};

// How a client computed its block hashes, numbered as in the API. It may hold any number: what a
// client sends is checked by ParsePrompt.
enum class BlockHashKind : int {
  kUnspecified = 0,  // refused
  kLocal = 1,        // each block by itself (LocalHash)
  kPrefix = 2,       // chained (PrefixHash)
};

// The full blocks of a prompt, hashed by the client.
struct BlockHashesView {
  BlockHashKind kind = BlockHashKind::kUnspecified;
  absl::Span<const uint64_t> hashes;  // of the kind named, first block first
  uint32_t block_size_tokens = 0;
  uint32_t prompt_tokens = 0;     // of the whole prompt; 0: hashes x block_size_tokens
  uint32_t lookahead_tokens = 0;  // behind each block, that its hash covers too
};

// Token ids or block hashes; a request that brings both is refused.
struct PromptView {
  absl::Span<const TokenId> token_ids;
  std::optional<BlockHashesView> block_hashes;
  absl::Span<const MultimodalInput> multimodal;  // only beside token_ids
};

// What separates equal prompts of one model from each other. Empty: none.
struct PromptNamespace {
  std::string_view lora_name;
  std::string_view cache_salt;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_PROMPT_VIEW_H_
