#include "indexer/index/prefix_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr uint64_t kSeed = 1337;

// Fills prefixes[from, end) of a prompt whose blocks before `from` are there.
template <typename LocalOf>
void Chain(absl::Span<PrefixHash> prefixes, size_t from, LocalOf local_of) {
  if (from == prefixes.size()) return;
  PrefixHash prefix =
      from == 0 ? RootPrefix(local_of(0)) : ChainPrefix(prefixes[from - 1], local_of(from));
  prefixes[from] = prefix;
  for (size_t i = from + 1; i < prefixes.size(); ++i) {
    prefixes[i] = prefix = ChainPrefix(prefix, local_of(i));
  }
}

void HashBlocks(absl::Span<const TokenId> tokens, uint32_t block_size, NamespaceSeed seed,
                bool bigram, size_t from, absl::Span<PrefixHash> prefixes) {
  Chain(prefixes, from,
        [&](size_t i) { return HashBlock(BlockWindow(tokens, block_size, i, bigram), seed); });
}

}  // namespace

NamespaceSeed MakeNamespaceSeed(std::string_view lora_name, std::string_view cache_salt) {
  uint64_t seed = kSeed;
  if (!lora_name.empty()) seed += XXH3_64bits_withSeed(lora_name.data(), lora_name.size(), 0);
  if (!cache_salt.empty()) seed += XXH3_64bits_withSeed(cache_salt.data(), cache_salt.size(), 1);
  return NamespaceSeed(seed);
}

LocalHash HashBlock(absl::Span<const TokenId> tokens, NamespaceSeed seed) {
  return LocalHash(
      XXH3_64bits_withSeed(tokens.data(), tokens.size() * sizeof(TokenId), seed.value()));
}

LocalHash HashBlock(absl::Span<const TokenId> tokens, NamespaceSeed seed,
                    absl::Span<const uint64_t> mix) {
  const LocalHash plain = HashBlock(tokens, seed);
  if (mix.empty()) return plain;
  return LocalHash(XXH3_64bits_withSeed(mix.data(), mix.size() * sizeof(uint64_t), plain.value()));
}

void MixMultimodal(std::string_view identifier, int64_t offset_tokens, std::vector<uint64_t>* mix) {
  mix->push_back(XXH3_64bits_withSeed(identifier.data(), identifier.size(), 0));
  mix->push_back(static_cast<uint64_t>(offset_tokens));
}

PrefixHash RootPrefix(LocalHash local) { return PrefixHash(local.value()); }

PrefixHash ChainPrefix(PrefixHash parent, LocalHash local) {
  const uint64_t words[2] = {parent.value(), local.value()};
  return PrefixHash(XXH3_64bits_withSeed(words, sizeof(words), kSeed));
}

absl::Span<const TokenId> BlockWindow(absl::Span<const TokenId> tokens, uint32_t block_size,
                                      size_t index, bool bigram) {
  return tokens.subspan(index * block_size, size_t{block_size} + (bigram ? 1 : 0));
}

size_t FullBlocks(size_t tokens, uint32_t block_size, bool bigram) {
  KVROUTE_CHECK(block_size > 0);
  if (bigram && tokens > 0) --tokens;
  return tokens / block_size;
}

void HashPrompt(absl::Span<const TokenId> tokens, uint32_t block_size, NamespaceSeed seed,
                std::vector<PrefixHash>* prefixes, bool bigram) {
  const size_t before = prefixes->size();
  prefixes->resize(before + FullBlocks(tokens.size(), block_size, bigram));
  HashBlocks(tokens, block_size, seed, bigram, 0, absl::MakeSpan(*prefixes).subspan(before));
}

void ChainLocals(absl::Span<const LocalHash> locals, std::vector<PrefixHash>* prefixes) {
  if (locals.empty()) return;
  prefixes->push_back(RootPrefix(locals[0]));
  ChainLocals(prefixes->back(), locals.subspan(1), prefixes);
}

void ChainLocals(PrefixHash parent, absl::Span<const LocalHash> locals,
                 std::vector<PrefixHash>* prefixes) {
  const size_t before = prefixes->size();
  prefixes->resize(before + locals.size());
  PrefixHash* out = prefixes->data() + before;
  for (const LocalHash local : locals) *out++ = parent = ChainPrefix(parent, local);
}

PromptChain::PromptChain(absl::Span<const PrefixHash> prefixes)
    : prefixes_(prefixes.data()), ready_(prefixes.size()), size_(prefixes.size()) {}

PromptChain::PromptChain(absl::Span<const LocalHash> locals, std::vector<PrefixHash>* memory)
    : size_(locals.size()), memory_(memory), locals_(locals) {}

PromptChain::PromptChain(absl::Span<const TokenId> tokens, uint32_t block_size, NamespaceSeed seed,
                         std::vector<PrefixHash>* memory, bool bigram)
    : size_(FullBlocks(tokens.size(), block_size, bigram)),
      memory_(memory),
      tokens_(tokens),
      block_size_(block_size),
      seed_(seed),
      bigram_(bigram) {}

void PromptChain::Extend(size_t blocks) {
  KVROUTE_CHECK(blocks <= size_);
  memory_->resize(blocks);
  const absl::Span<PrefixHash> prefixes = absl::MakeSpan(*memory_);
  if (block_size_ == 0) {
    Chain(prefixes, ready_, [this](size_t i) { return locals_[i]; });
  } else {
    HashBlocks(tokens_, block_size_, seed_, bigram_, ready_, prefixes);
  }
  prefixes_ = memory_->data();
  ready_ = blocks;
}

}  // namespace kvroute
