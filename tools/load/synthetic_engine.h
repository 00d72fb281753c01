#ifndef KVROUTE_TOOLS_LOAD_SYNTHETIC_ENGINE_H_
#define KVROUTE_TOOLS_LOAD_SYNTHETIC_ENGINE_H_

#include <cstdint>
#include <list>
#include <random>
#include <vector>

#include "indexer/event/block_hasher.h"
#include "indexer/event/event.h"
#include "indexer/event/event_encoder.h"

namespace kvroute {

struct SyntheticEngineOptions {
  uint64_t seed = 1;
  uint32_t stream = 0;  // which of the fleet's engines this is
  uint32_t block_size_tokens = 16;
  uint32_t capacity_blocks = 16'384;  // beyond it the oldest conversations lose their tails
  uint32_t run_blocks = 32;           // stored by one step
  uint32_t max_conversation_blocks = 512;
};

// A conversation that an engine holds in full: its first `blocks` blocks and no more.
struct Conversation {
  uint64_t content = 0;  // names its tokens, see TokensOf
  uint32_t blocks = 0;
};

// What an engine's cache does, without an engine: each step continues a recent conversation or
// begins one, and evicts from the tails of those untouched longest until the new blocks fit, so
// that memory stays flat under any load. Half of the conversations are common to all streams of one
// seed. Block hashes are unique words, not SHA-256: the load is on the receiver, not here.
// Deterministic.
//
// Thread safety: one thread at a time.
class SyntheticEngine {
 public:
  explicit SyntheticEngine(const SyntheticEngineOptions& options);

  struct StepCounts {
    uint32_t stored_blocks = 0;
    uint32_t removed_blocks = 0;
  };
  // Adds one step's events to the encoder: removals first (an event each, as vLLM), then one stored
  // event.
  StepCounts Step(EventEncoder* encoder);

  uint32_t held_blocks() const { return held_blocks_; }
  // The most recently touched conversation; there is one after the first step.
  const Conversation& newest() const { return conversations_.front(); }
  // From the most to the least recently touched.
  const std::list<Conversation>& conversations() const { return conversations_; }

 private:
  Conversation* PickConversation();
  uint32_t Evict(uint32_t room_blocks, EventEncoder* encoder);

  const SyntheticEngineOptions options_;
  std::mt19937_64 random_;
  std::list<Conversation> conversations_;  // most recently touched first
  uint32_t held_blocks_ = 0;
  uint64_t begun_ = 0;
  std::vector<Digest> hashes_;
  std::vector<TokenId> tokens_;
};

// Replaces `tokens` with the conversation's tokens of blocks [first, first + count).
void TokensOf(uint64_t content, uint32_t block_size_tokens, uint32_t first, uint32_t count,
              std::vector<TokenId>* tokens);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_LOAD_SYNTHETIC_ENGINE_H_
