// An index with a memory limit: who is cut back, what goes first, and that no answer is too high.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include "indexer/index/prefix_index.h"
#include "test/support/reference_index.h"

namespace kvroute {
namespace {

struct StoredPrompt {
  std::vector<LocalHash> locals;
  std::vector<EngineHash> engines;
  std::vector<PrefixHash> prefixes;
};

// Blocks that no other number has, behind the blocks of `before`.
StoredPrompt MakePrompt(uint64_t number, size_t blocks, uint64_t scheme = 0,
                        const StoredPrompt& before = {}) {
  StoredPrompt prompt = before;
  for (size_t i = 0; i < blocks; ++i) {
    prompt.locals.emplace_back((number << 16 | i) * 0x9e3779b97f4a7c15u + 1);
    prompt.engines.emplace_back(((number << 16 | i) + (scheme << 56)) * 0xc2b2ae3d27d4eb4fu + 1);
  }
  prompt.prefixes.clear();
  ChainLocals(prompt.locals, &prompt.prefixes);
  return prompt;
}

class PrefixIndexLimitTest : public testing::Test {
 protected:
  static constexpr uint64_t kLimit = uint64_t{4} << 20;
  static constexpr size_t kBlocks = 48;

  // The blocks of the prompt from `from` on.
  StoreResult Store(StreamId stream, const StoredPrompt& prompt, size_t from = 0) {
    StoreRequest request;
    if (from > 0) request.parent = prompt.engines[from - 1];
    request.engine_hashes = absl::MakeConstSpan(prompt.engines).subspan(from);
    request.local_hashes = absl::MakeConstSpan(prompt.locals).subspan(from);
    const StoreResult result = index_.Store(stream, request);
    most_used_ = std::max(most_used_, index_.UsedBytes());
    cut_back_ += result.cut_back;
    no_room_ += result.no_room;
    return result;
  }
  uint32_t Held(StreamId stream, const StoredPrompt& prompt) {
    MatchResult result;
    index_.Match(prompt.prefixes, &result);
    for (const StreamMatch& match : result.matches) {
      if (match.stream == stream) return match.blocks;
    }
    return 0;
  }

  MemoryBudget budget_{kLimit};
  PrefixIndex index_{PrefixIndexOptions{.max_streams = 64, .secret_seed = 7, .memory = &budget_}};
  const StreamId steady_ = *index_.Open(CopyMode::kCounted);
  const StreamId hog_ = *index_.Open(CopyMode::kCounted);
  uint64_t most_used_ = 0;
  uint64_t cut_back_ = 0;
  uint64_t no_room_ = 0;
};

TEST_F(PrefixIndexLimitTest, TheStreamThatGrowsGivesUpItsOldestAndNobodyElseAnything) {
  std::vector<StoredPrompt> kept;
  for (uint64_t i = 0; i < 200; ++i) {
    kept.push_back(MakePrompt(1'000'000 + i, kBlocks));
    Store(steady_, kept.back());
  }
  ASSERT_EQ(cut_back_, 0u);
  std::deque<StoredPrompt> newest;
  for (uint64_t i = 0; i < 10'000; ++i) {  // some three times what fits
    newest.push_back(MakePrompt(i, kBlocks));
    Store(hog_, newest.back());
    if (newest.size() > 1'000) newest.pop_front();
  }
  EXPECT_GT(cut_back_, 3'000u * kBlocks);
  EXPECT_LE(most_used_, kLimit);
  EXPECT_GT(most_used_, kLimit / 4 * 3);
  for (const StoredPrompt& prompt : kept) ASSERT_EQ(Held(steady_, prompt), kBlocks);
  for (const StoredPrompt& prompt : newest) ASSERT_EQ(Held(hog_, prompt), kBlocks);
  EXPECT_EQ(Held(hog_, MakePrompt(0, kBlocks)), 0u);
}

// The system prompt was stored before all others, and everything goes on from it.
TEST_F(PrefixIndexLimitTest, WhatOthersAreStoredBehindStays) {
  const StoredPrompt system = MakePrompt(1'000'000, 100);
  Store(hog_, system);
  StoredPrompt last;
  for (uint64_t i = 0; i < 10'000; ++i) {
    last = MakePrompt(i, kBlocks, 0, system);
    const StoreResult result = Store(hog_, last, system.engines.size());
    ASSERT_EQ(result.status, StoreStatus::kStored)
        << i << " of " << index_.UsedBytes() << " cut " << result.cut_back;
  }
  EXPECT_GT(cut_back_, 0u);
  EXPECT_EQ(Held(hog_, last), system.engines.size() + kBlocks);
}

TEST_F(PrefixIndexLimitTest, WhoHasNothingToGiveUpIsToldAndFindsRoomLater) {
  for (uint64_t i = 0; no_room_ + cut_back_ == 0; ++i) Store(hog_, MakePrompt(i, kBlocks));
  const StreamId late = *index_.Open(CopyMode::kCounted);
  const StoredPrompt prompt = MakePrompt(1'000'000, kBlocks);
  const uint64_t holdings = index_.Stats().holdings;
  // The hog has just made room for one write of its own, not for one of many blocks.
  const StoredPrompt large = MakePrompt(2'000'000, 20'000);
  const StoreResult result = Store(late, large);
  EXPECT_EQ(result.status, StoreStatus::kNoRoom);
  EXPECT_EQ(result.no_room + result.added, 20'000u + result.cut_back * 0);
  EXPECT_GE(index_.Stats().holdings, holdings);
  EXPECT_FALSE(index_.HasRoomAgain());
  EXPECT_EQ(Held(late, large), result.added - result.cut_back);
  index_.Clear(hog_);
  index_.WaitForScrub();
  EXPECT_TRUE(index_.HasRoomAgain());
  EXPECT_EQ(Store(late, prompt).status, StoreStatus::kStored);
  EXPECT_EQ(Held(late, prompt), kBlocks);
}

TEST_F(PrefixIndexLimitTest, AnUnknownParentCostsNobodyAnything) {
  for (uint64_t i = 0; cut_back_ == 0; ++i) Store(hog_, MakePrompt(i, kBlocks));
  cut_back_ = 0;
  const StoredPrompt prompt = MakePrompt(1'000'000, 900);
  EXPECT_EQ(Store(hog_, prompt, 1).status, StoreStatus::kUnknownParent);
  EXPECT_EQ(cut_back_, 0u);
}

TEST_F(PrefixIndexLimitTest, CopiesInOtherTiersAreBoundedToo) {
  std::deque<StoredPrompt> prompts;
  for (uint64_t i = 0; i < 4'000; ++i) {
    prompts.push_back(MakePrompt(i, kBlocks));
    Store(hog_, prompts.back());
    const AddCopiesResult copies = index_.AddCopies(hog_, prompts.back().engines, Tier::kCpu);
    cut_back_ += copies.cut_back;
  }
  EXPECT_GT(cut_back_, 0u);
  EXPECT_LE(most_used_, kLimit);
}

// Two streams with hash schemes of their own share all blocks: giving up a shared block frees the
// foreign hash alone.
TEST_F(PrefixIndexLimitTest, ForeignHashesAreGivenUpToo) {
  for (uint64_t i = 0; cut_back_ + no_room_ == 0; ++i) {
    Store(steady_, MakePrompt(i, kBlocks, 1));
    Store(hog_, MakePrompt(i, kBlocks, 2));
  }
  cut_back_ = 0;
  for (uint64_t i = 0; i < 2'000; ++i) Store(hog_, MakePrompt(1'000'000 + i, kBlocks, 2));
  EXPECT_GT(cut_back_, 0u);
  EXPECT_LE(most_used_, kLimit);
}

// Who has little goes on with what it has, whatever somebody else has filled the index with.
TEST_F(PrefixIndexLimitTest, AStreamWithLittleKeepsItWhileAnotherKeepsTheIndexFull) {
  std::deque<StoredPrompt> own;
  uint64_t number = 1'000'000;
  const auto renew = [&] {
    if (own.size() == 100) {
      cut_back_ += index_.Remove(steady_, own.front().engines, Tier::kGpu).cut_back;
      own.pop_front();
    }
    own.push_back(MakePrompt(number++, kBlocks));
    Store(steady_, own.back());
  };
  while (own.size() < 100) renew();
  for (uint64_t i = 0; cut_back_ == 0; ++i) Store(hog_, MakePrompt(i, kBlocks));
  for (uint64_t i = 0; i < 2'000; ++i) {
    for (uint64_t more = 0; more < 5; ++more)
      Store(hog_, MakePrompt(100'000 + i * 5 + more, kBlocks));
    cut_back_ = no_room_ = 0;
    renew();
    ASSERT_EQ(cut_back_ + no_room_, 0u) << "prompt " << i;
  }
  for (const StoredPrompt& prompt : own) ASSERT_EQ(Held(steady_, prompt), kBlocks);
  EXPECT_LE(most_used_, kLimit);
}

// As much as the others have on average, in the end: who has more makes room as it goes on.
TEST_F(PrefixIndexLimitTest, AStreamThatComesLateGetsItsShareFromOneThatGoesOn) {
  for (uint64_t i = 0; cut_back_ == 0; ++i) Store(hog_, MakePrompt(i, kBlocks));
  std::vector<StoredPrompt> late;
  cut_back_ = no_room_ = 0;
  uint64_t hogs = 0;
  for (uint64_t i = 0; i < 600; ++i) {
    hogs += Store(hog_, MakePrompt(100'000 + i, kBlocks)).cut_back;
    late.push_back(MakePrompt(1'000'000 + i, kBlocks));
    Store(steady_, late.back());
  }
  EXPECT_EQ(cut_back_ + no_room_, hogs);
  for (const StoredPrompt& prompt : late) ASSERT_EQ(Held(steady_, prompt), kBlocks);
}

// Removals leave holes, and what is known of holes takes memory as well.
TEST_F(PrefixIndexLimitTest, HolesAreBoundedToo) {
  for (uint64_t i = 0; i < 5'000; ++i) {
    const StoredPrompt prompt = MakePrompt(i, 64);
    Store(hog_, prompt);
    for (size_t block = 0; block < 64; block += 2) {
      cut_back_ += index_.Remove(hog_, {&prompt.engines[block], 1}, Tier::kGpu).cut_back;
    }
    most_used_ = std::max(most_used_, index_.UsedBytes());
  }
  EXPECT_GT(cut_back_ + no_room_, 0u);
  EXPECT_LE(most_used_, kLimit);
}

TEST_F(PrefixIndexLimitTest, WhatIsKnownOfHolesCounts) {
  const StoredPrompt prompt = MakePrompt(1, 1'000);
  for (uint64_t i = 0; i < 20; ++i) Store(hog_, MakePrompt(i, 1'000));
  const uint64_t before = index_.UsedBytes();
  for (uint64_t i = 0; i < 20; ++i) {
    const StoredPrompt holed = MakePrompt(i, 1'000);
    for (size_t block = 0; block < 1'000; block += 2) {
      index_.Remove(hog_, {&holed.engines[block], 1}, Tier::kGpu);
    }
  }
  EXPECT_GT(index_.UsedBytes(), before + 10'000 * 4);  // an interval each
}

// Whatever is done, no stream is ever credited with what the reference model does not have, and a
// stream that was not told of a cut is credited with all of it.
TEST_F(PrefixIndexLimitTest, NoAnswerIsTooHighAndOnlyThoseThatWereToldAreTooLow) {
  std::mt19937_64 random(20261130);
  ReferenceIndex model;
  std::vector<StreamId> streams = {steady_, hog_};
  std::vector<std::vector<StoredPrompt>> prompts(streams.size());
  std::vector<bool> told(streams.size());
  for (const StreamId stream : streams) model.Open(stream, CopyMode::kCounted);
  for (int step = 0; step < 9'000; ++step) {
    const size_t who = random() % 8 == 0 ? 0 : 1;
    std::vector<StoredPrompt>& own = prompts[who];
    StoreRequest request;
    uint64_t lost = 0;
    if (own.size() < 300 || random() % 4 != 0) {
      const bool shared = random() % 4 == 0;
      const uint64_t number = shared ? random() % 500 : (who + 1) * 1'000'000 + random() % 100'000;
      const size_t from = own.empty() || random() % 2 == 0 ? 0 : 1 + random() % kBlocks;
      const StoredPrompt prompt = from == 0 ? MakePrompt(number, kBlocks, random() % 2 * (who + 1))
                                            : own[random() % own.size()];
      if (from > 0) request.parent = prompt.engines[from - 1];
      request.engine_hashes = absl::MakeConstSpan(prompt.engines).subspan(from);
      request.local_hashes = absl::MakeConstSpan(prompt.locals).subspan(from);
      request.tier = random() % 8 == 0 ? Tier::kCpu : Tier::kGpu;
      const StoreResult result = index_.Store(streams[who], request);
      model.Store(streams[who], request);
      lost = result.cut_back + result.no_room;
      own.push_back(prompt);
      if (own.size() > 4'000) own.erase(own.begin(), own.begin() + 2'000);
    } else {
      const StoredPrompt& prompt = own[random() % own.size()];
      const Tier tier = random() % 8 == 0 ? Tier::kCpu : Tier::kGpu;
      lost = index_.Remove(streams[who], prompt.engines, tier).cut_back;
      model.Remove(streams[who], prompt.engines, tier);
    }
    if (lost > 0) told[who] = true;
    if (step % 8 != 0 || own.empty()) continue;
    const StoredPrompt& asked = prompts[random() % 2].empty() ? own[0] : own[random() % own.size()];
    MatchResult got;
    MatchResult truth;
    index_.Match(asked.prefixes, &got);
    model.Match(asked.prefixes, &truth);
    for (size_t i = 0; i < streams.size(); ++i) {
      const auto blocks = [&](const MatchResult& result) {
        for (const StreamMatch& match : result.matches) {
          if (match.stream == streams[i]) return match.blocks;
        }
        return 0u;
      };
      ASSERT_LE(blocks(got), blocks(truth)) << "stream " << i << " step " << step;
      if (!told[i]) {
        ASSERT_EQ(blocks(got), blocks(truth)) << "stream " << i << " step " << step;
      }
    }
  }
  EXPECT_TRUE(told[1]);
}

TEST_F(PrefixIndexLimitTest, WhatIsClearedOrClosedIsGivenBack) {
  const uint64_t empty = index_.UsedBytes();
  for (uint64_t i = 0; i < 1'000; ++i) {
    const StoredPrompt prompt = MakePrompt(i, kBlocks);
    Store(hog_, prompt);
    index_.AddCopies(hog_, prompt.engines, Tier::kDisk);
  }
  EXPECT_GT(index_.UsedBytes(), empty + (1 << 20));
  index_.Close(hog_);
  index_.WaitForScrub();
  // Tables stay as large as they were.
  EXPECT_LT(index_.UsedBytes(), empty + (3 << 20));
  index_.ReturnFreeMemory();
  EXPECT_EQ(budget_.used(), 0u);
}

// Copies are counted in one step, however many there are.
TEST_F(PrefixIndexLimitTest, ManyCopiesAreAddedAtOnce) {
  const StoredPrompt prompt = MakePrompt(1, 1);
  Store(steady_, prompt);
  EXPECT_EQ(index_.AddCopies(steady_, prompt.engines, Tier::kGpu, 3).duplicate, 1u);
  EXPECT_EQ(index_.AddCopies(steady_, prompt.engines, Tier::kCpu, 2).added, 1u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(index_.Remove(steady_, prompt.engines, Tier::kGpu).copies_left, 1u);
  }
  EXPECT_EQ(index_.Remove(steady_, prompt.engines, Tier::kGpu).removed, 1u);
  EXPECT_EQ(index_.Remove(steady_, prompt.engines, Tier::kCpu).copies_left, 1u);
  EXPECT_TRUE(index_.Holds(steady_, prompt.engines[0]));
}

TEST_F(PrefixIndexLimitTest, ABlockHasABoundedNumberOfEngineHashes) {
  StoredPrompt prompt = MakePrompt(1, 1);
  Store(steady_, prompt);
  uint64_t dropped = 0;
  for (uint64_t i = 0; i < 2 * kMaxAliases; ++i) {
    prompt.engines[0] = EngineHash(1'000 + i);
    dropped += Store(steady_, prompt).rebound;
  }
  EXPECT_EQ(dropped, kMaxAliases);
  EXPECT_EQ(Held(steady_, prompt), 1u);
  EXPECT_EQ(index_.Stats().holdings, kMaxAliases + 1u);
}

}  // namespace
}  // namespace kvroute
