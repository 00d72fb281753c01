#include "tools/placement/placement_workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/placement/example_trace.h"
namespace kvroute {
namespace {

using std::chrono::milliseconds;

PlacementWorkload Made(const std::vector<TraceRequest>& trace, const WorkloadCut& cut = {}) {
  auto workload = PlacementWorkload::Make(trace, 256, cut);
  EXPECT_TRUE(workload.ok()) << workload.status();
  return *std::move(workload);
}

TEST(PlacementWorkloadTest, EqualPrefixesAreEqualKeys) {
  const PlacementWorkload workload =
      Made({Traced(0, 1'000, 600, {1, 2}), Traced(1, 1'100, 10, {1, 2, 3})});
  const auto one = workload.requests()[0], other = workload.requests()[1];
  ASSERT_EQ(one.prompt_blocks.size(), 3u);  // the fourth is not full
  ASSERT_EQ(one.blocks.size(), 6u);
  ASSERT_EQ(other.prompt_blocks.size(), 4u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(one.blocks[i], other.blocks[i]) << i;
  EXPECT_NE(one.blocks[3], other.blocks[3]) << "an output is nobody else's prompt";
  EXPECT_EQ(workload.prompt_tokens(), 2'100u);
}

TEST(PlacementWorkloadTest, AnOutputThatGoesOnIsTheNextPromptsBeginning) {
  TraceRequest first = Traced(0, 700, 600, {1, 2});
  first.output_continues = true;
  first.continuation_ids = {TraceBlockId(3)};
  const PlacementWorkload workload = Made({first, Traced(9, 1'400, 10, {1, 2, 3})});
  ASSERT_EQ(workload.requests()[0].blocks.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(workload.requests()[0].blocks[i], workload.requests()[1].blocks[i]) << i;
  }
}

TEST(PlacementWorkloadTest, TurnsAreFoundByWhatTheyContain) {
  const PlacementWorkload workload = Made({
      Traced(0, 1'100, 100, {1, 2, 3}),              // a conversation
      Traced(1'000, 1'200, 100, {1, 4, 5}),          // another behind the same system prompt
      Traced(10'000, 2'100, 100, {1, 2, 6, 7, 8}),   // the first one's next turn
      Traced(30'000, 3'000, 1, {1, 2, 6, 7, 9, 10})  // and the one after
  });
  const auto requests = workload.requests();
  EXPECT_FALSE(requests[0].previous_turn.has_value());
  EXPECT_FALSE(requests[1].previous_turn.has_value());
  EXPECT_EQ(requests[2].previous_turn, 0u);
  EXPECT_EQ(requests[2].think, milliseconds(10'000 - 100 * 30));
  EXPECT_EQ(requests[3].previous_turn, 2u);
  EXPECT_EQ(requests[3].conversation, 0u);
}

TEST(PlacementWorkloadTest, ASystemPromptAloneMakesNoConversation) {
  const PlacementWorkload workload =
      Made({Traced(0, 1'100, 1, {1, 2, 3}), Traced(1, 1'024, 1, {1, 2}),
            Traced(2, 1'536, 1, {1, 2, 7})});
  EXPECT_EQ(workload.requests()[1].previous_turn, 0u) << "its last full block was new with it";
  EXPECT_EQ(workload.requests()[2].previous_turn, 1u) << "the same turn once more";
  const PlacementWorkload shared =
      Made({Traced(0, 2'000, 1, {1, 2, 3, 4}), Traced(1, 1'024, 1, {1, 2}),
            Traced(2, 1'536, 1, {1, 2, 7})});
  EXPECT_FALSE(shared.requests()[2].previous_turn.has_value());
}

TEST(PlacementWorkloadTest, LongOnesAreCut) {
  const PlacementWorkload workload =
      Made({Traced(0, 1'000, 600, {1, 2})}, {.max_prompt_tokens = 512, .max_output_tokens = 300});
  EXPECT_EQ(workload.requests()[0].prompt_tokens, 512u);
  EXPECT_EQ(workload.requests()[0].output_tokens, 300u);
  EXPECT_EQ(workload.requests()[0].blocks.size(), 3u);
}

TEST(PlacementWorkloadTest, BlocksMustDivideTheTraces) {
  const auto workload = PlacementWorkload::Make({Traced(0, 1, 1, {1})}, 48, {});
  EXPECT_EQ(workload.status().message(), "block size: 48 tokens; must divide 512");
}

}  // namespace
}  // namespace kvroute
