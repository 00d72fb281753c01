#include "tools/fleet/chain_hasher.h"

#include <cstring>

#include "indexer/index/prefix_hash.h"

namespace kvroute {

ChainHasher::ChainHasher(std::optional<HashScheme> scheme, uint32_t block_size_tokens)
    : block_size_tokens_(block_size_tokens) {
  if (scheme.has_value()) hasher_.emplace(*scheme);
}

void ChainHasher::Hash(absl::Span<const TokenId> tokens, std::vector<Digest>* hashes,
                       const HashNamespace& names) {
  const size_t blocks = tokens.size() / block_size_tokens_;
  hashes->reserve(hashes->size() + blocks);
  if (!hasher_.has_value()) {
    HashCheaply(tokens, hashes, names);
    return;
  }
  for (size_t i = 0; i < blocks; ++i) {
    const Digest* parent = i == 0 ? nullptr : &hashes->back();
    const Digest hash =
        hasher_->Hash(parent, tokens.subspan(i * block_size_tokens_, block_size_tokens_), names);
    hashes->push_back(hash);
  }
}

void ChainHasher::HashCheaply(absl::Span<const TokenId> tokens, std::vector<Digest>* hashes,
                              const HashNamespace& names) {
  std::vector<PrefixHash> prefixes;
  HashPrompt(tokens, block_size_tokens_, MakeNamespaceSeed(names.lora_name, names.cache_salt),
             &prefixes);
  for (const PrefixHash prefix : prefixes) {
    Digest digest{};
    const uint64_t value = prefix.value();
    std::memcpy(digest.data(), &value, sizeof(value));
    hashes->push_back(digest);
  }
}

}  // namespace kvroute
