#include "indexer/index/runs/run_store.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvroute {
namespace {

// A slot that has stored a prompt of eight blocks, which is one run. All within one Write, so that
// what dies is not reused.
class RunStoreTest : public testing::Test {
 protected:
  static constexpr Slot kSlot = 1;
  static constexpr uint32_t kBlocks = 8;

  RunStoreTest() : write_(&store_), prefixes_(kBlocks) {
    for (uint64_t i = 1; i <= kBlocks; ++i) {
      locals_.emplace_back(i * 77);
      engines_.emplace_back(i * 99);
    }
    prefixes_[0] = RootPrefix(locals_[0]);
    std::vector<RunStore::Blank> blanks;
    const RunStore::StoreArgs args{
        kSlot, Tier::kGpu, Place{}, 0, locals_, absl::MakeSpan(prefixes_), engines_, kBlocks};
    const RunStore::Stretch stored = store_.Store(args, &blanks);
    EXPECT_EQ(stored.count, kBlocks);
    place_ = stored.place;
  }
  // How many of the blocks from `first` on went.
  uint32_t RemoveFrom(uint32_t first) {
    const Place at{place_.run, static_cast<uint16_t>(first)};
    Place cursor;
    return store_.Remove(
        kSlot, at, absl::MakeConstSpan(engines_).subspan(first),
        [](Place) {
          return BlockRange{0, kMaxRunBlocks};
        },
        &cursor);
  }

  RunStore store_{4'711};
  const RunStore::Write write_;
  std::vector<LocalHash> locals_;
  std::vector<EngineHash> engines_;
  std::vector<PrefixHash> prefixes_;
  Place place_;
};

// R3: a reader that goes by the old length finds another version.
TEST_F(RunStoreTest, ARunThatBecomesShorterHasANewVersion) {
  const kvroute::Run* run = store_.RunAt(place_);
  const uint32_t before = run->version.load();
  const uint32_t edits_without_length = 2;  // the coverage
  EXPECT_EQ(RemoveFrom(5), 3u);
  EXPECT_EQ(run->Length(), 5u);
  EXPECT_EQ(run->version.load(), before + edits_without_length + 2);
}

// R4: whoever still has the place of a block finds that it is none any more.
TEST_F(RunStoreTest, ADeadRunSaysSo) {
  const kvroute::Run* run = store_.RunAt(place_);
  EXPECT_EQ(RemoveFrom(0), kBlocks);
  EXPECT_TRUE(run->Dead());
  EXPECT_EQ(store_.FindHead(prefixes_[0].value(), [](const kvroute::Run&) { return true; }),
            nullptr);
  EXPECT_EQ(store_.Cover(kSlot + 1, place_, prefixes_[0].value(), Tier::kGpu, false),
            RunStore::Coverage::kGone);
  EXPECT_EQ(store_.CoverStretch(kSlot + 1, place_, prefixes_), 0u);
}

// S5: the second block with an engine hash has none in its run, which then stays where it is. The
// hash leads to the first alone, and to another when that is gone.
TEST_F(RunStoreTest, AnEngineHashIsAtOnePlace) {
  std::vector<LocalHash> locals = {LocalHash(1), LocalHash(2), LocalHash(3)};
  std::vector<EngineHash> engines = {EngineHash(1), engines_[4], EngineHash(0)};
  std::vector<PrefixHash> prefixes(3);
  std::vector<RunStore::Blank> blanks;
  const auto store = [&](uint64_t root) {
    locals[0] = LocalHash(root);
    prefixes[0] = RootPrefix(locals[0]);
    engines[0] = EngineHash(root);
    blanks.clear();
    const RunStore::StoreArgs args{
        kSlot + 1, Tier::kGpu, Place{}, 0, locals, absl::MakeSpan(prefixes), engines, 3};
    return store_.Store(args, &blanks);
  };
  const RunStore::Stretch second = store(1'000);
  ASSERT_EQ(second.count, 3u);
  ASSERT_EQ(blanks.size(), 2u);
  EXPECT_EQ(blanks[0].index, 1u);
  EXPECT_EQ(blanks[0].twin, (Place{place_.run, 4}));
  EXPECT_EQ(blanks[1].index, 2u);
  EXPECT_EQ(blanks[1].twin, Place{});
  EXPECT_EQ(store_.Count().twins, 1u);
  const kvroute::Run* run = store_.RunAt(second.place);
  EXPECT_EQ(run->Engine(0), 1'000u);
  EXPECT_EQ(run->Engine(1), 0u);
  EXPECT_EQ(run->Engine(2), 0u);
  EXPECT_TRUE(run->flags.load() & kvroute::Run::kFixed);
  const auto any = [](Place) { return true; };
  EXPECT_EQ(store_.Locate(kSlot, engines_[4].value(), any), (Place{place_.run, 4}));
  EXPECT_EQ(store_.Locate(kSlot + 1, engines_[4].value(), any), Place{});

  EXPECT_EQ(RemoveFrom(0), kBlocks);
  const RunStore::Stretch third = store(2'000);
  ASSERT_EQ(blanks.size(), 1u);
  EXPECT_EQ(blanks[0].index, 2u);
  EXPECT_EQ(store_.Locate(kSlot + 1, engines_[4].value(), any), (Place{third.place.run, 1}));
  EXPECT_EQ(store_.Count().twins, 1u);
}

}  // namespace
}  // namespace kvroute
