#include "router/prompt/prompt_parser.h"

#include <algorithm>
#include <string>
#include <type_traits>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

uint64_t BlocksIn(uint64_t tokens, HashProfile profile) {
  if (profile.block_size_tokens == 0) return 0;
  return FullBlocks(tokens, profile.block_size_tokens, profile.lookahead_tokens);
}

// The request's hashes where they lie: a hash type is its number, and nothing else.
template <typename Hash>
absl::Span<const Hash> HashesAs(const BlockHashesView& given) {
  static_assert(sizeof(Hash) == sizeof(uint64_t) && std::is_standard_layout_v<Hash> &&
                std::is_trivially_copyable_v<Hash>);
  return {reinterpret_cast<const Hash*>(given.hashes.data()), given.hashes.size()};
}

void ReadInputs(const PromptView& prompt, std::vector<PromptInput>* inputs) {
  inputs->clear();
  for (const MultimodalInput& input : prompt.multimodal) {
    const uint64_t begin = input.offset_tokens;
    inputs->push_back({HashIdentifier(input.identifier), begin, begin + input.length_tokens});
  }
}

PromptBlocks BlocksOfTokens(const PromptView& prompt, PromptNamespace prompt_namespace,
                            HashProfile profile, absl::Span<const PromptInput> inputs) {
  return PromptBlocks(prompt.token_ids, profile.block_size_tokens,
                      MakeNamespaceSeed(prompt_namespace.lora_name, prompt_namespace.cache_salt),
                      profile.lookahead_tokens, inputs, profile.bare_inputs);
}

PromptChain ChainOfHashes(const BlockHashesView& given) {
  if (given.kind == BlockHashKind::kPrefix) return PromptChain(HashesAs<PrefixHash>(given));
  return PromptChain(HashesAs<LocalHash>(given));
}

// What the request says, or as many tokens as are hashed.
uint64_t PromptTokensOf(const BlockHashesView& given) {
  if (given.prompt_tokens != 0) return given.prompt_tokens;
  return uint64_t{given.hashes.size()} * given.block_size_tokens;
}

absl::Status CheckMultimodal(const PromptView& prompt) {
  if (prompt.multimodal.size() > limits::kMaxMultimodalInputs) {
    return InvalidArgument("prompt.multimodal: {} inputs; the limit is {}",
                           prompt.multimodal.size(), limits::kMaxMultimodalInputs);
  }
  uint64_t last_end = 0;
  for (size_t i = 0; i < prompt.multimodal.size(); ++i) {
    const MultimodalInput& input = prompt.multimodal[i];
    const uint64_t end = uint64_t{input.offset_tokens} + input.length_tokens;
    if (input.identifier.empty() || input.identifier.size() > limits::kMaxNamespaceBytes) {
      return InvalidArgument("prompt.multimodal[{}].identifier: {} bytes; must be 1 to {}", i,
                             input.identifier.size(), limits::kMaxNamespaceBytes);
    }
    if (input.length_tokens == 0) {
      return InvalidArgument("prompt.multimodal[{}].length_tokens: 0; must be at least 1", i);
    }
    if (end > prompt.token_ids.size()) {
      return InvalidArgument("prompt.multimodal[{}]: ends at token {} of {}", i, end,
                             prompt.token_ids.size());
    }
    if (input.offset_tokens < last_end) {
      return InvalidArgument(
          "prompt.multimodal[{}].offset_tokens: {}, before the end of the input named before it, "
          "{}",
          i, input.offset_tokens, last_end);
    }
    last_end = end;
  }
  return absl::OkStatus();
}

absl::Status CheckTokens(const PromptView& prompt) {
  const uint64_t tokens = prompt.token_ids.size();
  if (tokens == 0) {
    return InvalidArgument("prompt: empty; name token_ids or block_hashes");
  }
  if (tokens > limits::kMaxPromptTokens) {
    return InvalidArgument("prompt.token_ids: {} tokens; the limit is {}", tokens,
                           limits::kMaxPromptTokens);
  }
  return CheckMultimodal(prompt);
}

absl::Status CheckBlockSize(uint32_t block_size, absl::Span<const HashProfile> profiles) {
  if (block_size == 0 || block_size > limits::kMaxBlockSizeTokens) {
    return InvalidArgument("prompt.block_hashes.block_size_tokens: {}; must be 1 to {}", block_size,
                           limits::kMaxBlockSizeTokens);
  }
  std::string known;
  for (const HashProfile& profile : profiles) {
    if (profile.block_size_tokens == block_size) return absl::OkStatus();
    known += fmt::format("{}{}", known.empty() ? "" : " and ", profile.block_size_tokens);
  }
  if (known.empty()) return absl::OkStatus();  // no worker has told its own yet
  return InvalidArgument("prompt.block_hashes.block_size_tokens: {}; the model's workers use {}",
                         block_size, known);
}

absl::Status CheckHashes(const PromptView& prompt, const BlockHashesView& given,
                         PromptNamespace prompt_namespace, absl::Span<const HashProfile> profiles) {
  if (!prompt.token_ids.empty()) {
    return InvalidArgument("prompt: both token_ids and block_hashes; name one");
  }
  if (!prompt.multimodal.empty()) {
    return InvalidArgument(
        "prompt.multimodal: {} inputs; with block_hashes they must be inside the hashes",
        prompt.multimodal.size());
  }
  if (!prompt_namespace.lora_name.empty() || !prompt_namespace.cache_salt.empty()) {
    return InvalidArgument("{}: \"{}\"; with block_hashes it must be inside the hashes",
                           prompt_namespace.lora_name.empty() ? "cache_salt" : "lora_name",
                           prompt_namespace.lora_name.empty() ? prompt_namespace.cache_salt
                                                              : prompt_namespace.lora_name);
  }
  if (given.kind != BlockHashKind::kLocal && given.kind != BlockHashKind::kPrefix) {
    return InvalidArgument(
        "prompt.block_hashes.kind: {}; must be KIND_LOCAL (1) or KIND_PREFIX (2)",
        static_cast<int>(given.kind));
  }
  if (given.lookahead_tokens > limits::kMaxLookaheadTokens) {
    return InvalidArgument("prompt.block_hashes.lookahead_tokens: {}; the limit is {}",
                           given.lookahead_tokens, limits::kMaxLookaheadTokens);
  }
  if (given.hashes.size() > limits::kMaxPromptBlocks) {
    return InvalidArgument("prompt.block_hashes.hashes: {} blocks; the limit is {}",
                           given.hashes.size(), limits::kMaxPromptBlocks);
  }
  KVROUTE_RETURN_IF_ERROR(CheckBlockSize(given.block_size_tokens, profiles));
  const uint64_t hashed_tokens = uint64_t{given.hashes.size()} * given.block_size_tokens;
  const uint64_t tokens = PromptTokensOf(given);
  if (tokens == 0) return InvalidArgument("prompt: empty; name token_ids or block_hashes");
  if (tokens > limits::kMaxPromptTokens) {
    return InvalidArgument("prompt.block_hashes: {} tokens; the limit is {}", tokens,
                           limits::kMaxPromptTokens);
  }
  if (tokens < hashed_tokens) {
    return InvalidArgument(
        "prompt.block_hashes.prompt_tokens: {}, fewer than the {} that are hashed", tokens,
        hashed_tokens);
  }
  return absl::OkStatus();
}

absl::Status CheckNamespace(PromptNamespace prompt_namespace) {
  for (const auto& [field, text] : {std::pair{"lora_name", prompt_namespace.lora_name},
                                    std::pair{"cache_salt", prompt_namespace.cache_salt}}) {
    if (text.size() > limits::kMaxNamespaceBytes) {
      return InvalidArgument("{}: {} bytes; the limit is {}", field, text.size(),
                             limits::kMaxNamespaceBytes);
    }
  }
  return absl::OkStatus();
}

// Takes the next of `parsed->hashes` for a profile; frees what an unusually long prompt took.
ParsedPrompt::Hashes* AddProfile(HashProfile profile, Incomparable incomparable,
                                 ParsedPrompt* parsed) {
  ParsedPrompt::Hashes& hashes = parsed->hashes[parsed->profile_count++];
  hashes.profile = profile;
  hashes.incomparable = incomparable;
  hashes.chain = PromptChain();
  if (hashes.memory.capacity() > ParsedPrompt::kKeptBlocks)
    std::vector<LocalHash>().swap(hashes.memory);
  hashes.memory.clear();
  return &hashes;
}

void TakeTokens(const PromptView& prompt, PromptNamespace prompt_namespace,
                absl::Span<const HashProfile> profiles, ParsedPrompt* parsed) {
  parsed->given_block_size_tokens = 0;
  parsed->prompt_tokens = prompt.token_ids.size();
  ReadInputs(prompt, &parsed->inputs);
  for (const HashProfile& profile : profiles) {
    const bool fits = BlocksIn(parsed->prompt_tokens, profile) <= limits::kMaxPromptBlocks;
    ParsedPrompt::Hashes* hashes =
        AddProfile(profile, fits ? Incomparable::kNo : Incomparable::kPromptBlocks, parsed);
    if (!fits) continue;
    hashes->chain = PromptChain(BlocksOfTokens(prompt, prompt_namespace, profile, parsed->inputs),
                                &hashes->memory);
  }
}

Incomparable Compare(const BlockHashesView& given, HashProfile profile) {
  if (profile.block_size_tokens != given.block_size_tokens) return Incomparable::kBlockSize;
  return profile.lookahead_tokens == given.lookahead_tokens ? Incomparable::kNo
                                                            : Incomparable::kLookahead;
}

void TakeHashes(const BlockHashesView& given, absl::Span<const HashProfile> profiles,
                ParsedPrompt* parsed) {
  parsed->given_block_size_tokens = given.block_size_tokens;
  parsed->prompt_tokens = PromptTokensOf(given);
  for (const HashProfile& profile : profiles) {
    ParsedPrompt::Hashes* hashes = AddProfile(profile, Compare(given, profile), parsed);
    if (hashes->comparable()) hashes->chain = ChainOfHashes(given);
  }
}

}  // namespace

uint64_t ParsedPrompt::TotalBlocks(HashProfile profile) const {
  if (profile.block_size_tokens == 0) profile.block_size_tokens = given_block_size_tokens;
  return BlocksIn(prompt_tokens, profile);
}

absl::Status ParsePrompt(const PromptView& prompt, PromptNamespace prompt_namespace,
                         absl::Span<const HashProfile> profiles, ParsedPrompt* parsed) {
  parsed->profile_count = 0;
  KVROUTE_RETURN_IF_ERROR(CheckNamespace(prompt_namespace));
  if (prompt.block_hashes) {
    KVROUTE_RETURN_IF_ERROR(CheckHashes(prompt, *prompt.block_hashes, prompt_namespace, profiles));
  } else {
    KVROUTE_RETURN_IF_ERROR(CheckTokens(prompt));
  }
  // All at once and before any chain is made: chains point into its elements.
  if (parsed->hashes.size() < profiles.size()) parsed->hashes.resize(profiles.size());
  if (prompt.block_hashes) {
    TakeHashes(*prompt.block_hashes, profiles, parsed);
  } else {
    TakeTokens(prompt, prompt_namespace, profiles, parsed);
  }
  return absl::OkStatus();
}

void LocalHashesOf(const PromptView& prompt, PromptNamespace prompt_namespace, HashProfile profile,
                   size_t max_blocks, std::vector<LocalHash>* locals) {
  if (prompt.block_hashes) {
    if (prompt.block_hashes->kind == BlockHashKind::kPrefix) return;
    const auto given = HashesAs<LocalHash>(*prompt.block_hashes);
    locals->assign(given.begin(),
                   given.begin() + static_cast<ptrdiff_t>(std::min(given.size(), max_blocks)));
    return;
  }
  std::vector<PromptInput> inputs;
  ReadInputs(prompt, &inputs);
  const PromptBlocks blocks = BlocksOfTokens(prompt, prompt_namespace, profile, inputs);
  locals->resize(std::min(blocks.size(), max_blocks));
  blocks.Hash(0, absl::MakeSpan(*locals));
}

}  // namespace kvroute
