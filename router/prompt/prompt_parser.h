#ifndef KVROUTE_ROUTER_PROMPT_PROMPT_PARSER_H_
#define KVROUTE_ROUTER_PROMPT_PROMPT_PARSER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "indexer/index/prefix_hash.h"
#include "kvroute/v1/router.pb.h"

namespace kvroute {

// How a worker cuts and hashes a prompt. The workers of one model may differ in it.
struct HashProfile {
  uint32_t block_size_tokens = 0;
  bool bigram = false;  // a block is hashed over its tokens and the one that follows

  bool operator==(const HashProfile&) const = default;
};

// One prompt, ready to be hashed for every profile of its model. Reused from request to request: up
// to kKeptBlocks blocks a profile, parsing and hashing allocate nothing in steady state.
//
// Ownership: refers to the v1::Prompt it was parsed from, and its chains to itself.
struct ParsedPrompt {
  static constexpr size_t kKeptBlocks = 16'384;

  ParsedPrompt() = default;
  ParsedPrompt(const ParsedPrompt&) = delete;
  ParsedPrompt& operator=(const ParsedPrompt&) = delete;

  struct Hashes {
    HashProfile profile;
    // False: the request brought hashes of another block size, so that nothing can be said for this
    // profile.
    bool comparable = true;
    PromptChain chain;               // hashed as far as the index asks
    std::vector<PrefixHash> memory;  // of the chain
  };

  uint64_t prompt_tokens = 0;
  uint32_t hashed_block_size = 0;   // of hashes that the request brought; 0: it brought tokens
  std::vector<PromptInput> inputs;  // of a prompt of tokens
  size_t profile_count = 0;
  // the first profile_count are in use, in the order of the profiles given
  std::vector<Hashes> hashes;

  // Full blocks of the prompt in a profile.
  uint64_t TotalBlocks(HashProfile profile) const;
};

// What of a namespace a request names besides its model.
struct PromptNamespace {
  std::string_view lora_name;
  std::string_view cache_salt;
};

// Errors: INVALID_ARGUMENT names the field, its value and the limit. Nothing is allocated before
// the limits are checked.
absl::Status ParsePrompt(const v1::Prompt& prompt, PromptNamespace prompt_namespace,
                         absl::Span<const HashProfile> profiles, ParsedPrompt* parsed);

// Appends the local hashes of the first `max_blocks` blocks of a prompt that ParsePrompt has
// accepted, as they went into the prefix hashes. None for a prompt of prefix hashes: they do not
// tell.
void LocalHashesOf(const v1::Prompt& prompt, PromptNamespace prompt_namespace, HashProfile profile,
                   size_t max_blocks, std::vector<LocalHash>* locals);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_PROMPT_PARSER_H_
