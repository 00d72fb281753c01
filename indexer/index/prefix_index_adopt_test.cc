// What a stream holds though it has not said so: another stream knows the content of its hashes.
#include <gtest/gtest.h>

#include <vector>

#include "indexer/index/prefix_index.h"

namespace kvroute {
namespace {

constexpr uint64_t kScheme = uint64_t{1} << 40;  // hashes far from small numbers

class AdoptTest : public testing::Test {
 protected:
  // Blocks [first, first + count) of a chain of their own, the engine calling each scheme + block.
  void Store(StreamId stream, uint64_t first, size_t count, uint64_t scheme = kScheme) {
    std::vector<EngineHash> engines;
    std::vector<LocalHash> locals;
    for (uint64_t block = first; block < first + count; ++block) {
      engines.push_back(EngineHash(scheme + block));
      locals.push_back(LocalHash(block * 7919));
    }
    const StoreRequest request{std::nullopt, engines, locals, Tier::kGpu};
    ASSERT_EQ(index_.Store(stream, request).status, StoreStatus::kStored);
  }
  uint32_t Adopt(StreamId stream, uint64_t block, uint64_t scheme = kScheme) {
    adopted_.clear();
    return index_.Adopt(stream, EngineHash(scheme + block), &adopted_);
  }
  uint32_t Matched(StreamId stream, uint64_t first, size_t count) {
    std::vector<LocalHash> locals;
    for (uint64_t block = first; block < first + count; ++block) {
      locals.push_back(LocalHash(block * 7919));
    }
    std::vector<PrefixHash> prompt;
    for (const LocalHash local : locals) {
      prompt.push_back(prompt.empty() ? RootPrefix(local) : ChainPrefix(prompt.back(), local));
    }
    MatchResult result;
    index_.Match(prompt, &result);
    for (const auto& match : result.matches) {
      if (match.stream == stream) return match.blocks;
    }
    return 0;
  }

  PrefixIndex index_;
  StreamId a_ = *index_.Open(CopyMode::kCounted);
  StreamId b_ = *index_.Open(CopyMode::kCounted);
  std::vector<EngineHash> adopted_;
};

TEST_F(AdoptTest, ABlockAndThoseBeforeIt) {
  Store(a_, 100, 4);
  Store(b_, 100, 2);  // the same content by the same hashes
  Store(a_, 200, 10);
  EXPECT_EQ(Adopt(b_, 206), 7u);
  EXPECT_EQ(adopted_.size(), 7u);
  EXPECT_EQ(adopted_.back(), EngineHash(kScheme + 206));
  EXPECT_EQ(Matched(b_, 200, 10), 7u);
  EXPECT_EQ(index_.Holdings(b_), 9u);
  EXPECT_EQ(Adopt(b_, 206), 0u);  // held by now, as one copy
  const EngineHash last(kScheme + 206);
  EXPECT_EQ(index_.Remove(b_, {&last, 1}, Tier::kGpu).removed, 1u);
  EXPECT_EQ(Matched(b_, 200, 10), 6u);
}

TEST_F(AdoptTest, WhatIsHeldAlreadyIsLeftAlone) {
  Store(a_, 200, 4);
  Store(b_, 200, 2);
  EXPECT_EQ(Adopt(b_, 203), 2u);
  const EngineHash first(kScheme + 200);
  EXPECT_EQ(index_.Remove(b_, {&first, 1}, Tier::kGpu).copies_left, 0u);
}

TEST_F(AdoptTest, NotWhereHashAndContentWereNeverSeenToAgree) {
  Store(a_, 200, 10);
  Store(b_, 300, 2);
  EXPECT_EQ(Adopt(b_, 206), 0u);
}

TEST_F(AdoptTest, NotOfAStreamThatHashesOtherwise) {
  Store(a_, 100, 4);
  Store(b_, 100, 4, 2 * kScheme);
  Store(a_, 200, 10);
  EXPECT_EQ(Adopt(b_, 206), 0u);
}

TEST_F(AdoptTest, NotByASmallNumber) {
  Store(a_, 100, 4, 0);
  Store(b_, 100, 4, 0);
  Store(a_, 200, 10, 0);
  EXPECT_EQ(Adopt(b_, 206, 0), 0u);
}

TEST_F(AdoptTest, NotWhatNobodyHolds) {
  Store(a_, 100, 4);
  Store(b_, 100, 4);
  EXPECT_EQ(Adopt(b_, 206), 0u);
  Store(a_, 200, 10);
  index_.Clear(a_);
  index_.WaitForScrub();
  EXPECT_EQ(Adopt(b_, 206), 0u);
}

TEST_F(AdoptTest, NotAfterAClearBeforeItIsSeenAnew) {
  Store(a_, 100, 4);
  Store(b_, 100, 4);
  Store(a_, 200, 10);
  index_.Clear(b_);
  EXPECT_EQ(Adopt(b_, 206), 0u);
}

}  // namespace
}  // namespace kvroute
