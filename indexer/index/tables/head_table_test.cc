#include "indexer/index/tables/head_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "indexer/index/memory/epoch.h"

namespace kvroute {
namespace {

class HeadTableTest : public testing::Test {
 protected:
  static constexpr uint32_t kFragments = 1u << Cell::kFragmentBits;

  HeadTableTest() { table_.Init(&arena_, &reclaimer_); }
  uint32_t NewFragment() { return static_cast<uint32_t>(random_()) % kFragments; }
  bool Holds(uint32_t fragment, Granule run) const {
    EpochPin pin;
    return table_.Find(fragment, [run](Granule other) { return other == run; }) == run;
  }

  Arena arena_;
  Reclaimer reclaimer_{&arena_};
  HeadTable table_;
  std::mt19937_64 random_{20'261'122};
};

// What is there is found and announced, through growth, full buckets and erasures.
TEST_F(HeadTableTest, MayHaveNeverDeniesWhatIsThere) {
  std::map<Granule, uint32_t> heads;
  for (Granule run = 1; run <= 20'000; ++run) {
    const uint32_t fragment = run % 50 == 0 ? 7 : NewFragment();  // 7: more than a bucket holds
    table_.Insert(fragment, run);
    heads.emplace(run, fragment);
    if (run % 3 == 0) {
      const auto gone = heads.lower_bound(static_cast<Granule>(random_()) % run);
      if (gone == heads.end()) continue;
      table_.Erase(gone->second, gone->first);
      EXPECT_FALSE(Holds(gone->second, gone->first));
      heads.erase(gone);
    }
  }
  for (const auto& [run, fragment] : heads) {
    ASSERT_TRUE(table_.MayHave(fragment));
    ASSERT_TRUE(Holds(fragment, run));
  }
}

// While a table grows, what is replaced is so in what it becomes, and none is left of what went.
TEST_F(HeadTableTest, WhatChangesWhileItGrowsIsSoAfterwards) {
  std::map<Granule, uint32_t> heads;
  for (Granule run = 1; run <= 20'000; ++run) {
    const uint32_t fragment = NewFragment();
    table_.Insert(fragment, run);
    heads.emplace(run, fragment);
    const auto changed = heads.lower_bound(static_cast<Granule>(random_()) % run);
    if (changed == heads.end()) continue;
    const Granule moved = changed->first + 100'000;
    if (run % 2 == 0 && !heads.contains(moved)) {
      table_.Replace(changed->second, changed->first, moved);
      heads.emplace(moved, changed->second);
    } else {
      table_.Erase(changed->second, changed->first);
    }
    heads.erase(changed);
  }
  for (const auto& [run, fragment] : heads) ASSERT_TRUE(Holds(fragment, run));
  for (const auto& [run, fragment] : heads) table_.Erase(fragment, run);
  for (uint32_t bucket = 0; bucket < table_.Buckets(); ++bucket) {
    table_.ForEachIn(bucket, [](Granule run) { ADD_FAILURE() << run; });
  }
}

TEST_F(HeadTableTest, MayHaveIsSeldomWrong) {
  for (Granule run = 1; run <= 20'000; ++run) table_.Insert(NewFragment(), run);
  uint32_t alarms = 0;
  for (int i = 0; i < 10'000; ++i) alarms += table_.MayHave(NewFragment()) ? 1 : 0;
  EXPECT_LT(alarms, 10'000u / 10);
  EXPECT_GT(alarms, 0u);
}

TEST_F(HeadTableTest, MayHaveForgetsWhatWent) {
  table_.Insert(1, 11);
  table_.Insert(1 + 64, 12);  // the same hint
  table_.Insert(2, 13);
  table_.Erase(1, 11);
  EXPECT_TRUE(table_.MayHave(1));
  table_.Erase(1 + 64, 12);
  EXPECT_FALSE(table_.MayHave(1));
  EXPECT_TRUE(table_.MayHave(2));
}

}  // namespace
}  // namespace kvroute
