// Prompts that came as text and have no tokens: they go where their beginning went.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "router/prompt/request_body.h"
#include "router/prompt/text_memory.h"
#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

class TextRoutingTest : public RouterTest {
 protected:
  // A conversation of so many turns of 2 KB.
  static TextChain Conversation(int turns, char letter = 'a') {
    std::string json = R"({"messages":[)";
    for (int i = 0; i < turns; ++i) {
      json += (i == 0 ? "" : ",") + std::string(R"({"role":"user","content":")") +
              std::string(2'000, static_cast<char>(letter + i)) + "\"}";
    }
    const PaddedText text(json + "]}");
    RequestBody body;
    ParseRequestBody({"/v1/chat/completions", ""}, text, &body);
    TextChain chain;
    MakeTextChain(body, &chain);
    return chain;
  }
  std::string RouteText(const TextChain& text, NoPrompt why = NoPrompt::kRender) {
    Query query;
    query.model = "m";
    query.no_prompt = why;
    query.guessed_prompt_tokens = 10'000;
    query.text = &text;
    query.no_lease = true;  // no request is load for the next
    Decision decision;
    const absl::Status status = router_.Route(query, &decision);
    EXPECT_TRUE(status.ok()) << status;
    return std::string(decision.chosen.worker_id);
  }
};

TEST_F(TextRoutingTest, AConversationStaysWhereItBegan) {
  for (const char* id : {"a", "b", "c", "d"}) AddWorker(Spec(id));
  for (char letter = 'a'; letter < 'k'; ++letter) {
    const std::string first = RouteText(Conversation(1, letter));
    for (int turns = 2; turns < 6; ++turns) {
      EXPECT_EQ(RouteText(Conversation(turns, letter)), first);
    }
  }
  EXPECT_EQ(stats_.text_decisions, 40u);
}

TEST_F(TextRoutingTest, WhatWasRoutedByItsTokensIsRememberedToo) {
  for (const char* id : {"a", "b", "c", "d"}) AddWorker(Spec(id));
  const std::vector<TokenId> tokens = Tokens(64);
  Store("c", tokens);
  const TextChain text = Conversation(2);
  Query query;
  query.model = "m";
  query.prompt.token_ids = tokens;
  query.text = &text;
  query.no_lease = true;
  Decision decision;
  ASSERT_TRUE(router_.Route(query, &decision).ok());
  EXPECT_EQ(decision.chosen.worker_id, "c");
  EXPECT_EQ(stats_.text_decisions, 0u) << "tokens need no guess";
  for (int i = 0; i < 10; ++i) EXPECT_EQ(RouteText(Conversation(3)), "c");
}

TEST_F(TextRoutingTest, AGuessIsNoMatch) {
  AddWorker(Spec("a"));
  const TextChain text = Conversation(2);
  RouteText(text);
  Query query;
  query.model = "m";
  query.no_prompt = NoPrompt::kRender;
  query.guessed_prompt_tokens = 1'000;
  query.text = &text;
  Decision decision;
  ASSERT_TRUE(router_.Route(query, &decision).ok());
  EXPECT_EQ(decision.chosen.blocks, 0u);
  EXPECT_EQ(decision.chosen.uncached_tokens, 1'000u - 3 * TextChain::kPieceBytes / 4);
  EXPECT_EQ(stats_.matched_tokens, 0u) << "the counts of hits are about prompts";
}

TEST_F(TextRoutingTest, LoadStillCountsAndWorkersThatAreGoneDoNot) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  const std::string first = RouteText(Conversation(2));
  ASSERT_TRUE(fleet_.SetDraining(first, true).ok());
  EXPECT_NE(RouteText(Conversation(2)), first);
}

}  // namespace
}  // namespace kvroute
