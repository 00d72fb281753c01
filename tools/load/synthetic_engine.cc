#include "tools/load/synthetic_engine.h"

#include <algorithm>
#include <iterator>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

// Qwen's: three- to five-byte integers on the wire, as in real events
constexpr TokenId kVocabulary = 151'936;
constexpr int kContinueAmong = 8;  // conversations that may be continued: the most recent ones

// SplitMix64: well-spread and cheap.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The hash of block `index` of a conversation: unique in its first and in its last 8 bytes, which
// are what events show.
Digest HashOf(uint64_t content, uint32_t index) {
  const uint64_t word = Mix(Mix(content) + index);
  Digest digest{};
  for (size_t i = 0; i < 8; ++i) {
    digest[i] = digest[24 + i] = static_cast<uint8_t>(word >> (8 * (7 - i)));
  }
  return digest;
}

}  // namespace

void TokensOf(uint64_t content, uint32_t block_size_tokens, uint32_t first, uint32_t count,
              std::vector<TokenId>* tokens) {
  tokens->clear();
  const uint64_t begin = uint64_t{first} * block_size_tokens,
                 end = begin + uint64_t{count} * block_size_tokens;
  for (uint64_t i = begin; i < end; ++i) {
    tokens->push_back(static_cast<TokenId>(Mix(content ^ (i << 20)) % kVocabulary));
  }
}

SyntheticEngine::SyntheticEngine(const SyntheticEngineOptions& options)
    : options_(options), random_(Mix(options.seed) + options.stream) {
  KVROUTE_CHECK(options_.run_blocks > 0 &&
                options_.run_blocks <= options_.max_conversation_blocks &&
                options_.max_conversation_blocks <= options_.capacity_blocks);
}

SyntheticEngine::StepCounts SyntheticEngine::Step(EventEncoder* encoder) {
  Conversation* conversation = PickConversation();
  StepCounts counts;
  counts.stored_blocks =
      std::min(options_.run_blocks, options_.max_conversation_blocks - conversation->blocks);
  counts.removed_blocks = Evict(counts.stored_blocks, encoder);

  const uint32_t first = conversation->blocks;
  hashes_.clear();
  for (uint32_t i = 0; i < counts.stored_blocks; ++i)
    hashes_.push_back(HashOf(conversation->content, first + i));
  TokensOf(conversation->content, options_.block_size_tokens, first, counts.stored_blocks,
           &tokens_);
  const Digest parent = first == 0 ? Digest{} : HashOf(conversation->content, first - 1);
  StoredBlocks stored;
  stored.hashes = hashes_;
  stored.parent = first == 0 ? nullptr : &parent;
  stored.token_ids = tokens_;
  stored.block_size_tokens = options_.block_size_tokens;
  encoder->Stored(stored);

  conversation->blocks += counts.stored_blocks;
  held_blocks_ += counts.stored_blocks;
  return counts;
}

// Moves it to the front: it is the last that eviction reaches.
Conversation* SyntheticEngine::PickConversation() {
  // half of the picks begin a new one
  const int pick = static_cast<int>(random_() % (2 * kContinueAmong));
  if (pick < std::min<int>(kContinueAmong, static_cast<int>(conversations_.size()))) {
    const auto chosen = std::next(conversations_.begin(), pick);
    if (chosen->blocks < options_.max_conversation_blocks) {
      conversations_.splice(conversations_.begin(), conversations_, chosen);
      return &conversations_.front();
    }
  }
  const uint64_t number = begun_++;
  const bool common = number % 2 == 0;
  const uint64_t content =
      Mix(options_.seed ^ Mix(number ^ (common ? 0 : uint64_t{options_.stream} + 1) << 40));
  conversations_.push_front({.content = content, .blocks = 0});
  return &conversations_.front();
}

uint32_t SyntheticEngine::Evict(uint32_t room_blocks, EventEncoder* encoder) {
  uint32_t removed = 0;
  while (held_blocks_ + room_blocks > options_.capacity_blocks) {
    Conversation& oldest = conversations_.back();
    --oldest.blocks;
    --held_blocks_;
    ++removed;
    const Digest hash = HashOf(oldest.content, oldest.blocks);
    encoder->Removed({.hashes = {&hash, 1}});
    if (oldest.blocks == 0) conversations_.pop_back();
  }
  return removed;
}

}  // namespace kvroute
