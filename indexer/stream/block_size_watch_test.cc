#include "indexer/stream/block_size_watch.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvroute {
namespace {

using Verdict = BlockSizeWatch::Verdict;

class BlockSizeWatchTest : public testing::Test {
 protected:
  Verdict Judge(uint32_t size, std::vector<uint64_t> hashes, std::optional<uint64_t> parent = {},
                Tier tier = Tier::kGpu, std::optional<uint32_t> group = {}) {
    hashes_.clear();
    for (const uint64_t hash : hashes) hashes_.push_back(EngineHash(hash));
    Event event;
    event.block_hashes = hashes_;
    if (parent) event.parent = EngineHash(*parent);
    event.tier = tier;
    event.group_idx = group;
    return watch_.Judge(event, size);
  }

  std::vector<EngineHash> hashes_;
  BlockSizeWatch watch_{0};
};

// Full attention and mamba with blocks of 64 that are matched by 16: prompts of 81, 97 and 113.
TEST_F(BlockSizeWatchTest, TailsThatContinueOneAnotherWithinABlockAreTails) {
  EXPECT_EQ(Judge(64, {64}), Verdict::kOurs);
  EXPECT_EQ(Judge(16, {80}, 64), Verdict::kTail);
  EXPECT_EQ(Judge(16, {96}, 80), Verdict::kTail);
  EXPECT_EQ(Judge(16, {112}, 96), Verdict::kTail);
  EXPECT_EQ(watch_.size(), 64u);
  EXPECT_EQ(Judge(16, {128}, 112), Verdict::kMismatch);  // four of them are as long as a block
}

TEST_F(BlockSizeWatchTest, TheSameWithTheSizeConfigured) {
  watch_ = BlockSizeWatch(64);
  EXPECT_EQ(Judge(64, {64}), Verdict::kOurs);
  EXPECT_EQ(Judge(16, {80}, 64), Verdict::kTail);
  EXPECT_EQ(Judge(16, {96}, 80), Verdict::kTail);
}

// Blocks of 512, a prompt of 59: a tail of 16 behind a place that is never announced.
TEST_F(BlockSizeWatchTest, ABlockBehindAnUnknownOneTeachesNothing) {
  EXPECT_EQ(Judge(16, {48}, 32), Verdict::kUndecided);
  EXPECT_EQ(Judge(16, {176}, 160), Verdict::kUndecided);
  EXPECT_EQ(watch_.size(), 0u);
  EXPECT_EQ(Judge(512, {1, 2}), Verdict::kOurs);
  EXPECT_FALSE(watch_.retracted());
  EXPECT_EQ(Judge(16, {48}, 32), Verdict::kTail);
  EXPECT_EQ(watch_.size(), 512u);
}

TEST_F(BlockSizeWatchTest, OneBlockAtTheBeginningOfAPromptGivesWayToALongerOne) {
  EXPECT_EQ(Judge(16, {1}), Verdict::kOurs);
  EXPECT_EQ(watch_.size(), 16u);
  EXPECT_EQ(Judge(512, {2}, 7), Verdict::kOurs);
  EXPECT_FALSE(watch_.retracted());  // what was held were tails
  EXPECT_EQ(watch_.size(), 512u);
  EXPECT_EQ(Judge(512, {2, 3}), Verdict::kOurs);
  EXPECT_EQ(Judge(1'024, {4}), Verdict::kMismatch);  // by now the size is sure
}

TEST_F(BlockSizeWatchTest, OtherTiersHaveSizesOfTheirOwn) {
  EXPECT_EQ(Judge(16, {1, 2, 3, 4}), Verdict::kOurs);
  EXPECT_EQ(Judge(64, {4}, {}, Tier::kCpu), Verdict::kPieces);
  EXPECT_EQ(Judge(64, {4, 8}, {}, Tier::kCpu), Verdict::kPieces);
  EXPECT_EQ(Judge(256, {9}, {}, Tier::kDisk), Verdict::kPieces);
  EXPECT_EQ(Judge(16, {1, 2}, {}, Tier::kCpu), Verdict::kOurs);
  EXPECT_EQ(Judge(5, {7}, {}, Tier::kCpu), Verdict::kTail);
  EXPECT_EQ(Judge(8, {7, 8}, {}, Tier::kCpu), Verdict::kMismatch);
  EXPECT_EQ(watch_.size(), 16u);
}

TEST_F(BlockSizeWatchTest, SoHaveOtherGroups) {
  EXPECT_EQ(Judge(16, {1, 2, 3, 4}, {}, Tier::kGpu, 0), Verdict::kOurs);
  EXPECT_EQ(Judge(64, {4}, {}, Tier::kGpu, 2), Verdict::kPieces);
  EXPECT_EQ(Judge(64, {4}, {}, Tier::kGpu, 0), Verdict::kMismatch);
}

TEST_F(BlockSizeWatchTest, ChunksOfAnotherTierFitAConfiguredSize) {
  watch_ = BlockSizeWatch(16);
  EXPECT_EQ(Judge(64, {4}, {}, Tier::kCpu), Verdict::kPieces);
  EXPECT_EQ(Judge(16, {1}, {}, Tier::kGpu, 0), Verdict::kOurs);
}

TEST_F(BlockSizeWatchTest, TheGpuOutranksWhatOtherTiersTaught) {
  EXPECT_EQ(Judge(64, {4, 8}, {}, Tier::kCpu), Verdict::kOurs);
  EXPECT_EQ(watch_.size(), 64u);
  EXPECT_EQ(Judge(16, {1, 2}), Verdict::kOurs);
  EXPECT_TRUE(watch_.retracted());
  EXPECT_EQ(watch_.size(), 16u);
  EXPECT_EQ(Judge(64, {4, 8}, {}, Tier::kCpu), Verdict::kPieces);
  EXPECT_FALSE(watch_.retracted());
}

TEST_F(BlockSizeWatchTest, WithoutTheGpuAnotherTierTeaches) {
  EXPECT_EQ(Judge(256, {1}, {}, Tier::kCpu), Verdict::kOurs);
  EXPECT_EQ(Judge(256, {2}, 1, Tier::kCpu), Verdict::kOurs);
  EXPECT_EQ(Judge(100, {3}, 2, Tier::kCpu), Verdict::kTail);
  EXPECT_EQ(Judge(512, {4}, {}, Tier::kDisk), Verdict::kPieces);
  EXPECT_EQ(watch_.size(), 256u);
}

}  // namespace
}  // namespace kvroute
