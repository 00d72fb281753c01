#include "indexer/index/runs/matched_tiers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "indexer/index/prefix_index.h"

namespace kvroute {
namespace {

struct Shape {
  const char* title;
  size_t streams;
  size_t blocks;  // of the prompt; above 512 there are several runs, above 1,023 no sums
  double all;     // so many streams hold all of it
  double tiered;  // so many have blocks in slower tiers
  double steps;   // so many of those as an engine has them that evicts tails
};

// Streams that hold one prompt, each with tiers of its own, and the answers to prompts that end
// anywhere in it against a list of each stream's blocks.
class MatchedTiersTest : public testing::TestWithParam<Shape> {
 protected:
  MatchedTiersTest() {
    for (uint64_t i = 0; i < GetParam().blocks; ++i) {
      locals_.emplace_back(i * 0x9e3779b97f4a7c15u + 1);
      engines_.emplace_back(i + 1'000'000);
    }
    for (size_t i = 0; i < GetParam().streams; ++i) AddStream();
  }

  double Draw() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  size_t Below(size_t n) { return random_() % n; }

  void AddStream() {
    const StreamId stream = index_.Open(CopyMode::kSet).value();
    std::vector<Tier>& tiers = model_[stream.value()];
    tiers.assign(Draw() < GetParam().all ? engines_.size() : 1 + Below(engines_.size()),
                 Tier::kGpu);
    index_.Store(stream, StoreRequest{std::nullopt, absl::MakeSpan(engines_).first(tiers.size()),
                                      absl::MakeSpan(locals_).first(tiers.size())});
    if (Draw() >= GetParam().tiered) return;
    if (Draw() < GetParam().steps) {
      const size_t cpu = Below(tiers.size());
      const size_t disk = cpu + Below(tiers.size() - cpu);
      Move(stream, cpu, disk, Tier::kCpu);
      Move(stream, disk, tiers.size(), Tier::kDisk);
      return;
    }
    for (int i = 0; i < 4; ++i) {
      const size_t begin = Below(tiers.size());
      Move(stream, begin, begin + Below(tiers.size() - begin + 1),
           static_cast<Tier>(1 + Below(kTierCount - 1)));
    }
  }
  // Blocks [begin, end), from wherever they are.
  void Move(StreamId stream, size_t begin, size_t end, Tier tier) {
    for (size_t i = begin; i < end; ++i) {
      Tier& now = model_[stream.value()][i];
      if (now == tier) continue;
      index_.AddCopies(stream, {&engines_[i], 1}, tier);
      index_.Remove(stream, {&engines_[i], 1}, now);
      now = tier;
    }
  }

  void ExpectAnswer(size_t prompt_blocks) {
    std::vector<PrefixHash> prompt;
    ChainLocals(absl::MakeSpan(locals_).first(prompt_blocks), &prompt);
    MatchResult result;
    index_.Match(prompt, &result);
    ASSERT_EQ(result.matches.size(), model_.size());
    for (const StreamMatch& match : result.matches) {
      const std::vector<Tier>& tiers = model_.at(match.stream.value());
      const size_t blocks = std::min(tiers.size(), prompt_blocks);
      std::array<uint32_t, kTierCount> by_tier{};
      for (size_t i = 0; i < blocks; ++i) ++by_tier[static_cast<size_t>(tiers[i])];
      ASSERT_EQ(match.blocks, blocks);
      ASSERT_EQ(match.blocks_by_tier, by_tier) << "of " << prompt_blocks << " blocks";
    }
  }

  std::mt19937 random_{20'261'130};
  PrefixIndex index_;
  std::vector<LocalHash> locals_;
  std::vector<EngineHash> engines_;
  std::map<uint64_t, std::vector<Tier>> model_;
};

TEST_P(MatchedTiersTest, EveryAnswerNamesTheTiersOfEveryStream) {
  ExpectAnswer(engines_.size());
  for (int i = 0; i < 60; ++i) ExpectAnswer(1 + Below(engines_.size()));
}

INSTANTIATE_TEST_SUITE_P(Shapes, MatchedTiersTest,
                         testing::Values(Shape{"OneStream", 1, 700, 1, 1, 0.5},  //
                                         Shape{"FewStreams", 9, 700, 0.5, 0.7, 0.5},
                                         Shape{"ACohortInSteps", 70, 300, 1, 1, 1},
                                         Shape{"ACohortInAnyOrder", 70, 300, 1, 1, 0.3},
                                         Shape{"ACohortOfWhichSomeHaveTiers", 70, 300, 1, 0.4, 0.8},
                                         Shape{"ACohortAndOthers", 90, 300, 0.6, 0.9, 0.8},
                                         Shape{"SeveralRuns", 90, 1'000, 0.7, 0.95, 0.8},
                                         Shape{"MoreBlocksThanSumsHold", 60, 1'700, 0.7, 0.95,
                                               0.8}),
                         [](const auto& shape) { return std::string(shape.param.title); });

}  // namespace
}  // namespace kvroute
