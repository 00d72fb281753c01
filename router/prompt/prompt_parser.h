#ifndef KVROUTE_ROUTER_PROMPT_PROMPT_PARSER_H_
#define KVROUTE_ROUTER_PROMPT_PROMPT_PARSER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "indexer/index/prefix_hash.h"
#include "router/prompt/prompt_view.h"

namespace kvroute {

// How a worker cuts a prompt into blocks and hashes them. The workers of one model may differ in
// it.
struct HashProfile {
  uint32_t block_size_tokens = 0;
  uint32_t lookahead_tokens = 0;  // behind a block, that it is hashed over too
  bool bare_inputs = false;       // multimodal inputs are hashed without their places

  bool operator==(const HashProfile&) const = default;
};

// Why nothing can be said about what workers of a profile hold of a prompt.
enum class Incomparable : uint8_t {
  kNo,            // it can
  kBlockSize,     // the request brought hashes of another block size
  kLookahead,     // its hashes cover more or fewer tokens behind each block
  kPromptBlocks,  // the prompt has more blocks than kMaxPromptBlocks: too dear to compare
  kHashProfiles,  // the model's workers have more profiles than kMaxHashProfiles
};

// One checked prompt with a chain of prefix hashes for every profile of its model. Meant to be used
// again for the next prompt: parsing and hashing then allocate nothing for prompts of up to
// kKeptBlocks blocks; what a longer one took is freed when the next is parsed.
//
// Ownership: the chains refer to the request that was parsed and to this object, which therefore
// cannot be copied.
struct ParsedPrompt {
  static constexpr size_t kKeptBlocks = 16'384;

  ParsedPrompt() = default;
  ParsedPrompt(const ParsedPrompt&) = delete;
  ParsedPrompt& operator=(const ParsedPrompt&) = delete;

  // The prompt in one profile.
  struct Hashes {
    HashProfile profile;
    Incomparable incomparable = Incomparable::kNo;  // else the chain is empty
    PromptChain chain;                              // computed as far as the index asks for it
    std::vector<LocalHash> memory;                  // of the chain

    bool comparable() const { return incomparable == Incomparable::kNo; }
  };

  uint64_t prompt_tokens = 0;
  uint32_t given_block_size_tokens = 0;  // of the hashes that the request brought; 0: tokens
  std::vector<PromptInput> inputs;       // the multimodal inputs of a prompt of tokens
  // The first profile_count are in use, in the order of the profiles given; the others are memory
  // for later prompts.
  std::vector<Hashes> hashes;
  size_t profile_count = 0;

  // Full blocks of the prompt in a profile. A profile of block size 0 (not known yet) is taken to
  // have that of the request's hashes.
  uint64_t TotalBlocks(HashProfile profile) const;
};

// Checks a prompt against the limits, then makes `parsed` of it. `profiles` may be empty: no worker
// of the model has told its block size yet.
//
// Errors: INVALID_ARGUMENT names the field as the API calls it, its value and the limit. The length
// of a prompt is checked before anything is allocated for it.
absl::Status ParsePrompt(const PromptView& prompt, PromptNamespace prompt_namespace,
                         absl::Span<const HashProfile> profiles, ParsedPrompt* parsed);

// Fills `locals` with the local hashes of the first `max_blocks` blocks of a prompt that
// ParsePrompt accepts: those that its prefix hashes are chained from. None if the request brought
// prefix hashes: local hashes cannot be computed back from them.
void LocalHashesOf(const PromptView& prompt, PromptNamespace prompt_namespace, HashProfile profile,
                   size_t max_blocks, std::vector<LocalHash>* locals);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_PROMPT_PARSER_H_
