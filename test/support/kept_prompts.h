#ifndef KVROUTE_TEST_SUPPORT_KEPT_PROMPTS_H_
#define KVROUTE_TEST_SUPPORT_KEPT_PROMPTS_H_

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "router/prompt/prompt_parser.h"

namespace kvroute {

inline constexpr HashProfile kBy4{4, 0};

// A prompt with what its view points into.
struct Prompt {
  std::vector<TokenId> token_ids;
  std::vector<uint64_t> hash_values;
  std::optional<BlockHashesView> block_hashes;  // its hashes are hash_values
  std::vector<MultimodalInput> multimodal;

  PromptView View() const {
    PromptView view{token_ids, block_hashes, multimodal};
    if (view.block_hashes) view.block_hashes->hashes = hash_values;
    return view;
  }
};

inline Prompt OfTokens(uint32_t count) {
  Prompt prompt;
  for (uint32_t i = 1; i <= count; ++i) prompt.token_ids.push_back(i);
  return prompt;
}

inline Prompt OfHashes(BlockHashKind kind, const std::vector<uint64_t>& hashes,
                       uint32_t block_size = 4) {
  Prompt prompt;
  prompt.hash_values = hashes;
  prompt.block_hashes = {kind, {}, block_size, 0};
  return prompt;
}

// Keeps the prompt, which what is parsed refers to.
inline absl::Status ParseKept(Prompt prompt, PromptNamespace prompt_namespace,
                              absl::Span<const HashProfile> profiles, ParsedPrompt* parsed) {
  static auto* const kept = new std::deque<Prompt>();
  kept->push_back(std::move(prompt));
  return ParsePrompt(kept->back().View(), prompt_namespace, profiles, parsed);
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_KEPT_PROMPTS_H_
