#include "indexer/index/tables/name_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace kvroute {
namespace {

struct Name {
  uint32_t fragment;
  Place place;
};

class NameTableTest : public testing::Test {
 protected:
  NameTableTest() { table_.Init(&arena_, &reclaimer_, 77); }

  // A place that no other name of the test has.
  Name NewName(uint32_t fragments) {
    ++names_;
    return Name{static_cast<uint32_t>(random_()) % fragments,
                Place{names_ / 512 + 1, static_cast<uint16_t>(names_ % 512)}};
  }
  // How often a place was already stored under the fragment.
  uint32_t Insert(const Name& name) {
    uint32_t seen = 0;
    if (table_.Insert(table_.Fetch(name.fragment), name.place) == NameTable::Inserted::kAlone) {
      return 0;
    }
    table_.Find(name.fragment, [&](Place place) {
      seen += place == name.place ? 0 : 1;
      return false;
    });
    return seen;
  }
  bool Holds(const Name& name) const {
    EpochPin pin;
    return table_.Find(name.fragment, [&](Place place) { return place == name.place; }) ==
           name.place;
  }
  // Erases one of them at random.
  void EraseOne(std::vector<Name>* names) {
    std::swap((*names)[random_() % names->size()], names->back());
    table_.Erase(table_.Fetch(names->back().fragment), names->back().place);
    names->pop_back();
  }

  Arena arena_;
  Reclaimer reclaimer_{&arena_};
  NameTable table_;
  std::mt19937_64 random_{20'261'122};
  uint32_t names_ = 0;
};

// Which is put in later, with others in between, as who does not want to wait does.
TEST_F(NameTableTest, WhatFindsItsBucketsFullGoesInLater) {
  std::vector<Name> names;
  std::vector<Name> later;
  for (int i = 0; i < 40'000; ++i) {
    const Name name = NewName(1 << PlaceSlot::kFragmentBits);
    names.push_back(name);
    if (table_.TryInsert(table_.Fetch(name.fragment), name.place) == NameTable::Inserted::kNo) {
      EXPECT_FALSE(Holds(name));
      later.push_back(name);
    }
    if (later.size() == 10) {
      for (const Name& one : later) Insert(one);
      later.clear();
    }
  }
  for (const Name& one : later) Insert(one);
  for (const Name& name : names) ASSERT_TRUE(Holds(name)) << name.fragment;
  while (!names.empty()) EraseOne(&names);
}

// All tables are filled to their limit on the way, so names move, and some overflow.
TEST_F(NameTableTest, FindsWhatIsThereThroughGrowthAndChurn) {
  std::vector<Name> names;
  for (int i = 0; i < 40'000; ++i) {
    names.push_back(NewName(1 << PlaceSlot::kFragmentBits));
    Insert(names.back());
  }
  for (int i = 0; i < 100'000; ++i) {
    EraseOne(&names);
    names.push_back(NewName(1 << PlaceSlot::kFragmentBits));
    Insert(names.back());
  }
  for (const Name& name : names) ASSERT_TRUE(Holds(name));
  std::vector<Name> gone = names;
  while (!names.empty()) EraseOne(&names);
  for (const Name& name : gone) ASSERT_FALSE(Holds(name));
}

// Sixteen slots for thousands of names: nearly all are in the overflow.
TEST_F(NameTableTest, ManyNamesOfOneFragmentAreSeenOnceEachAndCanAllGo) {
  std::vector<Name> names;
  for (uint32_t i = 0; i < 3'000; ++i) {
    names.push_back(NewName(1));
    ASSERT_EQ(Insert(names.back()), i);
  }
  for (int i = 0; i < 1'500; ++i) EraseOne(&names);
  for (const Name& name : names) ASSERT_TRUE(Holds(name));
  while (!names.empty()) EraseOne(&names);
  EXPECT_EQ(Insert(NewName(1)), 0u);
}

TEST_F(NameTableTest, ReplaceKeepsTheNameAndChangesThePlace) {
  const Name old_name = NewName(100);
  Insert(old_name);
  const Name new_name{old_name.fragment, NewName(100).place};
  table_.Replace(table_.Fetch(old_name.fragment), old_name.place, new_name.place);
  EXPECT_FALSE(Holds(old_name));
  EXPECT_TRUE(Holds(new_name));
}

// Where names come and go a table that reaches its limit fills further before it makes the arena
// grow; while names only come, or if there is room, it grows at once.
TEST_F(NameTableTest, WaitsForRoomWhileNamesComeAndGo) {
  std::vector<Name> names;
  const auto add = [&] {
    names.push_back(NewName(1 << PlaceSlot::kFragmentBits));
    Insert(names.back());
  };
  const auto add_until = [&](auto happened) {
    while (!happened()) add();
    return static_cast<double>(names.size());
  };
  const auto take_all_room = [&] {
    reclaimer_.Collect();
    while (arena_.HasRoom(1)) arena_.Allocate(1);
  };
  const auto come_and_go = [&] {
    for (size_t i = 0; i < 6 * names.size(); ++i) {
      EraseOne(&names);
      add();
    }
  };
  const auto add_until_arena_grows = [&] {
    take_all_room();
    const uint64_t bytes = arena_.ReservedBytes();
    return add_until([&] { return arena_.ReservedBytes() > bytes; });
  };
  while (names.size() < 2'000) add();
  const double first = add_until_arena_grows();
  const double at_once = add_until_arena_grows();
  EXPECT_NEAR(at_once / first, 1.25, 0.01);
  come_and_go();
  const double waited = add_until_arena_grows();
  EXPECT_NEAR(waited / at_once, 1.25 * 30 / 29, 0.01);
  for (const Name& name : names) ASSERT_TRUE(Holds(name));

  come_and_go();
  take_all_room();
  constexpr uint32_t kRoom = 4'096;
  arena_.Free(arena_.Allocate(kRoom), kRoom);
  const double with_room = add_until([&] { return !arena_.HasRoom(kRoom); });
  EXPECT_NEAR(with_room / waited, 1.25 * 29 / 30, 0.01);
  while (!names.empty()) EraseOne(&names);
}

// A reader without a lock finds what stays. The table of 64 buckets is kept just below where it
// would grow, so that most insertions move a name to its other bucket.
TEST_F(NameTableTest, ReadersNeverMissWhatStays) {
  std::vector<Name> stay;
  std::vector<Name> churn;
  for (int i = 0; i < 440; ++i) {
    stay.push_back(NewName(1 << PlaceSlot::kFragmentBits));
    Insert(stay.back());
  }
  std::atomic<bool> done{false};
  std::atomic<uint64_t> missed{0};
  std::atomic<uint64_t> rounds{0};
  std::thread reader([&] {
    while (!done.load()) {
      for (const Name& name : stay) missed += Holds(name) ? 0 : 1;
      ++rounds;
    }
  });
  for (int i = 0; i < 100'000 || rounds.load() < 100; ++i) {
    churn.push_back(NewName(1 << PlaceSlot::kFragmentBits));
    Insert(churn.back());
    if (churn.size() == 24) EraseOne(&churn);
  }
  done = true;
  reader.join();
  EXPECT_EQ(missed.load(), 0u);
}

}  // namespace
}  // namespace kvroute
