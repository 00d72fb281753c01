#include "indexer/index/prefix_hash.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "indexer/base/check.h"
#include "indexer/index/prefix_chain.h"

namespace kvroute {
namespace {

// Where the tokens of blocks lie.
struct BlockBytes {
  const TokenId* first;
  size_t step_tokens;
  size_t bytes;
};

// `bytes` as a constant, if `kBytes` is not 0.
template <size_t kBytes>
void HashShort(BlockBytes blocks, NamespaceSeed seed, absl::Span<LocalHash> locals) {
  const TokenId* tokens = blocks.first;
  for (LocalHash& local : locals) {
    local =
        LocalHash(XXH3_64bits_withSeed(tokens, kBytes == 0 ? blocks.bytes : kBytes, seed.value()));
    tokens += blocks.step_tokens;
  }
}

// XXH3 derives a secret from the seed for every input of more than XXH3_MIDSIZE_MAX bytes.
void HashLong(BlockBytes blocks, NamespaceSeed seed, absl::Span<LocalHash> locals) {
  alignas(64) uint8_t secret[XXH3_SECRET_DEFAULT_SIZE];
  XXH3_generateSecret_fromSeed(secret, seed.value());
  const TokenId* tokens = blocks.first;
  for (LocalHash& local : locals) {
    local = LocalHash(
        XXH3_64bits_withSecretandSeed(tokens, blocks.bytes, secret, sizeof(secret), seed.value()));
    tokens += blocks.step_tokens;
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

void HashBlocks(absl::Span<const TokenId> tokens, uint32_t block_size, uint32_t lookahead_tokens,
                NamespaceSeed seed, size_t from, absl::Span<LocalHash> locals) {
  if (from == locals.size()) return;
  const BlockBytes blocks = {TokensOfBlock(tokens, block_size, from, lookahead_tokens).data(),
                             block_size, (size_t{block_size} + lookahead_tokens) * sizeof(TokenId)};
  locals = locals.subspan(from);
  switch (blocks.bytes) {
    case 16 * sizeof(TokenId):
      return HashShort<16 * sizeof(TokenId)>(blocks, seed, locals);
    case 32 * sizeof(TokenId):
      return HashShort<32 * sizeof(TokenId)>(blocks, seed, locals);
    default:
      if (blocks.bytes > XXH3_MIDSIZE_MAX) return HashLong(blocks, seed, locals);
      return HashShort<0>(blocks, seed, locals);
  }
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
  std::vector<LocalHash> locals(blocks.size());
  blocks.Hash(0, absl::MakeSpan(locals));
  ChainLocals(locals, prefixes);
}

void ChainLocals(absl::Span<const LocalHash> locals, std::vector<PrefixHash>* prefixes) {
  if (locals.empty()) return;
  prefixes->reserve(prefixes->size() + locals.size());
  PrefixHash prefix = RootPrefix(locals[0]);
  prefixes->push_back(prefix);
  for (const LocalHash local : locals.subspan(1)) {
    prefix = ChainPrefixInline(prefix, local);
    prefixes->push_back(prefix);
  }
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

void PromptBlocks::Hash(size_t from, absl::Span<LocalHash> locals) const {
  if (inputs_.empty()) {
    return HashBlocks(tokens_, block_size_, lookahead_tokens_, seed_, from, locals);
  }
  for (size_t i = from; i < locals.size(); ++i) locals[i] = OfTokensAndInputs(i);
}

void PromptChain::Extend(size_t blocks) {
  KVROUTE_CHECK(blocks <= size_);
  memory_->resize(blocks);
  blocks_.Hash(ready_, absl::MakeSpan(*memory_));
  locals_ = memory_->data();
  ready_ = blocks;
}

}  // namespace kvroute
