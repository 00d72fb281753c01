#include "indexer/index/runs/growing_runs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "indexer/index/prefix_hash.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {
namespace {

// Against a list in the order in which runs grew.
TEST(GrowingRunsTest, KnowsWhichGrewLongestAgoAndHowMuchRoomAllHave) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  GrowingRuns growing;
  std::vector<std::pair<Granule, uint32_t>> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto run = static_cast<Granule>(1 + random() % 24);
    const auto at = std::find_if(model.begin(), model.end(),
                                 [&](const auto& entry) { return entry.first == run; });
    if (random() % 4 == 0) {
      growing.Drop(run);
      if (at != model.end()) model.erase(at);
    } else {
      if (at != model.end()) {
        model.erase(at);
      } else if (growing.full()) {
        growing.Drop(model.front().first);
        model.erase(model.begin());
      }
      const auto spare = static_cast<uint32_t>(random() % 100);
      growing.Note(run, spare);
      model.emplace_back(run, spare);
    }
    uint32_t spare = 0;
    for (const auto& entry : model) spare += entry.second;
    ASSERT_EQ(growing.spare_granules(), spare);
    ASSERT_EQ(growing.empty(), model.empty());
    ASSERT_EQ(growing.full(), model.size() == GrowingRuns::kMost);
    if (!model.empty()) {
      ASSERT_EQ(growing.oldest(), model.front().first);
    }
  }
}

// Chains of 160 blocks, one of each stream at a time: the first 128 in events of so many, the rest
// one by one, an event of each in turn.
class ChainsThatGrowTogether {
 public:
  static constexpr size_t kStreams = 64;
  static constexpr size_t kChains = 8;  // of a stream
  static constexpr size_t kBlocks = 160;

  explicit ChainsThatGrowTogether(size_t step) {
    std::vector<StreamId> streams;
    for (size_t i = 0; i < kStreams; ++i) streams.push_back(*index_.Open(CopyMode::kCounted));
    for (size_t chain = 0; chain < kChains; ++chain) {
      for (size_t at = 0; at < kBlocks;) {
        const size_t end = std::min(kBlocks, at < 128 ? at + step : at + 1);
        for (size_t i = 0; i < kStreams; ++i) Store(streams[i], chain * kStreams + i, at, end);
        at = end;
      }
    }
  }
  size_t chains() const { return kStreams * kChains; }
  PrefixIndexStats Stats() const { return index_.Stats(); }
  // How much of a chain its stream is said to hold.
  uint32_t MatchedOf(size_t chain) const {
    std::vector<PrefixHash> prefixes;
    ChainLocals(LocalsOf(chain), &prefixes);
    MatchResult result;
    index_.Match(prefixes, &result);
    return result.matches.size() == 1 ? result.matches[0].blocks : 0;
  }

 private:
  static std::vector<LocalHash> LocalsOf(size_t chain) {
    std::vector<LocalHash> locals;
    for (size_t i = 0; i < kBlocks; ++i) {
      locals.emplace_back((chain << 16 | i) * 0x9e37'79b9'7f4a'7c15u);
    }
    return locals;
  }
  static EngineHash EngineOf(size_t chain, size_t block) {
    return EngineHash((chain << 16 | block) * 0xc2b2'ae3d'27d4'eb4fu);
  }
  void Store(StreamId stream, size_t chain, size_t begin, size_t end) {
    const std::vector<LocalHash> locals = LocalsOf(chain);
    std::vector<EngineHash> engines;
    for (size_t i = begin; i < end; ++i) engines.push_back(EngineOf(chain, i));
    StoreRequest request;
    if (begin > 0) request.parent = EngineOf(chain, begin - 1);
    request.engine_hashes = engines;
    request.local_hashes = absl::MakeConstSpan(locals).subspan(begin, end - begin);
    ASSERT_EQ(index_.Store(stream, request).added, end - begin);
  }

  PrefixIndex index_;
};

// Before runs were given room to grow into, such a chain lay in nine.
TEST(GrowingRunsTest, ChainsThatGrowTogetherLieInFewRuns) {
  const ChainsThatGrowTogether whole(ChainsThatGrowTogether::kBlocks);
  for (const size_t step : {1, 3, 8}) {
    const ChainsThatGrowTogether stepped(step);
    const PrefixIndexStats stats = stepped.Stats();
    EXPECT_LE(stats.runs, 5 * stepped.chains()) << step;
    // What is left of that room, and headers.
    EXPECT_LE(stats.used_bytes, whole.Stats().used_bytes * 108 / 100) << step;
    for (size_t chain = 0; chain < stepped.chains(); ++chain) {
      ASSERT_EQ(stepped.MatchedOf(chain), ChainsThatGrowTogether::kBlocks) << step;
    }
  }
}

}  // namespace
}  // namespace kvroute
