#include "tools/load/synthetic_engine.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "indexer/event/decoder.h"
#include "indexer/index/prefix_hash.h"

namespace kvroute {
namespace {

// What a literal reader of the events believes the engine holds: engine hash -> prefix hash.
class Reader {
 public:
  void Apply(const std::string& payload) {
    DecodedBatch batch;
    ASSERT_EQ(decoder_.Decode(payload, &batch), DecodeReason::kOk);
    ASSERT_TRUE(batch.skipped.empty());
    for (const Event& event : batch.events) {
      if (event.type == EventType::kRemoved) {
        for (EngineHash hash : event.block_hashes)
          EXPECT_EQ(held_.erase(hash), 1u) << "removed what was not held";
        continue;
      }
      ASSERT_EQ(event.type, EventType::kStored);
      std::optional<PrefixHash> prefix;
      if (event.parent) {
        ASSERT_TRUE(held_.contains(*event.parent)) << "a child of a block that is not held";
        prefix = held_.at(*event.parent);
      }
      for (size_t i = 0; i < event.block_hashes.size(); ++i) {
        const LocalHash local =
            HashBlock(event.token_ids.subspan(i * event.block_size, event.block_size), seed_);
        prefix = prefix ? ChainPrefix(*prefix, local) : RootPrefix(local);
        EXPECT_TRUE(held_.emplace(event.block_hashes[i], *prefix).second) << "stored what was held";
      }
    }
  }
  const std::unordered_map<EngineHash, PrefixHash>& held() const { return held_; }

 private:
  Decoder decoder_;
  const NamespaceSeed seed_ = MakeNamespaceSeed("", "");
  std::unordered_map<EngineHash, PrefixHash> held_;
};

TEST(SyntheticEngine, ItsEventsTellExactlyWhatItHolds) {
  SyntheticEngine engine(
      {.seed = 7, .capacity_blocks = 1'000, .run_blocks = 32, .max_conversation_blocks = 100});
  EventEncoder encoder({.style = WireStyle::kVllmMap});
  Reader reader;
  std::string payload;
  uint32_t peak = 0;
  for (int step = 0; step < 500; ++step) {
    engine.Step(&encoder);
    encoder.Finish(1.0, 0, &payload);
    reader.Apply(payload);
    ASSERT_EQ(reader.held().size(), engine.held_blocks()) << "step " << step;
    peak = std::max(peak, engine.held_blocks());
  }
  EXPECT_GT(peak, 900u);
  EXPECT_LE(peak, 1'000u);

  std::vector<PrefixHash> expected, held;
  std::vector<TokenId> tokens;
  for (const Conversation& conversation : engine.conversations()) {
    TokensOf(conversation.content, 16, 0, conversation.blocks, &tokens);
    HashPrompt(tokens, 16, MakeNamespaceSeed("", ""), &expected);
  }
  for (const auto& [engine_hash, prefix] : reader.held()) held.push_back(prefix);
  std::sort(expected.begin(), expected.end());
  std::sort(held.begin(), held.end());
  EXPECT_EQ(held, expected) << "conversations() is what is held";
}

TEST(SyntheticEngine, StreamsShareHalfOfTheirConversations) {
  EventEncoder encoder({.style = WireStyle::kVllmMap});
  std::map<uint64_t, int> streams_of;
  size_t conversations = 0;
  for (uint32_t stream = 0; stream < 2; ++stream) {
    SyntheticEngine engine({.seed = 7, .stream = stream});
    for (int step = 0; step < 300; ++step) engine.Step(&encoder);
    for (const Conversation& conversation : engine.conversations())
      ++streams_of[conversation.content];
    conversations = engine.conversations().size();
  }
  size_t shared = 0;
  for (const auto& [content, streams] : streams_of) shared += streams == 2;
  EXPECT_GT(shared, conversations * 2 / 5);
  EXPECT_LT(shared, conversations * 3 / 5);
}

}  // namespace
}  // namespace kvroute
