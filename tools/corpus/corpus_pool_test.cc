#include "tools/corpus/corpus_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<PrefixHash> Chain(uint64_t first, size_t length) {
  std::vector<PrefixHash> chain;
  for (size_t i = 0; i < length; ++i) chain.emplace_back(first + i);
  return chain;
}

TEST(CorpusPoolTest, EvictsTheLeastRecentRequestTailFirst) {
  CorpusPool pool(6);
  std::vector<PrefixHash> evicted;
  EXPECT_EQ(pool.Run(Chain(100, 3), 0, &evicted), 3u);
  EXPECT_EQ(pool.Run(Chain(200, 3), 0, &evicted), 3u);
  EXPECT_THAT(evicted, IsEmpty());
  pool.Run(Chain(300, 2), 0, &evicted);
  EXPECT_THAT(evicted, ElementsAre(PrefixHash(102), PrefixHash(101)));
  EXPECT_EQ(pool.Hits(Chain(100, 3)), 1u);
  EXPECT_EQ(pool.Hits(Chain(200, 3)), 3u);
}

TEST(CorpusPoolTest, ReusedBlocksAreNeitherEvictedNorOld) {
  CorpusPool pool(4);
  std::vector<PrefixHash> evicted;
  pool.Run(Chain(100, 2), 0, &evicted);
  pool.Run(Chain(200, 2), 0, &evicted);
  EXPECT_EQ(pool.Run(Chain(100, 4), 2, &evicted), 4u);
  EXPECT_THAT(evicted, ElementsAre(PrefixHash(201), PrefixHash(200)));
  EXPECT_EQ(pool.Hits(Chain(100, 4)), 4u);
}

TEST(CorpusPoolTest, EachCopyIsEvictedForItself) {
  CorpusPool pool(4);
  std::vector<PrefixHash> evicted;
  pool.Run(Chain(100, 2), 0, &evicted);
  pool.Run(Chain(100, 2), 1, &evicted);  // computes block 101 again
  EXPECT_THAT(evicted, IsEmpty());
  pool.Run(Chain(200, 2), 0, &evicted);  // one block was free; the older copy of 101 goes
  EXPECT_THAT(evicted, ElementsAre(PrefixHash(101)));
  EXPECT_EQ(pool.Hits(Chain(100, 2)), 2u);
  EXPECT_TRUE(pool.Drop(PrefixHash(101)));
  EXPECT_EQ(pool.Hits(Chain(100, 2)), 1u);
  EXPECT_FALSE(pool.Drop(PrefixHash(101)));
}

TEST(CorpusPoolTest, DroppedBlocksAreTakenFirst) {
  CorpusPool pool(3);
  std::vector<PrefixHash> evicted;
  pool.Run(Chain(100, 3), 0, &evicted);
  EXPECT_TRUE(pool.Drop(PrefixHash(101)));
  EXPECT_EQ(pool.Hits(Chain(100, 3)), 1u);
  pool.Run(Chain(200, 1), 0, &evicted);
  EXPECT_THAT(evicted, IsEmpty());
}

TEST(CorpusPoolTest, WhatIsInUseIsNotEvicted) {
  CorpusPool pool(4);
  std::vector<PrefixHash> evicted;
  CorpusPool::Use first = pool.Begin({});
  for (const PrefixHash content : Chain(100, 2))
    EXPECT_TRUE(pool.Compute(content, &first, &evicted));
  CorpusPool::Use second = pool.Begin(Chain(100, 2));  // shares both
  EXPECT_TRUE(pool.Compute(PrefixHash(200), &second, &evicted));
  EXPECT_FALSE(pool.Drop(PrefixHash(100)));
  pool.End(first);
  EXPECT_TRUE(pool.Compute(PrefixHash(201), &second, &evicted));
  EXPECT_FALSE(pool.Compute(PrefixHash(202), &second, &evicted));
  EXPECT_THAT(evicted, IsEmpty());
  pool.End(second);
  pool.Run(Chain(300, 3), 0, &evicted);
  EXPECT_THAT(evicted, ElementsAre(PrefixHash(201), PrefixHash(200), PrefixHash(101)));
}

TEST(CorpusPoolTest, ClearForgetsAndLongChainsAreCut) {
  CorpusPool pool(3);
  std::vector<PrefixHash> evicted;
  EXPECT_EQ(pool.Run(Chain(100, 5), 0, &evicted), 3u);
  EXPECT_EQ(pool.Hits(Chain(100, 5)), 3u);
  pool.Clear();
  EXPECT_EQ(pool.Hits(Chain(100, 5)), 0u);
  EXPECT_EQ(pool.Run(Chain(200, 3), 0, &evicted), 3u);
  EXPECT_THAT(evicted, IsEmpty());
}

}  // namespace
}  // namespace kvroute
