#include "router/service/prompt_parser.h"

#include <algorithm>
#include <string>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

absl::Span<const TokenId> TokensOf(const v1::Prompt& prompt) {
  return absl::MakeConstSpan(prompt.token_ids().data(),
                             static_cast<size_t>(prompt.token_ids_size()));
}

uint64_t FullBlocks(uint64_t tokens, HashProfile profile) {
  if (profile.block_size_tokens == 0 || tokens == 0) return 0;
  return (profile.bigram ? tokens - 1 : tokens) / profile.block_size_tokens;
}

// Calls visit(local) for each full block, at most max_blocks of them.
template <typename Visit>
void ForEachLocal(const v1::Prompt& prompt, PromptNamespace prompt_namespace, HashProfile profile,
                  uint64_t max_blocks, Visit visit) {
  const absl::Span<const TokenId> tokens = TokensOf(prompt);
  const NamespaceSeed seed =
      MakeNamespaceSeed(prompt_namespace.lora_name, prompt_namespace.cache_salt);
  const uint64_t size = profile.block_size_tokens;
  const uint64_t blocks = std::min(FullBlocks(tokens.size(), profile), max_blocks);
  const uint64_t hashed_tokens = size + (profile.bigram ? 1 : 0);
  std::vector<uint64_t> mix;
  int first_input =
      0;  // those before it end before the block; inputs are in order and do not overlap
  for (uint64_t block = 0; block < blocks; ++block) {
    const uint64_t begin = block * size, end = begin + size;
    mix.clear();
    for (int i = first_input; i < prompt.multimodal_size(); ++i) {
      const v1::MultimodalInput& input = prompt.multimodal(i);
      const uint64_t input_end = uint64_t{input.offset_tokens()} + input.length_tokens();
      if (input.offset_tokens() >= end) break;
      if (input_end <= begin) {
        first_input = i + 1;
        continue;
      }
      MixMultimodal(input.identifier(),
                    int64_t{input.offset_tokens()} - static_cast<int64_t>(begin), &mix);
    }
    visit(HashBlock(tokens.subspan(begin, hashed_tokens), seed, mix));
  }
}

PromptChain ChainOfTokens(const v1::Prompt& prompt, PromptNamespace prompt_namespace,
                          HashProfile profile, std::vector<PrefixHash>* prefixes) {
  if (prompt.multimodal().empty()) {
    return PromptChain(TokensOf(prompt), profile.block_size_tokens,
                       MakeNamespaceSeed(prompt_namespace.lora_name, prompt_namespace.cache_salt),
                       prefixes, profile.bigram);
  }
  ForEachLocal(prompt, prompt_namespace, profile, UINT64_MAX, [&](LocalHash local) {
    prefixes->push_back(prefixes->empty() ? RootPrefix(local)
                                          : ChainPrefix(prefixes->back(), local));
  });
  return PromptChain(*prefixes);
}

PromptChain ChainOfHashes(const v1::BlockHashes& given, std::vector<PrefixHash>* prefixes) {
  for (const uint64_t hash : given.hashes()) {
    if (given.kind() == v1::BlockHashes::KIND_PREFIX || prefixes->empty()) {
      prefixes->push_back(PrefixHash(hash));  // a root's prefix hash is its local hash
    } else {
      prefixes->push_back(ChainPrefix(prefixes->back(), LocalHash(hash)));
    }
  }
  return PromptChain(*prefixes);
}

absl::Status CheckMultimodal(const v1::Prompt& prompt) {
  if (static_cast<size_t>(prompt.multimodal_size()) > limits::kMaxMultimodalInputs) {
    return InvalidArgument("prompt.multimodal: {} inputs; the limit is {}",
                           prompt.multimodal_size(), limits::kMaxMultimodalInputs);
  }
  uint64_t last_end = 0;
  for (int i = 0; i < prompt.multimodal_size(); ++i) {
    const v1::MultimodalInput& input = prompt.multimodal(i);
    const uint64_t end = uint64_t{input.offset_tokens()} + input.length_tokens();
    if (input.identifier().empty() || input.identifier().size() > limits::kMaxNamespaceBytes) {
      return InvalidArgument("prompt.multimodal[{}].identifier: {} bytes; must be 1 to {}", i,
                             input.identifier().size(), limits::kMaxNamespaceBytes);
    }
    if (input.length_tokens() == 0) {
      return InvalidArgument("prompt.multimodal[{}].length_tokens: 0; must be at least 1", i);
    }
    if (end > static_cast<uint64_t>(prompt.token_ids_size())) {
      return InvalidArgument("prompt.multimodal[{}]: ends at token {} of {}", i, end,
                             prompt.token_ids_size());
    }
    if (input.offset_tokens() < last_end) {
      return InvalidArgument(
          "prompt.multimodal[{}].offset_tokens: {}, before the end of the input named before it, "
          "{}",
          i, input.offset_tokens(), last_end);
    }
    last_end = end;
  }
  return absl::OkStatus();
}

absl::Status CheckTokens(const v1::Prompt& prompt, absl::Span<const HashProfile> profiles) {
  const uint64_t tokens = static_cast<uint64_t>(prompt.token_ids_size());
  if (tokens == 0) {
    return InvalidArgument("prompt: empty; name token_ids or block_hashes");
  }
  if (tokens > limits::kMaxPromptTokens) {
    return InvalidArgument("prompt.token_ids: {} tokens; the limit is {}", tokens,
                           limits::kMaxPromptTokens);
  }
  for (const HashProfile& profile : profiles) {
    if (const uint64_t blocks = FullBlocks(tokens, profile); blocks > limits::kMaxPromptBlocks) {
      return InvalidArgument("prompt.token_ids: {} blocks of {} tokens; the limit is {}", blocks,
                             profile.block_size_tokens, limits::kMaxPromptBlocks);
    }
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

absl::Status CheckHashes(const v1::Prompt& prompt, PromptNamespace prompt_namespace,
                         absl::Span<const HashProfile> profiles) {
  const v1::BlockHashes& given = prompt.block_hashes();
  if (!prompt.token_ids().empty()) {
    return InvalidArgument("prompt: both token_ids and block_hashes; name one");
  }
  if (!prompt.multimodal().empty()) {
    return InvalidArgument(
        "prompt.multimodal: {} inputs; with block_hashes they must be inside the hashes",
        prompt.multimodal_size());
  }
  if (!prompt_namespace.lora_name.empty() || !prompt_namespace.cache_salt.empty()) {
    return InvalidArgument("{}: \"{}\"; with block_hashes it must be inside the hashes",
                           prompt_namespace.lora_name.empty() ? "cache_salt" : "lora_name",
                           prompt_namespace.lora_name.empty() ? prompt_namespace.cache_salt
                                                              : prompt_namespace.lora_name);
  }
  if (given.kind() != v1::BlockHashes::KIND_LOCAL && given.kind() != v1::BlockHashes::KIND_PREFIX) {
    return InvalidArgument(
        "prompt.block_hashes.kind: {}; must be KIND_LOCAL (1) or KIND_PREFIX (2)",
        static_cast<int>(given.kind()));
  }
  const uint64_t hashes = static_cast<uint64_t>(given.hashes_size());
  if (hashes > limits::kMaxPromptBlocks) {
    return InvalidArgument("prompt.block_hashes.hashes: {} blocks; the limit is {}", hashes,
                           limits::kMaxPromptBlocks);
  }
  KVROUTE_RETURN_IF_ERROR(CheckBlockSize(given.block_size_tokens(), profiles));
  const uint64_t hashed_tokens = hashes * given.block_size_tokens();
  const uint64_t tokens = given.prompt_tokens() == 0 ? hashed_tokens : given.prompt_tokens();
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

// The slot for the next profile, empty; memory of unusually long prompts is given back.
ParsedPrompt::Hashes* NextSlot(HashProfile profile, bool comparable, ParsedPrompt* parsed) {
  ParsedPrompt::Hashes& slot = parsed->hashes[parsed->profile_count++];
  slot.profile = profile;
  slot.comparable = comparable;
  slot.chain = PromptChain();
  if (slot.memory.capacity() > ParsedPrompt::kKeptBlocks)
    std::vector<PrefixHash>().swap(slot.memory);
  slot.memory.clear();
  return &slot;
}

}  // namespace

uint64_t ParsedPrompt::TotalBlocks(HashProfile profile) const {
  if (profile.block_size_tokens == 0) profile.block_size_tokens = hashed_block_size;
  return FullBlocks(prompt_tokens, profile);
}

absl::Status ParsePrompt(const v1::Prompt& prompt, PromptNamespace prompt_namespace,
                         absl::Span<const HashProfile> profiles, ParsedPrompt* parsed) {
  parsed->profile_count = 0;
  parsed->hashed_block_size = 0;
  KVROUTE_RETURN_IF_ERROR(CheckNamespace(prompt_namespace));
  // At once: chains point into the slots.
  if (parsed->hashes.size() < profiles.size()) parsed->hashes.resize(profiles.size());
  if (!prompt.has_block_hashes()) {
    KVROUTE_RETURN_IF_ERROR(CheckTokens(prompt, profiles));
    parsed->prompt_tokens = static_cast<uint64_t>(prompt.token_ids_size());
    for (const HashProfile& profile : profiles) {
      ParsedPrompt::Hashes* slot = NextSlot(profile, true, parsed);
      slot->chain = ChainOfTokens(prompt, prompt_namespace, profile, &slot->memory);
    }
    return absl::OkStatus();
  }
  KVROUTE_RETURN_IF_ERROR(CheckHashes(prompt, prompt_namespace, profiles));
  const v1::BlockHashes& given = prompt.block_hashes();
  parsed->hashed_block_size = given.block_size_tokens();
  parsed->prompt_tokens = given.prompt_tokens() != 0 ? given.prompt_tokens()
                                                     : static_cast<uint64_t>(given.hashes_size()) *
                                                           given.block_size_tokens();
  for (const HashProfile& profile : profiles) {
    const bool comparable = profile.block_size_tokens == given.block_size_tokens();
    ParsedPrompt::Hashes* slot = NextSlot(profile, comparable, parsed);
    if (comparable) slot->chain = ChainOfHashes(given, &slot->memory);
  }
  return absl::OkStatus();
}

void LocalHashesOf(const v1::Prompt& prompt, PromptNamespace prompt_namespace, HashProfile profile,
                   size_t max_blocks, std::vector<LocalHash>* locals) {
  if (!prompt.has_block_hashes()) {
    ForEachLocal(prompt, prompt_namespace, profile, max_blocks,
                 [&](LocalHash local) { locals->push_back(local); });
  } else if (prompt.block_hashes().kind() == v1::BlockHashes::KIND_LOCAL) {
    for (const uint64_t hash : prompt.block_hashes().hashes()) {
      if (locals->size() == max_blocks) break;
      locals->push_back(LocalHash(hash));
    }
  }
}

}  // namespace kvroute
