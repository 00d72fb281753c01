// What requests routed before compute already counts as held where they were sent.
#include <map>
#include <string>
#include <vector>

#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

class InFlightTest : public RouterTest {
 protected:
  void AddWorkers(int count) {
    for (int i = 0; i < count; ++i) AddWorker(Spec("w" + std::to_string(i)));
  }
};

// The other one has less to do, but would compute all of it again.
TEST_F(InFlightTest, TheSecondOfTwoEqualPromptsFollowsTheFirst) {
  AddWorkers(2);
  for (const char* policy : {"work", "lmetric", "lpwl"}) {
    const Decision first = Route(Ask(Tokens(4'096), policy));
    EXPECT_EQ(first.chosen.in_flight_tokens, 0u);
    std::vector<TokenId> others = Tokens(1'024);
    others[0] ^= 1;
    const Decision other = Route(Ask(others, policy));
    EXPECT_NE(other.chosen.worker_id, first.chosen.worker_id);
    const Decision second = Route(Ask(Tokens(4'096), policy));
    EXPECT_EQ(second.chosen.worker_id, first.chosen.worker_id) << policy;
    EXPECT_EQ(second.chosen.in_flight_tokens, 4'095u) << "the last token is computed anyway";
    EXPECT_EQ(second.chosen.uncached_tokens, 4'096u) << "nothing of it is held";
    EXPECT_EQ(second.chosen.blocks, 0u);
    for (const Decision* decision : {&first, &other, &second}) {
      EXPECT_TRUE(Complete(decision->request_id));
    }
  }
}

TEST_F(InFlightTest, WhatIsOutstandingIsWhatWillBeComputed) {
  AddWorkers(1);
  Route(Ask(Tokens(4'096)));
  const Decision second = Route(Ask(Tokens(4'096)));
  EXPECT_EQ(second.chosen.uncached_tokens_outstanding, 4'096u);
  EXPECT_EQ(Route(Ask(Tokens(4'096))).chosen.uncached_tokens_outstanding, 4'097u);
  EXPECT_TRUE(Complete(second.request_id));
  EXPECT_EQ(Route(Ask(Tokens(4'096))).chosen.uncached_tokens_outstanding, 4'097u);
}

TEST_F(InFlightTest, AComputedPromptIsTheEventsMatter) {
  AddWorkers(1);
  const Decision first = Route(Ask(Tokens(4'096)));
  EXPECT_TRUE(Complete(first.request_id, Progress::kPrefilled));
  EXPECT_EQ(Route(Ask(Tokens(4'096))).chosen.in_flight_tokens, 0u);
  EXPECT_EQ(loads_.Stats().in_flight.prompts, 1u) << "the second's";
}

TEST_F(InFlightTest, OnlyWhatIsBeyondTheMatchCounts) {
  AddWorkers(1);
  Store("w0", Tokens(1'024));
  const Decision first = Route(Ask(Tokens(2'048)));
  EXPECT_EQ(first.chosen.uncached_tokens, 1'024u);
  const Decision second = Route(Ask(Tokens(4'096)));
  EXPECT_EQ(second.chosen.uncached_tokens, 3'072u);
  EXPECT_EQ(second.chosen.in_flight_tokens, 1'024u);
  EXPECT_EQ(Route(Ask(Tokens(1'024))).chosen.in_flight_tokens, 0u);
}

TEST_F(InFlightTest, OtherNamespacesAndOtherTokensDoNotCount) {
  AddWorkers(1);
  Route(Ask(Tokens(4'096)));
  Request salted = Ask(Tokens(4'096));
  salted.rest.prompt_namespace.cache_salt = "s";
  EXPECT_EQ(Route(salted).chosen.in_flight_tokens, 0u);
  std::vector<TokenId> other = Tokens(4'096);
  other[0] ^= 1;
  EXPECT_EQ(Route(Ask(other)).chosen.in_flight_tokens, 0u);
}

TEST_F(InFlightTest, ExplainCountsThemAndLeavesNone) {
  AddWorkers(1);
  Route(Ask(Tokens(4'096)));
  for (int i = 0; i < 3; ++i) {
    Explanation explanation;
    ASSERT_TRUE(router_.Explain(Ask(Tokens(4'096)).View(), &explanation).ok());
    EXPECT_EQ(explanation.decision->chosen.in_flight_tokens, 4'095u);
  }
  EXPECT_EQ(loads_.Stats().in_flight.prompts, 1u);
}

}  // namespace
}  // namespace kvroute
