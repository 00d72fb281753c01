#include "indexer/index/tables/engine_hash_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "indexer/index/memory/epoch.h"
#include "test/support/sanitized.h"

namespace kvroute {
namespace {

struct Entry {
  uint32_t fragment;
  Place place;
};

class EngineHashTableTest : public testing::Test {
 protected:
  EngineHashTableTest() { table_.Init(&arena_, &reclaimer_, 77); }

  // A place that no other entry of the test has.
  Entry NewEntry(uint32_t fragments) {
    ++entries_;
    return Entry{static_cast<uint32_t>(random_()) % fragments,
                 Place{entries_ / 512 + 1, static_cast<uint16_t>(entries_ % 512)}};
  }
  // How often a place was already stored under the fragment.
  uint32_t Insert(const Entry& entry) {
    uint32_t seen = 0;
    if (table_.Insert(table_.Fetch(entry.fragment), entry.place) ==
        EngineHashTable::Inserted::kAlone) {
      return 0;
    }
    table_.Find(entry.fragment, [&](Place place) {
      seen += place == entry.place ? 0 : 1;
      return false;
    });
    return seen;
  }
  bool Holds(const Entry& entry) const {
    EpochPin pin;
    return table_.Find(entry.fragment, [&](Place place) { return place == entry.place; }) ==
           entry.place;
  }
  // Erases one of them at random.
  void EraseOne(std::vector<Entry>* entries) {
    std::swap((*entries)[random_() % entries->size()], entries->back());
    table_.Erase(table_.Fetch(entries->back().fragment), entries->back().place);
    entries->pop_back();
  }

  Arena arena_;
  Reclaimer reclaimer_{&arena_};
  EngineHashTable table_;
  std::mt19937_64 random_{20'261'122};
  uint32_t entries_ = 0;
};

// Which is put in later, with others in between, as who does not want to wait does.
TEST_F(EngineHashTableTest, WhatFindsItsBucketsFullGoesInLater) {
  std::vector<Entry> entries;
  std::vector<Entry> later;
  for (int i = 0; i < 40'000; ++i) {
    const Entry entry = NewEntry(1 << Cell::kFragmentBits);
    entries.push_back(entry);
    if (table_.TryInsert(table_.Fetch(entry.fragment), entry.place) ==
        EngineHashTable::Inserted::kNo) {
      EXPECT_FALSE(Holds(entry));
      later.push_back(entry);
    }
    if (later.size() == 10) {
      for (const Entry& one : later) Insert(one);
      later.clear();
    }
  }
  for (const Entry& one : later) Insert(one);
  for (const Entry& entry : entries) ASSERT_TRUE(Holds(entry)) << entry.fragment;
  while (!entries.empty()) EraseOne(&entries);
}

// All tables are filled to their limit on the way, so entries move, and some overflow.
TEST_F(EngineHashTableTest, FindsWhatIsThereThroughGrowthAndChurn) {
  std::vector<Entry> entries;
  for (int i = 0; i < 40'000; ++i) {
    entries.push_back(NewEntry(1 << Cell::kFragmentBits));
    Insert(entries.back());
  }
  for (int i = 0; i < 100'000; ++i) {
    EraseOne(&entries);
    entries.push_back(NewEntry(1 << Cell::kFragmentBits));
    Insert(entries.back());
  }
  for (const Entry& entry : entries) ASSERT_TRUE(Holds(entry));
  std::vector<Entry> gone = entries;
  while (!entries.empty()) EraseOne(&entries);
  for (const Entry& entry : gone) ASSERT_FALSE(Holds(entry));
}

// Sixteen cells for thousands of entries: nearly all are in the overflow.
TEST_F(EngineHashTableTest, ManyEntriesOfOneFragmentAreSeenOnceEachAndCanAllGo) {
  std::vector<Entry> entries;
  for (uint32_t i = 0; i < 3'000; ++i) {
    entries.push_back(NewEntry(1));
    ASSERT_EQ(Insert(entries.back()), i);
  }
  for (int i = 0; i < 1'500; ++i) EraseOne(&entries);
  for (const Entry& entry : entries) ASSERT_TRUE(Holds(entry));
  while (!entries.empty()) EraseOne(&entries);
  EXPECT_EQ(Insert(NewEntry(1)), 0u);
}

TEST_F(EngineHashTableTest, ReplaceKeepsTheFragmentAndChangesThePlace) {
  const Entry old_entry = NewEntry(100);
  Insert(old_entry);
  const Entry new_entry{old_entry.fragment, NewEntry(100).place};
  table_.Replace(table_.Fetch(old_entry.fragment), old_entry.place, new_entry.place);
  EXPECT_FALSE(Holds(old_entry));
  EXPECT_TRUE(Holds(new_entry));
}

// Where entries come and go a table that reaches its limit fills further before it makes the arena
// grow; while entries only come, or if there is room, it grows at once.
TEST_F(EngineHashTableTest, WaitsForRoomWhileEntriesComeAndGo) {
  std::vector<Entry> entries;
  const auto add = [&] {
    entries.push_back(NewEntry(1 << Cell::kFragmentBits));
    Insert(entries.back());
  };
  const auto add_until = [&](auto happened) {
    while (!happened()) add();
    return static_cast<double>(entries.size());
  };
  const auto take_all_room = [&] {
    reclaimer_.Collect();
    while (arena_.HasRoom(1)) arena_.Allocate(1);
  };
  const auto come_and_go = [&] {
    for (size_t i = 0; i < 6 * entries.size(); ++i) {
      EraseOne(&entries);
      add();
    }
  };
  const auto add_until_arena_grows = [&] {
    take_all_room();
    const uint64_t bytes = arena_.ReservedBytes();
    return add_until([&] { return arena_.ReservedBytes() > bytes; });
  };
  while (entries.size() < 2'000) add();
  const double first = add_until_arena_grows();
  const double at_once = add_until_arena_grows();
  EXPECT_NEAR(at_once / first, 1.25, 0.01);
  come_and_go();
  const double waited = add_until_arena_grows();
  EXPECT_NEAR(waited / at_once, 1.25 * 30 / 29, 0.01);
  for (const Entry& entry : entries) ASSERT_TRUE(Holds(entry));

  come_and_go();
  take_all_room();
  constexpr uint32_t kRoom = 4'096;
  arena_.Free(arena_.Allocate(kRoom), kRoom);
  const double with_room = add_until([&] { return !arena_.HasRoom(kRoom); });
  EXPECT_NEAR(with_room / waited, 1.25 * 29 / 30, 0.01);
  while (!entries.empty()) EraseOne(&entries);
}

// A table as large as that of a shard with 70 million holdings in all, on memory that the system
// has given already: no insertion copies it.
TEST_F(EngineHashTableTest, NobodyWaitsForAllOfItToGrow) {
  constexpr uint32_t kEntries = 280'000;
  constexpr uint32_t kGranules = 200'000;
  const Granule memory = arena_.Allocate(kGranules);
  for (uint32_t i = 0; i < kGranules; ++i) *arena_.At<uint64_t>(memory + i) = 1;
  arena_.Free(memory, kGranules);
  const auto micros = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
  };
  std::vector<double> longest;
  for (uint32_t i = 0; i < kEntries; ++i) {
    const Entry entry = NewEntry(1 << Cell::kFragmentBits);
    const double start = micros();
    Insert(entry);
    longest.push_back(micros() - start);
  }
  // The few longest of all may have been interrupted; the last ten growths are of 30,000 entries
  // and more.
  std::nth_element(longest.begin(), longest.begin() + 5, longest.end(), std::greater<>());
  EXPECT_LT(longest[5],
            kSanitized ? 10'000.0 : 1'000.0);  // a sanitizer makes a step ten times as long
}

// While a table grows, what is entered, erased, replaced and moved is so in what it becomes.
TEST_F(EngineHashTableTest, WhatChangesWhileItGrowsIsSoAfterwards) {
  std::vector<Entry> entries;
  for (int i = 0; i < 60'000; ++i) {
    entries.push_back(NewEntry(1 << Cell::kFragmentBits));
    Insert(entries.back());
    if (i % 3 == 0) EraseOne(&entries);
    if (i % 2 == 0 || entries.empty()) continue;
    Entry& changed = entries[random_() % entries.size()];
    const Place place = NewEntry(1).place;
    table_.Replace(table_.Fetch(changed.fragment), changed.place, place);
    changed.place = place;
  }
  for (const Entry& entry : entries) ASSERT_TRUE(Holds(entry));
  while (!entries.empty()) EraseOne(&entries);
}

// A reader without a lock finds what stays while the table grows in steps.
TEST_F(EngineHashTableTest, ReadersNeverMissWhatStaysWhileItGrows) {
  std::vector<Entry> stay;
  for (int i = 0; i < 1'000; ++i) {
    stay.push_back(NewEntry(1 << Cell::kFragmentBits));
    Insert(stay.back());
  }
  std::atomic<bool> done{false};
  std::atomic<uint64_t> missed{0};
  std::atomic<uint64_t> rounds{0};
  std::thread reader([&] {
    while (!done.load()) {
      for (const Entry& entry : stay) missed += Holds(entry) ? 0 : 1;
      ++rounds;
    }
  });
  for (int i = 0; i < 60'000; ++i) {
    Insert(NewEntry(1 << Cell::kFragmentBits));
    if (i % 1'000 == 0) {
      const uint64_t seen = rounds.load();
      while (rounds.load() == seen) std::this_thread::yield();
    }
  }
  done = true;
  reader.join();
  EXPECT_EQ(missed.load(), 0u);
}

// A reader without a lock finds what stays. The table of 64 buckets is kept just below where it
// would grow, so that most insertions move a entry to its other bucket.
TEST_F(EngineHashTableTest, ReadersNeverMissWhatStays) {
  std::vector<Entry> stay;
  std::vector<Entry> churn;
  for (int i = 0; i < 440; ++i) {
    stay.push_back(NewEntry(1 << Cell::kFragmentBits));
    Insert(stay.back());
  }
  std::atomic<bool> done{false};
  std::atomic<uint64_t> missed{0};
  std::atomic<uint64_t> rounds{0};
  std::thread reader([&] {
    while (!done.load()) {
      for (const Entry& entry : stay) missed += Holds(entry) ? 0 : 1;
      ++rounds;
    }
  });
  for (int i = 0; i < 100'000 || rounds.load() < 100; ++i) {
    churn.push_back(NewEntry(1 << Cell::kFragmentBits));
    Insert(churn.back());
    if (churn.size() == 24) EraseOne(&churn);
  }
  done = true;
  reader.join();
  EXPECT_EQ(missed.load(), 0u);
}

}  // namespace
}  // namespace kvroute
