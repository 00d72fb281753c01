#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "indexer/index/prefix_index.h"

namespace kvroute {
namespace {

constexpr uint32_t kBlockSize = 4;

// Streams store the first blocks of one prompt, as many each as is said.
class MatcherTest : public testing::Test {
 protected:
  MatcherTest() : tokens_(600 * kBlockSize) {
    std::iota(tokens_.begin(), tokens_.end(), 1);
    locals_.resize(600);
    HashBlocks(tokens_, kBlockSize, 0, seed_, 0, absl::MakeSpan(locals_));
    for (uint64_t i = 0; i < 600; ++i) engines_.emplace_back(i + 1'000'000);
  }
  void Store(size_t blocks) {
    const StreamId stream = index_.Open(CopyMode::kSet).value();
    index_.Store(stream, StoreRequest{std::nullopt, absl::MakeSpan(engines_).first(blocks),
                                      absl::MakeSpan(locals_).first(blocks)});
  }
  uint32_t Ask(PromptChain chain) const {
    MatchResult result;
    index_.Match(&chain, &result);
    uint32_t deepest = 0;
    for (const StreamMatch& match : result.matches) deepest = std::max(deepest, match.blocks);
    return deepest;
  }
  // The deepest match of a prompt of tokens, and how many of its blocks were hashed for it.
  struct Deepest {
    uint32_t blocks;
    size_t hashed;
  };
  Deepest AskTokens() const {
    std::vector<LocalHash> memory;
    const uint32_t blocks = Ask(PromptChain(PromptBlocks(tokens_, kBlockSize, seed_), &memory));
    return Deepest{blocks, memory.size()};
  }

  const NamespaceSeed seed_ = MakeNamespaceSeed("", "");
  PrefixIndex index_;
  std::vector<TokenId> tokens_;
  std::vector<LocalHash> locals_;
  std::vector<EngineHash> engines_;
};

TEST_F(MatcherTest, HashesOneBlockOfAPromptThatNobodyHolds) {
  Store(40);
  tokens_[0] = 77;
  const Deepest deepest = AskTokens();
  EXPECT_EQ(deepest.blocks, 0u);
  EXPECT_EQ(deepest.hashed, 1u);
}

TEST_F(MatcherTest, HashesALittleFurtherThanAPromptIsHeld) {
  Store(300);
  Store(20);
  const Deepest held = AskTokens();
  EXPECT_EQ(held.blocks, 300u);
  EXPECT_EQ(held.hashed, 301u);  // the block behind the run might head another
  tokens_[25 * kBlockSize] = 77;
  const Deepest early = AskTokens();
  EXPECT_EQ(early.blocks, 25u);
  EXPECT_LE(early.hashed, 1u + 32u);
  tokens_[25 * kBlockSize] = 25 * kBlockSize + 1;
  tokens_[200 * kBlockSize] = 77;
  const Deepest late = AskTokens();
  EXPECT_EQ(late.blocks, 200u);
  EXPECT_LE(late.hashed, 200u + 64u);
}

// Of every length, left at every block, in runs of 20, 280 and 300 blocks.
TEST_F(MatcherTest, ALocalPromptIsFollowedToWhereItLeavesARun) {
  Store(20);
  Store(300);
  Store(600);
  std::vector<LocalHash> other = locals_;
  for (uint32_t block = 0; block < 600; ++block) {
    other[block] = LocalHash(77);
    ASSERT_EQ(Ask(PromptChain(absl::MakeConstSpan(other))), block);
    ASSERT_EQ(Ask(PromptChain(absl::MakeConstSpan(other).first(block + 1))), block);
    other[block] = locals_[block];
    ASSERT_EQ(Ask(PromptChain(absl::MakeConstSpan(other).first(block + 1))), block + 1);
  }
}

// Where it differs is found, though what comes behind is alike again: the chain says so.
TEST_F(MatcherTest, ABlockThatIsAlikeBehindADifferenceDoesNotCount) {
  Store(600);
  for (uint32_t block = 0; block < 600; block += 7) {
    std::vector<LocalHash> other = locals_;
    std::swap(other[block], other[(block + 1) % 600]);
    ASSERT_EQ(Ask(PromptChain(absl::MakeConstSpan(other))), std::min(block, (block + 1) % 600));
  }
}

}  // namespace
}  // namespace kvroute
