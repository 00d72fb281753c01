#include "indexer/index/prefix_hash.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "indexer/base/check.h"
#include "indexer/index/prefix_chain.h"

namespace kvroute {
namespace {

// Fills prefixes[from, end) of a prompt whose blocks before `from` are there.
template <typename LocalOf>
void ChainFrom(size_t from, absl::Span<PrefixHash> prefixes, LocalOf local_of) {
  if (from == prefixes.size()) return;
  if (from == 0) prefixes[from++] = RootPrefix(local_of(0));
  PrefixHash prefix = prefixes[from - 1];
  for (; from < prefixes.size(); ++from) {
    prefixes[from] = prefix = ChainPrefixInline(prefix, local_of(from));
  }
}

}  // namespace

NamespaceSeed MakeNamespaceSeed(std::string_view lora_name, std::string_view cache_salt) {
  uint64_t seed = kHashSeed;
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

uint64_t HashIdentifier(std::string_view identifier) {
  return XXH3_64bits_withSeed(identifier.data(), identifier.size(), 0);
}

void MixMultimodal(std::string_view identifier, int64_t offset_tokens, std::vector<uint64_t>* mix) {
  mix->push_back(HashIdentifier(identifier));
  mix->push_back(static_cast<uint64_t>(offset_tokens));
}

PrefixHash RootPrefix(LocalHash local) { return PrefixHash(local.value()); }

PrefixHash ChainPrefix(PrefixHash parent, LocalHash local) {
  return ChainPrefixInline(parent, local);
}

absl::Span<const TokenId> TokensOfBlock(absl::Span<const TokenId> tokens, uint32_t block_size,
                                        size_t index, uint32_t lookahead_tokens) {
  return tokens.subspan(index * block_size, size_t{block_size} + lookahead_tokens);
}

size_t FullBlocks(size_t tokens, uint32_t block_size, uint32_t lookahead_tokens) {
  KVROUTE_CHECK(block_size > 0);
  return tokens > lookahead_tokens ? (tokens - lookahead_tokens) / block_size : 0;
}

void HashPrompt(absl::Span<const TokenId> tokens, uint32_t block_size, NamespaceSeed seed,
                std::vector<PrefixHash>* prefixes, uint32_t lookahead_tokens) {
  const PromptBlocks blocks(tokens, block_size, seed, lookahead_tokens);
  const size_t before = prefixes->size();
  prefixes->resize(before + blocks.size());
  blocks.Chain(0, absl::MakeSpan(*prefixes).subspan(before));
}

void ChainLocals(absl::Span<const LocalHash> locals, std::vector<PrefixHash>* prefixes) {
  const size_t before = prefixes->size();
  prefixes->resize(before + locals.size());
  PromptBlocks(locals).Chain(0, absl::MakeSpan(*prefixes).subspan(before));
}

PromptBlocks::PromptBlocks(absl::Span<const TokenId> tokens, uint32_t block_size,
                           NamespaceSeed seed, uint32_t lookahead_tokens,
                           absl::Span<const PromptInput> inputs, bool bare_inputs)
    : size_(FullBlocks(tokens.size(), block_size, lookahead_tokens)),
      tokens_(tokens),
      inputs_(inputs),
      block_size_(block_size),
      seed_(seed),
      lookahead_tokens_(lookahead_tokens),
      bare_inputs_(bare_inputs) {}

LocalHash PromptBlocks::Local(size_t block) const {
  return block_size_ == 0 ? locals_[block] : OfTokensAndInputs(block);
}

LocalHash PromptBlocks::OfTokensAndInputs(size_t block) const {
  const uint64_t begin = uint64_t{block} * block_size_;
  const uint64_t end = begin + block_size_ + lookahead_tokens_;
  const PromptInput* input =
      std::partition_point(inputs_.begin(), inputs_.end(),
                           [&](const PromptInput& before) { return before.end_tokens <= begin; });
  absl::InlinedVector<uint64_t, 16> mix;
  for (; input != inputs_.end() && input->begin_tokens < end; ++input) {
    mix.push_back(input->identifier_hash);
    // as signed: where it starts
    mix.push_back(bare_inputs_ ? 0 : input->begin_tokens - begin);
  }
  return HashBlock(TokensOfBlock(tokens_, block_size_, block, lookahead_tokens_), seed_, mix);
}

void PromptBlocks::Chain(size_t from, absl::Span<PrefixHash> prefixes) const {
  if (block_size_ == 0) {
    ChainFrom(from, prefixes, [this](size_t i) { return locals_[i]; });
  } else if (inputs_.empty()) {
    ChainFrom(from, prefixes, [this](size_t i) { return OfTokens(i); });
  } else {
    ChainFrom(from, prefixes, [this](size_t i) { return OfTokensAndInputs(i); });
  }
}

PromptChain::PromptChain(absl::Span<const PrefixHash> prefixes)
    : prefixes_(prefixes.data()), ready_(prefixes.size()), size_(prefixes.size()) {}

void PromptChain::Extend(size_t blocks) {
  KVROUTE_CHECK(blocks <= size_);
  memory_->resize(blocks);
  blocks_.Chain(ready_, absl::MakeSpan(*memory_));
  prefixes_ = memory_->data();
  ready_ = blocks;
}

}  // namespace kvroute
