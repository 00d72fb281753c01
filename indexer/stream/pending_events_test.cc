#include "indexer/stream/pending_events.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace kvroute {
namespace {

constexpr Tier kGpu = Tier::kGpu;

std::vector<EngineHash> EngineHashes(std::initializer_list<uint64_t> values) {
  std::vector<EngineHash> hashes;
  for (const uint64_t value : values) hashes.emplace_back(value);
  return hashes;
}

// Contents of blocks of one token.
BlockContents Contents(const std::vector<TokenId>& tokens) {
  BlockContents contents;
  contents.tokens = tokens;
  contents.block_size = 1;
  return contents;
}

class PendingEventsTest : public testing::Test {
 protected:
  bool Add(uint64_t parent, std::initializer_list<uint64_t> hashes, Tier tier = kGpu) {
    const std::vector<TokenId> tokens(hashes.begin(), hashes.end());
    return pending_.Add(EngineHash(parent), EngineHashes(hashes), Contents(tokens), tier);
  }
  std::vector<uint64_t> FirstHashes(const std::vector<PendingEvents::Entry>& entries) {
    std::vector<uint64_t> first;
    for (const auto& entry : entries) first.push_back(entry.hashes[0].value());
    return first;
  }

  MemoryBudget budget_{1 << 20};
  PendingEvents pending_{CopyMode::kCounted, 1 << 20, &budget_};
};

TEST_F(PendingEventsTest, ChildrenComeBackOldestFirst) {
  Add(1, {10});
  Add(2, {20});
  Add(1, {11});
  Add(1, {12});
  EXPECT_TRUE(pending_.Remove(EngineHash(11), kGpu));  // from between its siblings
  EXPECT_EQ(FirstHashes(pending_.Take(EngineHash(1))), (std::vector<uint64_t>{10, 12}));
  EXPECT_EQ(pending_.size(), 1u);
  EXPECT_TRUE(pending_.Take(EngineHash(1)).empty());
}

TEST_F(PendingEventsTest, AnEventThatWaitsAlreadyIsOneMoreCopy) {
  Add(1, {10, 11});
  const size_t bytes = pending_.bytes();
  EXPECT_TRUE(Add(1, {10, 11}));
  EXPECT_EQ(pending_.bytes(), bytes);
  EXPECT_TRUE(pending_.Remove(EngineHash(10), kGpu));
  const auto taken = pending_.Take(EngineHash(1));
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].copies[0][0], 1);
  EXPECT_EQ(taken[0].copies[1][0], 2);
}

// A removed block may be the parent of another that waits, and only so long is it kept.
TEST_F(PendingEventsTest, AnEventWithoutBlocksStaysWhileOthersWaitForThem) {
  Add(1, {10});
  Add(10, {20});
  EXPECT_TRUE(pending_.Remove(EngineHash(10), kGpu));
  EXPECT_EQ(pending_.size(), 2u);
  EXPECT_TRUE(pending_.Remove(EngineHash(20), kGpu));
  EXPECT_EQ(pending_.size(), 0u);
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(PendingEventsTest, AClearOfATierLeavesTheOthers) {
  Add(1, {10});
  Add(10, {20});
  Add(1, {30});
  pending_.AddCopy(EngineHash(30), Tier::kCpu);
  pending_.ClearTier(kGpu);
  EXPECT_EQ(FirstHashes(pending_.Take(EngineHash(1))), (std::vector<uint64_t>{30}));
  EXPECT_TRUE(pending_.empty());
}

TEST_F(PendingEventsTest, WhatNeverGetsAParentMakesRoomForWhatMay) {
  PendingEvents small(CopyMode::kCounted, 8'000, &budget_);
  uint64_t orphans = 0;
  for (uint64_t i = 0; i < 1'000; ++i) {
    const std::vector<TokenId> tokens = {1};
    ASSERT_TRUE(small.Add(EngineHash(10'000 + i), EngineHashes({i}), Contents(tokens), kGpu));
    orphans += small.TakeForgotten().events;
    ASSERT_LE(small.bytes(), 8'000u);
  }
  EXPECT_EQ(orphans + small.size(), 1'000u);
  EXPECT_EQ(small.Take(EngineHash(10'999)).size(), 1u);
}

TEST_F(PendingEventsTest, AParentThatComesTooLateIsRecognized) {
  PendingEvents small(CopyMode::kCounted, 8'000, &budget_);
  for (uint64_t i = 0; i < 40; ++i) {
    const std::vector<TokenId> tokens = {1};
    small.Add(EngineHash(10'000 + i), EngineHashes({i}), Contents(tokens), kGpu);
  }
  EXPECT_TRUE(small.WasForgotten(EngineHash(10'000)));
  EXPECT_FALSE(small.WasForgotten(EngineHash(10'039)));
  EXPECT_FALSE(small.TakeForgotten().overflowed);
  small.Clear();
  EXPECT_FALSE(small.WasForgotten(EngineHash(10'000)));
  EXPECT_FALSE(small.awaits_any());
}

TEST_F(PendingEventsTest, TooManyToRememberIsSaid) {
  PendingEvents small(CopyMode::kCounted, 8'000, &budget_);
  bool overflowed = false;
  for (uint64_t i = 0; i < 200; ++i) {
    const std::vector<TokenId> tokens = {1};
    small.Add(EngineHash(10'000 + i), EngineHashes({i}), Contents(tokens), kGpu);
    overflowed |= small.TakeForgotten().overflowed;
  }
  EXPECT_TRUE(overflowed);
}

// Another stream has taken all there is for all: this one keeps what it has.
TEST_F(PendingEventsTest, WithoutRoomForAllNobodysEventsGoForNothing) {
  MemoryBudget all(3'000);
  PendingEvents one(CopyMode::kCounted, 1 << 20, &all);
  PendingEvents other(CopyMode::kCounted, 1 << 20, &all);
  const std::vector<TokenId> tokens = {1};
  ASSERT_TRUE(one.Add(EngineHash(1), EngineHashes({1}), Contents(tokens), kGpu));
  for (uint64_t i = 0; i < 20; ++i) {
    other.Add(EngineHash(100 + i), EngineHashes({i}), Contents(tokens), kGpu);
    ASSERT_LE(all.used(), 3'000u);
  }
  EXPECT_EQ(one.size(), 1u);
  EXPECT_GT(other.TakeForgotten().events, 0u);
  EXPECT_GT(other.size(), 0u);
}

TEST_F(PendingEventsTest, ABlockWaitsInABoundedNumberOfEvents) {
  for (uint64_t i = 0; i < PendingEvents::kMaxEventsOfBlock; ++i) {
    EXPECT_TRUE(Add(i, {100, 200 + i}));
  }
  const size_t bytes = pending_.bytes();
  EXPECT_FALSE(Add(50, {300, 100}));
  EXPECT_EQ(pending_.bytes(), bytes);
  EXPECT_TRUE(pending_.Take(EngineHash(50)).empty());
  EXPECT_FALSE(pending_.Remove(EngineHash(300), kGpu));
  // Also if one event names it again and again.
  std::vector<EngineHash> alternating;
  for (uint64_t i = 0; i < 40; ++i) alternating.emplace_back(400 + i % 2);
  const std::vector<TokenId> tokens(alternating.size());
  EXPECT_FALSE(pending_.Add(EngineHash(51), alternating, Contents(tokens), kGpu));
  EXPECT_EQ(pending_.bytes(), bytes);
}

// What waits, written down literally: a list of events, oldest first.
class LiteralPending {
 public:
  struct Event {
    EngineHash parent;
    std::vector<EngineHash> hashes;
    std::vector<PendingEvents::TierCopies> copies;
  };

  explicit LiteralPending(CopyMode mode) : mode_(mode) {}
  void Add(EngineHash parent, std::vector<EngineHash> hashes, Tier tier) {
    PendingEvents::TierCopies one{};
    one[static_cast<size_t>(tier)] = 1;
    events_.push_back({parent, hashes, {hashes.size(), one}});
  }
  bool AddCopy(EngineHash hash, Tier tier) {
    for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
      for (size_t i = event->hashes.size(); i-- > 0;) {
        if (event->hashes[i] != hash) continue;
        uint16_t& copies = event->copies[i][static_cast<size_t>(tier)];
        copies = static_cast<uint16_t>(mode_ == CopyMode::kCounted ? copies + 1 : 1);
        return true;
      }
    }
    return false;
  }
  bool Remove(EngineHash hash, Tier tier) {
    bool found = false;
    for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
      for (size_t i = event->hashes.size(); i-- > 0;) {
        uint16_t& copies = event->copies[i][static_cast<size_t>(tier)];
        if (event->hashes[i] != hash || copies == 0) continue;
        --copies;
        if (mode_ == CopyMode::kCounted) {
          DropDead();
          return true;
        }
        found = true;
      }
    }
    DropDead();
    return found;
  }
  std::vector<Event> Take(EngineHash parent) {
    std::vector<Event> taken;
    for (const Event& event : events_) {
      if (event.parent == parent) taken.push_back(event);
    }
    std::erase_if(events_, [&](const Event& event) { return event.parent == parent; });
    DropDead();
    return taken;
  }
  size_t size() const { return events_.size(); }

 private:
  bool Awaited(const Event& event) const {
    return std::any_of(events_.begin(), events_.end(), [&](const Event& other) {
      return std::find(event.hashes.begin(), event.hashes.end(), other.parent) !=
             event.hashes.end();
    });
  }
  void DropDead() {
    while (std::erase_if(events_, [&](const Event& event) {
             return std::all_of(
                        event.copies.begin(), event.copies.end(),
                        [](const auto& copies) { return copies == PendingEvents::TierCopies{}; }) &&
                    !Awaited(event);
           }) > 0) {
    }
  }

  const CopyMode mode_;
  std::vector<Event> events_;
};

void RunBeside(CopyMode mode, uint64_t seed) {
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t limit) { return random() % limit; };
  PendingEvents pending(mode, 1 << 20);
  LiteralPending model(mode);
  for (int step = 0; step < 3'000; ++step) {
    const Tier tier = below(4) == 0 ? Tier::kCpu : kGpu;
    const EngineHash hash(below(60));
    switch (below(8)) {
      case 0:
      case 1: {
        std::vector<EngineHash> hashes;
        for (uint64_t i = 0; i <= below(3); ++i) hashes.emplace_back(below(60));
        const EngineHash parent(below(60));
        if (std::find(hashes.begin(), hashes.end(), parent) != hashes.end()) break;
        // Contents that no other event has, so that none becomes a copy of another.
        const std::vector<TokenId> tokens(hashes.size(), static_cast<TokenId>(step));
        if (pending.Add(parent, hashes, Contents(tokens), tier)) model.Add(parent, hashes, tier);
        break;
      }
      case 2:
        ASSERT_EQ(pending.AddCopy(hash, tier), model.AddCopy(hash, tier)) << step;
        break;
      case 3: {
        const auto taken = pending.Take(hash);
        const auto wanted = model.Take(hash);
        ASSERT_EQ(taken.size(), wanted.size()) << step;
        for (size_t i = 0; i < taken.size(); ++i) {
          EXPECT_EQ(taken[i].hashes, wanted[i].hashes);
          EXPECT_EQ(taken[i].copies, wanted[i].copies);
        }
        break;
      }
      default:
        ASSERT_EQ(pending.Remove(hash, tier), model.Remove(hash, tier)) << step;
        break;
    }
    ASSERT_EQ(pending.size(), model.size()) << step;
  }
  pending.Clear();
  EXPECT_EQ(pending.bytes(), 0u);
}

TEST(PendingEventsModelTest, EqualsTheListOfEventsWrittenDown) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RunBeside(CopyMode::kCounted, seed);
    RunBeside(CopyMode::kSet, seed);
  }
}

}  // namespace
}  // namespace kvroute
