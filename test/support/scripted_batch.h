#ifndef KVROUTE_TEST_SUPPORT_SCRIPTED_BATCH_H_
#define KVROUTE_TEST_SUPPORT_SCRIPTED_BATCH_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/event/event_encoder.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {

// For tests: a batch of vLLM whose every event a test says itself. Blocks are numbers from 1 on;
// each has tokens and an engine hash of its own. Parent 0: none. Thread safety: none.
class ScriptedBatch {
 public:
  static constexpr uint32_t kBlockTokens = 4;
  using Blocks = std::initializer_list<uint32_t>;

  ScriptedBatch& Store(uint32_t parent, Blocks blocks, std::string_view medium = "GPU") {
    std::vector<Digest> hashes;
    std::vector<TokenId> tokens;
    for (const uint32_t block : blocks) {
      hashes.push_back(DigestOf(block));
      const std::vector<TokenId> own = TokensOf(block);
      tokens.insert(tokens.end(), own.begin(), own.end());
    }
    const Digest parent_digest = DigestOf(parent);
    StoredBlocks stored;
    stored.hashes = hashes;
    stored.parent = parent == 0 ? nullptr : &parent_digest;
    stored.token_ids = tokens;
    stored.block_size_tokens = kBlockTokens;
    stored.medium = medium;
    encoder_.Stored(stored);
    return *this;
  }
  // As an offload connector says it: only which block.
  ScriptedBatch& Copy(uint32_t block, std::string_view medium) {
    const Digest digest = DigestOf(block);
    StoredBlocks stored;
    stored.hashes = {&digest, 1};
    stored.medium = medium;
    encoder_.Stored(stored);
    return *this;
  }
  ScriptedBatch& Remove(Blocks blocks, std::string_view medium = "GPU") {
    for (const uint32_t block : blocks) {
      const Digest digest = DigestOf(block);
      RemovedBlocks removed;
      removed.hashes = {&digest, 1};
      removed.medium = medium;
      encoder_.Removed(removed);
    }
    return *this;
  }
  ScriptedBatch& Clear() {
    encoder_.Cleared();
    return *this;
  }
  std::string Finish(double ts_seconds = 1e9) {
    std::string payload;
    encoder_.Finish(ts_seconds, 0, &payload);
    return payload;
  }

  static std::vector<PrefixHash> Prompt(Blocks blocks) {
    std::vector<PrefixHash> prompt;
    for (const uint32_t block : blocks) {
      const LocalHash local = HashBlock(TokensOf(block), MakeNamespaceSeed("", ""));
      prompt.push_back(prompt.empty() ? RootPrefix(local) : ChainPrefix(prompt.back(), local));
    }
    return prompt;
  }

 private:
  static std::vector<TokenId> TokensOf(uint32_t block) {
    std::vector<TokenId> tokens;
    for (uint32_t i = 0; i < kBlockTokens; ++i) tokens.push_back(block * kBlockTokens + i);
    return tokens;
  }
  static Digest DigestOf(uint32_t block) {
    Digest digest{};
    const uint64_t hash = (block + uint64_t{1}) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < 8; ++i) {
      digest[digest.size() - 1 - i] = static_cast<uint8_t>(hash >> (8 * i));
    }
    return digest;
  }

  EventEncoder encoder_{WireFormat{}};
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_SCRIPTED_BATCH_H_
