#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "indexer/index/prefix_index.h"

namespace kvroute {
namespace {

// Two streams store the same first blocks of a prompt of 600.
class MatcherTest : public testing::Test {
 protected:
  MatcherTest() {
    for (uint64_t i = 0; i < 600; ++i) {
      locals_.emplace_back(i + 1);
      engines_.emplace_back(i + 1'000'000);
    }
    for (const size_t blocks : {size_t{40}, size_t{20}}) {
      const StreamId stream = index_.Open(CopyMode::kSet).value();
      index_.Store(stream, StoreRequest{std::nullopt, absl::MakeSpan(engines_).first(blocks),
                                        absl::MakeSpan(locals_).first(blocks)});
    }
  }
  // The deepest match of a prompt, and how many of its blocks were hashed for it.
  struct Deepest {
    uint32_t blocks;
    size_t hashed;
  };
  Deepest Ask(absl::Span<const LocalHash> prompt) {
    std::vector<PrefixHash> memory;
    PromptChain chain(PromptBlocks(prompt), &memory);
    MatchResult result;
    index_.Match(&chain, &result);
    uint32_t deepest = 0;
    for (const StreamMatch& match : result.matches) deepest = std::max(deepest, match.blocks);
    return Deepest{deepest, memory.size()};
  }

  PrefixIndex index_;
  std::vector<LocalHash> locals_;
  std::vector<EngineHash> engines_;
};

TEST_F(MatcherTest, HashesOneBlockOfAPromptThatNobodyHolds) {
  locals_[0] = LocalHash(77);
  const Deepest deepest = Ask(locals_);
  EXPECT_EQ(deepest.blocks, 0u);
  EXPECT_EQ(deepest.hashed, 1u);
}

TEST_F(MatcherTest, HashesALittleFurtherThanAPromptIsHeld) {
  const Deepest held = Ask(locals_);
  EXPECT_EQ(held.blocks, 40u);
  EXPECT_EQ(held.hashed, 41u);  // the block behind the run might head another
  locals_[25] = LocalHash(77);
  const Deepest other = Ask(locals_);
  EXPECT_EQ(other.blocks, 25u);
  EXPECT_LE(other.hashed, 25u + 16u);
}

}  // namespace
}  // namespace kvroute
