#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "indexer/index/prefix_index.h"
#include "indexer/index/tables/bucket_array.h"
#include "test/support/index_script.h"

namespace kvroute {
namespace {

// KVROUTE_SEED repeats one run; KVROUTE_STEPS makes it longer.
uint32_t FromEnvironment(const char* variable, uint32_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

void RunScript(const IndexScript::Options& options, uint32_t seed, uint32_t steps) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  IndexScript script(options,
                     [&random](uint32_t n) { return static_cast<uint32_t>(random() % n); });
  for (uint32_t step = 0; step < steps; ++step) {
    std::string differs = script.Step();
    if (differs.empty()) differs = script.CompareAnswers(step % 50 == 0 ? 12 : 4);
    ASSERT_TRUE(differs.empty()) << "step " << step << ": " << differs;
  }
  script.index().WaitForScrub();
  ASSERT_EQ(script.CompareAnswers(50), "");
  if (options.offloaded && steps >= 150) {
    EXPECT_NEAR(script.SlowerShare(), 0.4, 0.3);
  }
}

class PrefixIndexModelTest : public ::testing::TestWithParam<int> {
 protected:
  uint32_t Seed(uint32_t family) const {
    return FromEnvironment("KVROUTE_SEED", family * 1'000 + static_cast<uint32_t>(GetParam()));
  }
  const uint32_t steps_ = FromEnvironment("KVROUTE_STEPS", 600);
};

TEST_P(PrefixIndexModelTest, FewStreamsShortChains) {
  RunScript({.max_streams = 2, .max_paths = 6, .max_growth_blocks = 6, .labels = 2}, Seed(1),
            steps_);
}

TEST_P(PrefixIndexModelTest, SeveralStreamsShareChains) { RunScript({}, Seed(2), steps_); }

TEST_P(PrefixIndexModelTest, MoreHoldersThanFitInAHeader) {
  RunScript({.max_streams = 150, .max_paths = 4, .max_growth_blocks = 8, .labels = 2}, Seed(3),
            steps_);
}

TEST_P(PrefixIndexModelTest, RunsLongerThanTheLimit) {
  RunScript({.max_streams = 3, .max_paths = 6, .max_growth_blocks = 1'500, .labels = 2}, Seed(4),
            steps_ / 10);
}

TEST_P(PrefixIndexModelTest, EveryStreamHasAHashSchemeOfItsOwn) {
  RunScript({.own_schemes = true}, Seed(5), steps_ / 2);
  RunScript({.max_growth_blocks = 200, .own_schemes = true, .sound_schemes = true}, Seed(6),
            steps_ / 4);
}

TEST_P(PrefixIndexModelTest, ManyHoldingsInSlowerTiers) {
  RunScript({.offloaded = true}, Seed(8), steps_ / 2);
  RunScript({.max_streams = 150, .max_paths = 4, .max_growth_blocks = 8, .offloaded = true},
            Seed(9), steps_ / 2);
  RunScript({.own_schemes = true, .offloaded = true}, Seed(10), steps_ / 4);
}

TEST_P(PrefixIndexModelTest, SoundSchemes) {
  RunScript({.sound_schemes = true}, Seed(7), steps_ / 2);
}

// The last of them has the hash, in whichever order the index enters them: also when they are more
// than fit into the two buckets of a hash, or than may wait to be entered.
TEST(PrefixIndexTwinsTest, OneEngineHashForManyBlocksOfOneEvent) {
  constexpr uint32_t kBefore = 5;
  for (const uint32_t same : {2u, 15u, 17u, 40u, 90u}) {
    SCOPED_TRACE(same);
    std::vector<EngineHash> engines;
    std::vector<LocalHash> locals;
    for (uint32_t i = 0; i < kBefore + same; ++i) {
      engines.emplace_back(i < kBefore ? 1'000 + i : 7);
      locals.emplace_back((i + 1) * 0x9e3779b97f4a7c15u);
    }
    PrefixIndex index;
    const StreamId stream = *index.Open(CopyMode::kCounted);
    StoreRequest request;
    request.engine_hashes = engines;
    request.local_hashes = locals;
    const StoreResult stored = index.Store(stream, request);
    EXPECT_EQ(stored.added, kBefore + same);
    EXPECT_EQ(stored.rebound, same - 1);
    EXPECT_EQ(index.Stats().holdings, kBefore + 1);
    EXPECT_EQ(index.Stats().twins, same - 1);
    // What lost the hash is stored again under others, and a block behind the one that has it.
    std::vector<EngineHash> others;
    for (uint32_t i = 0; i + 1 < same; ++i) others.emplace_back(2'000 + i);
    request.parent = engines[kBefore - 1];
    request.engine_hashes = others;
    request.local_hashes = absl::MakeConstSpan(locals).subspan(kBefore, same - 1);
    index.Store(stream, request);
    const EngineHash child(3'000);
    const LocalHash child_local(77);
    request.parent = EngineHash(7);
    request.engine_hashes = {&child, 1};
    request.local_hashes = {&child_local, 1};
    index.Store(stream, request);

    std::vector<PrefixHash> prompt;
    locals.push_back(child_local);
    ChainLocals(locals, &prompt);
    MatchResult result;
    index.Match(prompt, &result);
    ASSERT_EQ(result.matches.size(), 1u);
    EXPECT_EQ(result.matches[0].blocks, kBefore + same + 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PrefixIndexModelTest, ::testing::Range(0, 8));

// Tables keep 31 bits of an engine hash: two that agree in them are told apart by the run.
TEST(PrefixIndexCollisionTest, EngineHashesThatATableCannotTellApart) {
  constexpr uint64_t kSecret = 4'711;
  const TableHasher hasher(kSecret);
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> seen;
  EngineHash stored(0);
  EngineHash other(0);
  std::mt19937_64 random(1);
  while (other == EngineHash(0)) {
    const uint64_t engine = random();
    const TableHash hash = hasher(engine);
    const auto [first, fresh] = seen.try_emplace({hash.shard(), hash.fragment()}, engine);
    if (fresh) continue;
    stored = EngineHash(first->second);
    other = EngineHash(engine);
  }
  PrefixIndexOptions options;
  options.secret_seed = kSecret;
  PrefixIndex index(options);
  const StreamId stream = *index.Open(CopyMode::kSet);
  const LocalHash locals[] = {LocalHash(1), LocalHash(2)};
  StoreRequest request;
  request.engine_hashes = {&stored, 1};
  request.local_hashes = {&locals[0], 1};
  index.Store(stream, request);
  EXPECT_TRUE(index.Holds(stream, stored));
  EXPECT_FALSE(index.Holds(stream, other));
  EXPECT_EQ(index.Remove(stream, {&other, 1}, Tier::kGpu).unknown, 1u);
  request.engine_hashes = {&other, 1};
  request.local_hashes = {&locals[1], 1};
  EXPECT_EQ(index.Store(stream, request).rebound, 0u);
  EXPECT_EQ(index.Remove(stream, {&stored, 1}, Tier::kGpu).removed, 1u);
  EXPECT_TRUE(index.Holds(stream, other));
}

// By whichever hashes it held the block until then: its run's, a foreign one, an alias.
TEST(PrefixIndexRenamedTest, ASecondHashIsReportedWhereATierHasACopyAlready) {
  PrefixIndex index;
  const StreamId other = *index.Open(CopyMode::kCounted);
  const StreamId stream = *index.Open(CopyMode::kCounted);
  const LocalHash local(77);
  const auto store = [&](StreamId to, uint64_t hash, Tier tier) {
    const EngineHash engine(hash);
    return index.Store(to, {std::nullopt, {&engine, 1}, {&local, 1}, tier}).renamed;
  };
  EXPECT_EQ(store(other, 1, Tier::kGpu), 0u);  // carried by the run
  EXPECT_EQ(store(stream, 2, Tier::kGpu), 0u) << "another stream's hash says nothing";
  EXPECT_EQ(store(stream, 2, Tier::kGpu), 0u) << "a copy";
  EXPECT_EQ(store(stream, 3, Tier::kCpu), 0u) << "another tier's";
  EXPECT_EQ(store(stream, 4, Tier::kGpu), 1u);
  EXPECT_EQ(store(stream, 5, Tier::kCpu), 1u);
  EXPECT_EQ(store(stream, 1, Tier::kGpu), 1u);
  EXPECT_EQ(store(other, 6, Tier::kGpu), 1u);
  const EngineHash all[] = {EngineHash(1), EngineHash(2), EngineHash(4)};
  EXPECT_EQ(index.Remove(stream, all, Tier::kGpu).removed, 2u);
  EXPECT_EQ(index.Remove(stream, all, Tier::kGpu).removed, 1u);
  EXPECT_EQ(store(stream, 7, Tier::kGpu), 0u);
}

}  // namespace
}  // namespace kvroute
