// A stream at the memory limit: what it says, that it goes on, and how it becomes complete again.
#include <gtest/gtest.h>

#include "test/support/stream_machine_fixture.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

constexpr uint64_t kIndexBytes = 2 << 20;
constexpr uint64_t kBlocksOfBatch = 200;

// A prompt of its own for each batch, in blocks of one token, behind another block perhaps.
std::string Prompt(uint64_t number, const std::string& parent = wire::kNil) {
  std::vector<std::string> hashes;
  std::vector<std::string> tokens;
  for (uint64_t i = 0; i < kBlocksOfBatch; ++i) {
    hashes.push_back(wire::Uint((number << 20 | i) + 1));
    tokens.push_back(wire::Uint(number * kBlocksOfBatch + i));
  }
  return wire::Batch({wire::StoredMap({{"block_hashes", wire::Array(hashes)},
                                       {"parent_block_hash", parent},
                                       {"token_ids", wire::Array(tokens)},
                                       {"block_size", wire::Uint(1)}})});
}

class MemoryLimitTest : public testing::Test, protected StreamScript {
 protected:
  MemoryLimitTest() : StreamScript(kIndexBytes) {
    options_.probe_after_idle = std::chrono::hours(1);  // only what is asked for for want of memory
  }

  void Start() {
    Machine().OnConnected();
    Reply(0);
    ASSERT_EQ(status_.trust.load(), Trust::kExact);
  }
  void LivePrompt() {
    Machine().OnLiveBatch(next_, Prompt(next_));
    ++next_;
    most_used_ = std::max(most_used_, index_.UsedBytes());
  }
  // Another stream takes a part of the index, or as much as it gets.
  StreamId Fill(uint64_t bytes) {
    const StreamId other = *index_.Open(CopyMode::kSet);
    uint64_t left_out = 0;
    for (uint64_t number = 1; index_.UsedBytes() < bytes && left_out == 0; ++number) {
      std::vector<EngineHash> engines;
      std::vector<LocalHash> locals;
      for (uint64_t i = 0; i < 100; ++i) {
        engines.emplace_back(number << 40 | i);
        locals.emplace_back((number << 40 | i) * 0x9e3779b97f4a7c15u);
      }
      left_out = index_.Store(other, {std::nullopt, engines, locals, Tier::kGpu}).cut_back;
    }
    return other;
  }
  uint32_t HeldOfPrompt(uint64_t number) {
    std::vector<TokenId> tokens;
    for (uint64_t i = 0; i < kBlocksOfBatch; ++i) {
      tokens.push_back(static_cast<TokenId>(number * kBlocksOfBatch + i));
    }
    std::vector<PrefixHash> prompt;
    HashPrompt(tokens, 1, MakeNamespaceSeed("", ""), &prompt);
    MatchResult result;
    index_.Match(prompt, &result);
    for (const StreamMatch& match : result.matches) {
      if (match.stream == status_.id) return match.blocks;
    }
    return 0;
  }

  uint64_t next_ = 0;
  uint64_t most_used_ = 0;
};

TEST_F(MemoryLimitTest, AStreamThatGrowsIsDegradedAndKeepsItsNewest) {
  Start();
  for (int i = 0; i < 1'000; ++i) LivePrompt();
  EXPECT_EQ(status_.trust.load(), Trust::kDegraded);
  EXPECT_EQ(status_.reason.load(), TrustReason::kMemoryLimit);
  EXPECT_EQ(status_.next_seq.load(), 1'000u);
  EXPECT_LE(most_used_, kIndexBytes);
  EXPECT_EQ(HeldOfPrompt(999), kBlocksOfBatch);
  EXPECT_EQ(HeldOfPrompt(0), 0u);
  const auto blocks = [&](BlockOutcome outcome) {
    return counters_.Blocks(EngineKind::kAuto, outcome);
  };
  EXPECT_GT(blocks(BlockOutcome::kCutBack), 0u);
  EXPECT_EQ(index_.Stats().holdings, 1'000 * kBlocksOfBatch - blocks(BlockOutcome::kCutBack) -
                                         blocks(BlockOutcome::kNoRoom));
}

TEST_F(MemoryLimitTest, WithRoomAgainEverythingIsAskedForAgain) {
  Start();
  const StreamId other = Fill(kIndexBytes / 10 * 9);
  while (status_.trust.load() == Trust::kExact) LivePrompt();
  ASSERT_EQ(status_.reason.load(), TrustReason::kMemoryLimit);
  Wait(options_.fresh_start_after);
  EXPECT_FALSE(Machine().HasReplayRequest()) << "there is no room yet";
  index_.Close(other);
  index_.WaitForScrub();
  Wait(options_.fresh_start_after);
  ASSERT_EQ(Machine().TakeReplayRequest(), 0u);
  for (uint64_t seq = 0; seq < next_; ++seq) Machine().OnReplayedBatch(seq, Prompt(seq));
  Machine().OnReplayEnd();
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  for (uint64_t seq = 0; seq < next_; ++seq) EXPECT_EQ(HeldOfPrompt(seq), kBlocksOfBatch);
}

TEST_F(MemoryLimitTest, AClearOfTheEngineMakesItExact) {
  Start();
  while (status_.trust.load() == Trust::kExact) LivePrompt();
  Machine().OnLiveBatch(next_++, wire::Batch({wire::Array({wire::Str("AllBlocksCleared")})}));
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  index_.WaitForScrub();  // which gives back what the clear has emptied
  LivePrompt();
  EXPECT_EQ(HeldOfPrompt(next_ - 1), kBlocksOfBatch);
}

// Children of blocks that were left out do not wait for a parent that will not come.
TEST_F(MemoryLimitTest, ChildrenOfWhatWasLeftOutDoNotWait) {
  Start();
  while (status_.trust.load() == Trust::kExact) LivePrompt();
  ASSERT_EQ(status_.reason.load(), TrustReason::kMemoryLimit);
  ASSERT_EQ(HeldOfPrompt(0), 0u);
  const std::string child = wire::StoredMap({{"block_hashes", wire::Hashes({5})},
                                             {"parent_block_hash", wire::Uint(1)},
                                             {"token_ids", wire::Tokens(1, 1)},
                                             {"block_size", wire::Uint(1)}});
  Machine().OnLiveBatch(next_++, wire::Batch({child}));
  EXPECT_EQ(status_.pending_events.load(), 0u);
}

// Nothing is given up for blocks that cannot be stored yet.
TEST_F(MemoryLimitTest, WhatWaitsForItsParentCostsTheStreamNothing) {
  Start();
  while (index_.HasRoom(status_.id, kBlocksOfBatch)) LivePrompt();
  Machine().OnLiveBatch(next_, Prompt(next_, /*parent=*/wire::Uint(uint64_t{1} << 50)));
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
  EXPECT_EQ(status_.pending_events.load(), 1u);
  EXPECT_EQ(HeldOfPrompt(0), kBlocksOfBatch);
}

// What was heard of since a loss and then given up vouches for nothing that is still in doubt.
TEST_F(MemoryLimitTest, WhatIsInDoubtStaysSoWhileWhatIsCertainIsGivenUp) {
  Start();
  LivePrompt();
  const std::string reset = wire::Map({{"type", wire::Str("CacheReset")}});
  Machine().OnLiveBatch(next_++, wire::Batch({reset}));
  ASSERT_EQ(status_.unconfirmed_holdings.load(), kBlocksOfBatch);
  // All go on from the first prompt, which therefore stays.
  for (int i = 0; i < 1'000; ++i, ++next_) {
    Machine().OnLiveBatch(next_, Prompt(next_, wire::Uint(kBlocksOfBatch)));
    ASSERT_GE(status_.unconfirmed_holdings.load(), kBlocksOfBatch) << i;
  }
  EXPECT_EQ(HeldOfPrompt(0), kBlocksOfBatch);
  EXPECT_GT(counters_.Blocks(EngineKind::kAuto, BlockOutcome::kCutBack), 50'000u);
  EXPECT_LE(index_.UsedBytes(), kIndexBytes);
}

// Held batches are bounded together.
TEST_F(MemoryLimitTest, StreamsTogetherHoldNoMoreThanTheirBudget) {
  MemoryBudget held(20'000);
  options_.held_memory = &held;
  Start();
  for (uint64_t seq = 1; seq < 50; ++seq) Machine().OnLiveBatch(seq, Prompt(seq));  // 0 is missing
  EXPECT_GT(status_.held_batches.load(), 0u);
  EXPECT_LT(status_.held_batches.load(), 20u);
  EXPECT_LE(held.used(), 20'000u);
  EXPECT_GT(held.refused(), 0u);
  machine_.reset();
  EXPECT_EQ(held.used(), 0u);
}

}  // namespace
}  // namespace kvroute
