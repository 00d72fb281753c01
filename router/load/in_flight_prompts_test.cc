#include "router/load/in_flight_prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace kvroute {
namespace {

using testing::IsEmpty;

PromptPieces Pieces(const std::vector<uint64_t>& hashes) {
  PromptPieces pieces;
  for (const uint64_t hash : hashes) {
    pieces.hashes.push_back(PieceHash(hash));
    pieces.ends.push_back(static_cast<uint32_t>(pieces.hashes.size() * 100));
  }
  return pieces;
}

class InFlightPromptsTest : public testing::Test {
 protected:
  // By place: the last time that it is named counts.
  std::map<uint32_t, uint32_t> Find(const std::vector<uint64_t>& hashes) {
    std::vector<InFlightPrompts::Found> found;
    prompts_.Find(Pieces(hashes), &found);
    std::map<uint32_t, uint32_t> tokens;
    for (const InFlightPrompts::Found& one : found) {
      EXPECT_GT(one.tokens, tokens[one.place]) << "longer each time";
      tokens[one.place] = one.tokens;
    }
    return tokens;
  }

  InFlightPrompts prompts_;
};

using Tokens = std::map<uint32_t, uint32_t>;

TEST_F(InFlightPromptsTest, TheLongestBeginningOfEachPlaceIsFound) {
  prompts_.Begin(Pieces({1, 2, 3, 4}), 7);
  prompts_.Begin(Pieces({1, 2, 30}), 8);
  prompts_.Begin(Pieces({1}), 9);
  EXPECT_EQ(Find({1, 2, 3}), (Tokens{{7, 300}, {8, 200}, {9, 100}}));
  EXPECT_EQ(Find({1, 2, 30, 40}), (Tokens{{7, 200}, {8, 300}, {9, 100}}));
  EXPECT_EQ(Find({1, 20}), (Tokens{{7, 100}, {8, 100}, {9, 100}}));
  EXPECT_THAT(Find({5, 2, 3}), IsEmpty());
  EXPECT_THAT(Find({}), IsEmpty());
}

TEST_F(InFlightPromptsTest, WhatEndedIsFoundNoMoreUntilItsLastOneEnds) {
  const auto first = prompts_.Begin(Pieces({1, 2}), 7);
  const auto second = prompts_.Begin(Pieces({1, 2}), 7);
  prompts_.End(first);
  EXPECT_EQ(Find({1, 2}), (Tokens{{7, 200}}));
  prompts_.End(second);
  EXPECT_THAT(Find({1, 2}), IsEmpty());
  EXPECT_EQ(prompts_.GetStats().prompts, 0u);
  EXPECT_EQ(prompts_.GetStats().pieces, 0u);
  prompts_.End(0);
}

TEST(InFlightPromptsRoomTest, WhatDoesNotFitIsCountedAndCostsNothing) {
  InFlightPrompts prompts(/*max_pieces=*/3);
  EXPECT_NE(prompts.Begin(Pieces({1, 2}), 7), 0u);
  EXPECT_EQ(prompts.Begin(Pieces({3, 4}), 7), 0u);
  EXPECT_NE(prompts.Begin(Pieces({5}), 7), 0u);
  EXPECT_EQ(prompts.Begin({}, 7), 0u);
  EXPECT_EQ(prompts.GetStats().not_remembered, 1u);
  EXPECT_EQ(prompts.GetStats().pieces, 3u);
  std::vector<InFlightPrompts::Found> found;
  prompts.Find(Pieces({3, 4}), &found);
  EXPECT_THAT(found, IsEmpty());
}

// Against all prompts in flight, compared one by one.
TEST_F(InFlightPromptsTest, EqualsALookAtEveryPrompt) {
  struct InFlight {
    std::vector<uint64_t> hashes;
    uint32_t place;
    InFlightPrompts::Ticket ticket;
  };
  std::mt19937 random(1);
  const auto prompt = [&] {  // chained: a piece's hash says all before it
    std::vector<uint64_t> hashes;
    uint64_t hash = 0;
    for (size_t length = random() % 6; hashes.size() < length; hashes.push_back(hash)) {
      hash = hash * 10 + 1 + random() % 2;
    }
    return hashes;
  };
  std::vector<InFlight> model;
  for (int step = 0; step < 20'000; ++step) {
    if (model.empty() || random() % 2 == 0) {
      InFlight one{prompt(), static_cast<uint32_t>(random() % 5), 0};
      one.ticket = prompts_.Begin(Pieces(one.hashes), one.place);
      model.push_back(one);
    } else {
      std::swap(model[random() % model.size()], model.back());
      prompts_.End(model.back().ticket);
      model.pop_back();
    }
    const std::vector<uint64_t> asked = prompt();
    Tokens expected;
    for (const InFlight& one : model) {
      const auto parts =
          std::mismatch(asked.begin(), asked.end(), one.hashes.begin(), one.hashes.end());
      const auto shared = static_cast<uint32_t>(parts.first - asked.begin());
      if (shared != 0) expected[one.place] = std::max(expected[one.place], shared * 100);
    }
    ASSERT_EQ(Find(asked), expected) << step;
  }
}

}  // namespace
}  // namespace kvroute
