#include "tools/fleet/engine_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/fleet/recorded_events.h"

namespace kvroute {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Blocks of two tokens; the chain of digests a, b, c, ...
class EnginePoolTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kBlockTokens = 2;

  static std::vector<Digest> Chain(std::initializer_list<uint8_t> numbers) {
    std::vector<Digest> chain;
    for (const uint8_t number : numbers) chain.push_back(TestDigest(number));
    return chain;
  }
  // What a request does: takes the hits, computes the rest, announces it. Its references stay
  // taken.
  std::vector<BlockIndex> Run(EnginePool* pool, const std::vector<Digest>& chain) {
    std::vector<TokenId> tokens;
    for (size_t i = 0; i < chain.size() * kBlockTokens; ++i)
      tokens.push_back(static_cast<TokenId>(i));
    const uint32_t hits = pool->CountResident(chain);
    std::vector<BlockIndex> blocks;
    EXPECT_TRUE(pool->Acquire(absl::MakeConstSpan(chain).first(hits),
                              static_cast<uint32_t>(chain.size()) - hits, &blocks));
    pool->Register(blocks, chain, tokens, hits, chain.size());
    return blocks;
  }

  RecordedEvents events_;
  EnginePool pool_{4, kBlockTokens, Announce::kEveryCopy, &events_};
};

TEST_F(EnginePoolTest, AnnouncesARangeWithItsParentAndTokens) {
  Run(&pool_, Chain({1}));
  Run(&pool_, Chain({1, 2, 3}));
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1", "stored 1>2,3"));
  EXPECT_THAT(events_.stored_tokens, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(pool_.CountResident(Chain({1, 2, 3, 4})), 3u);
  EXPECT_EQ(pool_.CountResident(Chain({2})), 1u);
  EXPECT_EQ(pool_.CountResident(Chain({4, 1})), 0u);
}

TEST_F(EnginePoolTest, EvictsTheTailOfTheChainThatEndedFirst) {
  pool_.Release(Run(&pool_, Chain({1, 2})));
  pool_.Release(Run(&pool_, Chain({5, 6})));
  events_.Take();
  Run(&pool_, Chain({7, 8, 9}));
  EXPECT_THAT(events_.Take(), ElementsAre("removed 2", "removed 1", "removed 6", "stored >7,8,9"));
  EXPECT_EQ(pool_.CountResident(Chain({5, 6})), 1u);
}

TEST_F(EnginePoolTest, AHitLeavesTheFreeListAndIsTheLastToGoAfterwards) {
  pool_.Release(Run(&pool_, Chain({1})));
  pool_.Release(Run(&pool_, Chain({2})));
  pool_.Release(Run(&pool_, Chain({1})));            // used again: now younger than 2
  const auto fresh = Run(&pool_, Chain({3, 4, 5}));  // two never used blocks, then the oldest
  EXPECT_EQ(pool_.CountResident(Chain({1})), 1u);
  EXPECT_EQ(pool_.CountResident(Chain({2})), 0u);
}

TEST_F(EnginePoolTest, ReferencedBlocksAreNeverHandedOut) {
  const auto first = Run(&pool_, Chain({1, 2}));
  const auto second = Run(&pool_, Chain({1, 2}));  // the same blocks, two references
  EXPECT_EQ(first, second);
  pool_.Release(first);
  EXPECT_EQ(pool_.free_blocks(), 2u);
  std::vector<BlockIndex> blocks;
  EXPECT_FALSE(pool_.Acquire({}, 3, &blocks));
  EXPECT_THAT(blocks, IsEmpty());
  EXPECT_TRUE(pool_.Acquire({}, 2, &blocks));
  EXPECT_EQ(pool_.CountResident(Chain({1, 2})), 2u);
}

TEST_F(EnginePoolTest, CountsIdleHitsAgainstTheFreeBlocks) {
  pool_.Release(
      Run(&pool_, Chain({1, 2})));  // all four are free, but two of them are about to be hit
  std::vector<BlockIndex> blocks;
  EXPECT_FALSE(pool_.Acquire(Chain({1, 2}), 3, &blocks));
  EXPECT_EQ(pool_.free_blocks(), 4u);
  EXPECT_TRUE(pool_.Acquire(Chain({1, 2}), 2, &blocks));
  EXPECT_EQ(pool_.free_blocks(), 0u);
}

TEST_F(EnginePoolTest, CopiesAreAnnouncedAndEvictedEach) {
  pool_.Release(Run(&pool_, Chain({1})));
  std::vector<BlockIndex> copy;
  ASSERT_TRUE(pool_.Acquire({}, 1, &copy));  // computed again without taking the hit
  pool_.Register(copy, Chain({1}), std::vector<TokenId>{0, 1}, 0, 1);
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1", "stored >1"));
  std::vector<BlockIndex> others;
  ASSERT_TRUE(pool_.Acquire({}, 3, &others));  // evicts the first copy
  EXPECT_THAT(events_.Take(), ElementsAre("removed 1"));
  EXPECT_EQ(pool_.CountResident(Chain({1})), 1u) << "the second copy is still there";
  pool_.Release(copy);
  ASSERT_TRUE(pool_.Acquire({}, 1, &others));
  EXPECT_THAT(events_.Take(), ElementsAre("removed 1"));
  EXPECT_EQ(pool_.CountResident(Chain({1})), 0u);
}

TEST_F(EnginePoolTest, ATreeAnnouncesOnlyTheFirstCopyAndTheLastRemoval) {
  EnginePool tree(4, kBlockTokens, Announce::kFirstCopy, &events_);
  tree.Release(Run(&tree, Chain({1})));
  std::vector<BlockIndex> copies;
  ASSERT_TRUE(tree.Acquire({}, 2, &copies));
  tree.Register(copies, Chain({1, 2}), std::vector<TokenId>{0, 1, 2, 3}, 0, 2);
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1", "stored 1>2"));
  std::vector<BlockIndex> others;
  ASSERT_TRUE(tree.Acquire({}, 2, &others));  // an unused block, then the first copy
  EXPECT_THAT(events_.Take(), IsEmpty());
  tree.Release(copies);
  ASSERT_TRUE(tree.Acquire({}, 2, &others));
  EXPECT_THAT(events_.Take(), ElementsAre("removed 2", "removed 1"));
}

TEST_F(EnginePoolTest, ClearForgetsEverything) {
  const auto blocks = Run(&pool_, Chain({1, 2}));
  EXPECT_DEATH(pool_.Clear(), "CHECK failed");
  pool_.Release(blocks);
  events_.Take();
  pool_.Clear();
  EXPECT_THAT(events_.Take(), ElementsAre("cleared"));
  EXPECT_EQ(pool_.CountResident(Chain({1})), 0u);
  Run(&pool_, Chain({1, 2, 3, 4}));
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1,2,3,4"));
}

}  // namespace
}  // namespace kvroute
