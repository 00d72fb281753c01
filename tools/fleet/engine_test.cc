#include "tools/fleet/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/fleet/recorded_events.h"

namespace kvroute {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Nanos kOverhead = std::chrono::milliseconds(10);
constexpr Nanos kDecode = std::chrono::milliseconds(1);

// Blocks of 4 tokens; 1,000 prompt tokens a second.
EngineOptions Options(uint32_t blocks) {
  return {.block_size_tokens = 4,
          .capacity_blocks = blocks,
          .max_batch_requests = 8,
          .max_step_tokens = 16,
          .prefill_tokens_per_second = 1'000,
          .step_overhead = kOverhead,
          .decode_per_request = kDecode};
}

// A request whose blocks' digests are first, first + 1, ...
std::unique_ptr<EngineRequest> Request(uint64_t number, uint32_t prompt, uint32_t output,
                                       uint8_t first) {
  auto request = std::make_unique<EngineRequest>();
  request->number = number;
  request->prompt_tokens = prompt;
  request->tokens.resize(prompt + output);
  for (size_t i = 0; i < request->tokens.size() / 4; ++i) {
    request->hashes.push_back(TestDigest(static_cast<uint8_t>(first + i)));
  }
  return request;
}

class EngineTest : public ::testing::Test {
 protected:
  // Runs a step and returns its outcomes; the duration is kept.
  std::vector<StepOutcome> Step(Engine* engine) {
    std::vector<StepOutcome> outcomes;
    duration_ = engine->StartStep();
    if (duration_.has_value()) engine->EndStep(&outcomes);
    return outcomes;
  }
  // Runs until `count` requests have finished; their outcomes by number.
  std::vector<StepOutcome> Finish(Engine* engine, size_t count) {
    std::vector<StepOutcome> finished;
    for (int steps = 0; finished.size() < count && steps < 1'000; ++steps) {
      for (const StepOutcome& outcome : Step(engine)) {
        if (outcome.finished) finished.push_back(outcome);
      }
    }
    EXPECT_EQ(finished.size(), count);
    return finished;
  }

  RecordedEvents events_;
  std::optional<Nanos> duration_;
};

TEST_F(EngineTest, PrefillsInChunksThenDecodesAndPublishesFullBlocks) {
  Engine engine(Options(16), Announce::kEveryCopy, &events_);
  engine.Submit(Request(7, 18, 3, 1));  // 18 tokens: 4 full blocks and a half

  EXPECT_THAT(Step(&engine), IsEmpty());  // 16 of the 18 tokens
  EXPECT_EQ(*duration_, kOverhead + std::chrono::milliseconds(16));
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1,2,3,4"));

  const auto first = Step(&engine);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_TRUE(first[0].first_token);
  EXPECT_FALSE(first[0].finished);
  EXPECT_EQ(first[0].number, 7u);
  EXPECT_EQ(*duration_, kOverhead + std::chrono::milliseconds(2));
  EXPECT_THAT(events_.Take(), IsEmpty());

  EXPECT_THAT(Step(&engine), IsEmpty());  // computes token 19, generates token 20
  EXPECT_EQ(*duration_, kOverhead + kDecode);
  // computes token 20: the fifth block is full; generates the last token
  const auto last = Step(&engine);
  ASSERT_EQ(last.size(), 1u);
  EXPECT_TRUE(last[0].finished);
  EXPECT_THAT(events_.Take(), ElementsAre("stored 4>5"));
  EXPECT_EQ(engine.StartStep(), std::nullopt);
  EXPECT_EQ(engine.prefilled_tokens(), 18u);
}

TEST_F(EngineTest, AttentionTakesItsTime) {
  EngineOptions options = Options(16);
  options.attention_ns_per_pair = 1'000;
  options.decode_ns_per_context_token = 10'000;
  Engine engine(options, Announce::kEveryCopy, &events_);
  engine.Submit(Request(7, 18, 2, 1));
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  Step(&engine);  // 16 tokens that look at 8 others on average
  EXPECT_EQ(*duration_, kOverhead + milliseconds(16) + microseconds(16 * 8));
  Step(&engine);  // 2 that look at those 16 too
  EXPECT_EQ(*duration_, kOverhead + milliseconds(2) + microseconds(2 * 17));
  Step(&engine);
  EXPECT_EQ(*duration_, kOverhead + kDecode + microseconds(10 * 18));
}

TEST_F(EngineTest, AFullHitStillComputesTheLastBlockAsACopy) {
  Engine engine(Options(16), Announce::kEveryCopy, &events_);
  engine.Submit(Request(1, 8, 1, 1));
  EXPECT_EQ(Finish(&engine, 1)[0].cached_tokens, 0u);
  engine.Submit(Request(2, 8, 1, 1));
  EXPECT_EQ(Finish(&engine, 1)[0].cached_tokens, 4u) << "the whole prompt is resident";
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1,2", "stored 1>2"));
  engine.Submit(Request(3, 9, 1, 1));  // one token more: both blocks can be used
  EXPECT_EQ(Finish(&engine, 1)[0].cached_tokens, 8u);
  EXPECT_THAT(events_.Take(), IsEmpty());
}

TEST_F(EngineTest, PreemptsTheYoungestWhenFullAndRecomputesIt) {
  Engine engine(Options(5), Announce::kEveryCopy, &events_);
  engine.Submit(Request(1, 8, 8, 1));       // grows to 4 blocks
  engine.Submit(Request(2, 8, 4, 21));      // to 3
  const auto first_tokens = Step(&engine);  // both prompts: 4 blocks
  EXPECT_EQ(first_tokens.size(), 2u);
  Step(&engine);  // request 1 takes the fifth block; request 2 finds none and goes
  EXPECT_EQ(engine.preemptions(), 1u);
  const auto finished = Finish(&engine, 2);
  EXPECT_EQ(finished[0].number, 1u);
  EXPECT_EQ(finished[1].number, 2u);
  EXPECT_EQ(finished[1].cached_tokens, 0u) << "what counts is the first time it was scheduled";
  EXPECT_GT(engine.prefilled_tokens(), 16u) << "the preempted prompt was computed again";
}

TEST_F(EngineTest, AdmitsInOrderAndOnlyAsManyAsTheBatchAllows) {
  EngineOptions options = Options(64);
  options.max_batch_requests = 2;
  Engine engine(options, Announce::kEveryCopy, &events_);
  for (uint8_t i = 0; i < 3; ++i) engine.Submit(Request(i, 4, 2, static_cast<uint8_t>(10 * i + 1)));
  EXPECT_EQ(Step(&engine).size(), 2u);
  EXPECT_EQ(engine.request_count(), 3u);
  const auto finished = Finish(&engine, 3);
  EXPECT_EQ(finished[2].number, 2u);
}

TEST_F(EngineTest, ConcurrentRequestsShareBlocksThatAreStillBeingComputed) {
  Engine engine(Options(16), Announce::kEveryCopy, &events_);
  engine.Submit(Request(1, 9, 4, 1));
  engine.Submit(Request(2, 9, 4, 1));
  const auto first = Step(&engine);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[1].cached_tokens, 8u);
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1,2"));
}

TEST_F(EngineTest, ClearPutsRunningRequestsBackAndEmptiesTheCache) {
  Engine engine(Options(16), Announce::kEveryCopy, &events_);
  engine.Submit(Request(1, 8, 4, 1));
  Step(&engine);
  events_.Take();
  engine.ClearCacheAtNextStep();
  Step(&engine);
  EXPECT_THAT(events_.Take(), ElementsAre("cleared", "stored >1,2"));
  EXPECT_EQ(Finish(&engine, 1)[0].number, 1u);
}

TEST_F(EngineTest, RestartForgetsSilentlyAndRunsEverythingAgain) {
  Engine engine(Options(16), Announce::kEveryCopy, &events_);
  engine.Submit(Request(1, 8, 4, 1));
  Step(&engine);
  ASSERT_TRUE(engine.StartStep().has_value());  // dies within a step
  events_.Take();
  engine.Restart();
  EXPECT_FALSE(engine.stepping());
  EXPECT_EQ(engine.CountResident(std::vector<Digest>{TestDigest(1)}), 0u);
  EXPECT_THAT(events_.Take(), IsEmpty());
  const auto again = Step(&engine);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_TRUE(again[0].first_token);
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1,2"));
}

TEST_F(EngineTest, AnAbortedRequestGivesItsBlocksBackAndLeavesWhatItComputed) {
  Engine engine(Options(16), Announce::kEveryCopy, &events_);
  engine.Submit(Request(1, 18, 3, 1));
  engine.Submit(Request(2, 8, 3, 21));
  ASSERT_TRUE(engine.StartStep().has_value());
  EXPECT_TRUE(engine.Abort(1)) << "in the middle of its step";
  EXPECT_TRUE(engine.Abort(2)) << "while it waits";
  EXPECT_FALSE(engine.Abort(2));
  std::vector<StepOutcome> outcomes;
  engine.EndStep(&outcomes);
  EXPECT_THAT(outcomes, IsEmpty());
  EXPECT_EQ(engine.used_blocks(), 0u);
  EXPECT_EQ(engine.request_count(), 0u);
  engine.Submit(Request(3, 18, 1, 1));
  EXPECT_EQ(Finish(&engine, 1)[0].cached_tokens, 16u);
}

TEST_F(EngineTest, TellsEveryTokenWhenAsked) {
  EngineOptions options = Options(16);
  options.every_token = true;
  Engine engine(options, Announce::kEveryCopy, &events_);
  engine.Submit(Request(1, 4, 3, 1));
  for (uint32_t token = 1; token <= 3; ++token) {
    const auto outcomes = Step(&engine);
    ASSERT_EQ(outcomes.size(), 1u);
    EXPECT_EQ(outcomes[0].generated_tokens, token);
    EXPECT_EQ(outcomes[0].first_token, token == 1);
    EXPECT_EQ(outcomes[0].finished, token == 3);
  }
}

TEST_F(EngineTest, SaysInWhichNamespaceItStores) {
  Engine engine(Options(16), Announce::kEveryCopy, &events_);
  auto request = Request(1, 8, 1, 1);
  request->lora_name = "poet";
  request->cache_salt = "s";
  engine.Submit(std::move(request));
  Step(&engine);
  EXPECT_THAT(events_.Take(), ElementsAre("stored >1,2 lora poet salt s"));
}

}  // namespace
}  // namespace kvroute
