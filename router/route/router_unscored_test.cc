// Queries without a prompt, and queries for an endpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

class UnscoredTest : public RouterTest {
 protected:
  static WorkerSpec At(const std::string& id, const std::string& address,
                       const std::string& model = "m", uint32_t ranks = 1) {
    WorkerSpec spec = Spec(id, ranks);
    spec.address = address;
    spec.model = model;
    return spec;
  }
  static Query Unscored(NoPrompt why = NoPrompt::kBody) {
    Query query;
    query.model = "m";
    query.no_prompt = why;
    query.guessed_prompt_tokens = 100;
    return query;
  }
  Decision MustRoute(const Query& query) {
    Decision decision;
    const absl::Status status = router_.Route(query, &decision);
    EXPECT_TRUE(status.ok()) << status;
    return decision;
  }
  absl::Status ErrorOf(const Query& query) {
    Decision decision;
    return router_.Route(query, &decision);
  }
  std::set<std::string> ChosenIn20(const Query& query) {
    std::set<std::string> chosen;
    for (int i = 0; i < 20; ++i) chosen.insert(std::string(MustRoute(query).chosen.worker_id));
    return chosen;
  }
};

TEST_F(UnscoredTest, LoadDecidesAndTheReasonIsCounted) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  Store("a", Tokens(64));
  // The guess is load: each of these sees those before it.
  const Decision first = MustRoute(Unscored());
  const Decision second = MustRoute(Unscored(NoPrompt::kRender));
  EXPECT_NE(first.chosen.worker_id, second.chosen.worker_id);
  EXPECT_EQ(first.chosen.blocks, 0u);
  EXPECT_EQ(first.chosen.uncached_tokens, 100u);
  EXPECT_EQ(stats_.unscored_decisions[static_cast<size_t>(NoPrompt::kBody)], 1u);
  EXPECT_EQ(stats_.unscored_decisions[static_cast<size_t>(NoPrompt::kRender)], 1u);
  // They say nothing about hits.
  EXPECT_EQ(stats_.prompt_tokens, 0u);
  EXPECT_EQ(stats_.matched_tenths[0], 0u);
}

TEST_F(UnscoredTest, EveryPolicyDecidesWithoutAPrompt) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  for (const std::string_view policy : kPolicyNames) {
    Query query = Unscored();
    query.policy = policy;
    query.guessed_prompt_tokens = 0;
    EXPECT_EQ(ChosenIn20(query).size(), 2u) << policy;
  }
}

TEST_F(UnscoredTest, AnyModelMayBeMeant) {
  AddWorker(At("a", "10.0.0.1:80", "m"));
  AddWorker(At("b", "10.0.0.2:80", "n"));
  Query query = Unscored(NoPrompt::kNone);
  query.model = "";
  EXPECT_TRUE(absl::IsInvalidArgument(ErrorOf(query)));  // which of the two?
  query.any_model = true;
  EXPECT_EQ(ChosenIn20(query), (std::set<std::string>{"a", "b"}));
  query.no_prompt = NoPrompt::kNo;  // a prompt is always of one model
  EXPECT_TRUE(absl::IsInvalidArgument(ErrorOf(query)));
}

TEST_F(UnscoredTest, AnyModelOfNoWorkerIsUnavailable) {
  Query query = Unscored(NoPrompt::kNone);
  query.any_model = true;
  ExpectError(ErrorOf(query), absl::StatusCode::kUnavailable, "no worker is known");
  AddWorker(Spec("a"));
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  ExpectError(ErrorOf(query), absl::StatusCode::kUnavailable,
              "no worker can serve: of 1 targets 1 draining");
}

TEST_F(UnscoredTest, NoLeaseIsTakenWhereNoneIsWanted) {
  AddWorker(Spec("a"));
  Query query = Unscored(NoPrompt::kNone);
  query.no_lease = true;
  EXPECT_EQ(MustRoute(query).request_id, "");
  EXPECT_EQ(loads_.Stats().leases, 0u);
  EXPECT_NE(MustRoute(Unscored()).request_id, "");
  EXPECT_EQ(loads_.Stats().leases, 1u);
}

TEST_F(UnscoredTest, ByEndpointOnlyWhoHasOneIsChosen) {
  AddWorker(At("named", "http://engine:8000"));
  AddWorker(At("there", "http://10.0.0.7:8000"));
  Query query = Unscored();
  query.by_endpoint = true;
  EXPECT_EQ(ChosenIn20(query), std::set<std::string>{"there"});
  const Decision decision = MustRoute(query);
  EXPECT_EQ(decision.chosen.endpoint->Text(), "10.0.0.7:8000");
  EXPECT_EQ(decision.left_out[static_cast<size_t>(LeftOut::kNoEndpoint)], 1u);
  ASSERT_TRUE(fleet_.SetDraining("there", true).ok());
  ExpectError(ErrorOf(query), absl::StatusCode::kUnavailable,
              "of its 2 targets 1 no_endpoint, 1 draining");
}

// Who has no endpoint is no choice, so the only other one is chosen though it does not answer us.
TEST_F(UnscoredTest, WhereTheOthersHaveNoEndpointOneThatDoesNotAnswerIsChosen) {
  AddWorker(At("named", "http://engine:8000"));
  AddWorker(At("silent", "10.0.0.7:8000"));
  const auto snapshot = fleet_.Snapshot();
  snapshot->targets[*snapshot->FindTarget("silent", 0)].load->engine.health =
      EngineHealth::kDoesNotAnswer;
  Query query = Unscored();
  query.by_endpoint = true;
  EXPECT_EQ(MustRoute(query).chosen.worker_id, "silent");
}

TEST_F(UnscoredTest, EndpointsRestrictTheChoiceByAddressAndPort) {
  for (int i = 0; i < 4; ++i) {
    AddWorker(At(absl::StrCat("w", i), absl::StrCat("10.0.0.", i / 2, ":", 8000 + i % 2)));
  }
  const std::vector<Endpoint> both = {*ParseEndpoint("10.0.0.1:8001"),
                                      *ParseEndpoint("10.0.0.0:8000"),
                                      *ParseEndpoint("10.9.9.9:1")};
  Query query = Unscored();
  query.by_endpoint = true;
  query.endpoints = both;
  EXPECT_EQ(ChosenIn20(query), (std::set<std::string>{"w0", "w3"}));
  const std::vector<Endpoint> host = {*ParseEndpointOrHost("10.0.0.1")};
  query.endpoints = host;
  EXPECT_EQ(ChosenIn20(query), (std::set<std::string>{"w2", "w3"}));
  const std::vector<Endpoint> nobody = {*ParseEndpoint("10.0.0.1:9")};
  query.endpoints = nobody;
  ExpectError(ErrorOf(query), absl::StatusCode::kUnavailable, "4 not_a_candidate");
}

// A prompt is restricted in the same way.
TEST_F(UnscoredTest, TheLongestMatchAmongTheEndpointsWins) {
  AddWorker(At("a", "10.0.0.1:80"));
  AddWorker(At("b", "10.0.0.2:80", "m", 2));
  AddWorker(At("c", "10.0.0.3:80"));
  const std::vector<TokenId> tokens = Tokens(64);
  Store("a", tokens);
  Store("b", Tokens(32), 4, 1);
  Query query;
  query.model = "m";
  query.prompt.token_ids = tokens;
  query.by_endpoint = true;
  EXPECT_EQ(MustRoute(query).chosen.worker_id, "a");
  const std::vector<Endpoint> others = {*ParseEndpoint("10.0.0.2:80"),
                                        *ParseEndpoint("10.0.0.3:80")};
  query.endpoints = others;
  const Decision decision = MustRoute(query);
  EXPECT_EQ(decision.chosen.worker_id, "b");
  EXPECT_EQ(decision.chosen.rank, 1u);
  EXPECT_EQ(decision.chosen.ranks, 2u);
}

TEST_F(UnscoredTest, ALeaseMovesToWhoServes) {
  AddWorker(At("a", "10.0.0.1:80"));
  AddWorker(At("b", "10.0.0.2:80"));
  Query query = Unscored();
  query.client = {7, 7};
  const Decision decision = MustRoute(query);
  const std::string other = decision.chosen.worker_id == "a" ? "b" : "a";
  const auto in_flight = [this](const std::string& id) {
    const auto fleet = fleet_.Snapshot();
    return fleet->targets[*fleet->FindTarget(id, 0)].load->requests_in_flight.load();
  };
  const Endpoint served = *ParseEndpoint(other == "a" ? "10.0.0.1:80" : "10.0.0.2:80");
  EXPECT_FALSE(router_.Moved(decision.request_id, *ParseEndpoint("10.0.0.3:80"), query.client));
  EXPECT_FALSE(router_.Moved("no such lease", served, query.client));
  EXPECT_EQ(in_flight(other), 0u);
  EXPECT_TRUE(router_.Moved(decision.request_id, served, query.client));
  EXPECT_EQ(in_flight(other), 1u);
  EXPECT_EQ(in_flight(std::string(decision.chosen.worker_id)), 0u);
  EXPECT_TRUE(Complete(decision.request_id));
  EXPECT_EQ(in_flight(other), 0u);
}

}  // namespace
}  // namespace kvroute
