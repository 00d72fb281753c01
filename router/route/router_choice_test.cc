// Who may be chosen, and who is.
#include <map>
#include <string>
#include <vector>

#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

TEST_F(RouterTest, ABurstSpreadsBecauseLeasesCountAtOnce) {
  for (const char* id : {"a", "b", "c", "d"}) AddWorker(Spec(id));
  std::map<std::string, int> chosen;
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i) {
    const Decision decision = Route(Ask(Tokens(16)));
    ++chosen[std::string(decision.chosen.worker_id)];
    ids.push_back(decision.request_id);
  }
  for (const auto& [worker, count] : chosen) EXPECT_EQ(count, 10) << worker;
  for (const std::string& id : ids) EXPECT_TRUE(Complete(id));
  EXPECT_EQ(loads_.Stats().leases, 0u);
}

TEST_F(RouterTest, TheUnfitAreLeftOutAndTheErrorSaysWhy) {
  for (const char* id : {"draining", "stale", "unconnected", "full", "fit"}) {
    WorkerSpec spec = Spec(id);
    if (spec.worker_id == "full") spec.max_requests_in_flight = 1;
    AddWorker(spec);
    if (spec.worker_id != "fit") Store(id, Tokens(16));
  }
  ASSERT_TRUE(fleet_.SetDraining("draining", true).ok());
  source_.stream("stale")->trust = Trust::kStale;
  source_.stream("stale")->connected = false;
  source_.stream("unconnected")->trust = Trust::kCold;
  source_.stream("unconnected")->connected = false;
  Request fill = Ask(Tokens(16));
  fill.candidates = {{"full"}};
  Route(fill);
  EXPECT_EQ(ChosenFor(Ask(Tokens(16))), "fit");

  ASSERT_TRUE(fleet_.Deregister("fit").ok());
  ExpectError(RouteError(Ask(Tokens(16))), absl::StatusCode::kUnavailable,
              "no worker can serve model \"m\": of its 4 targets 1 draining, 1 stale, 1 "
              "not_connected, 1 overloaded");
  Request named = Ask(Tokens(16));
  named.candidates = {{"gone"}};
  ExpectError(RouteError(named), absl::StatusCode::kUnavailable,
              "4 not_a_candidate; 1 of the named candidates are none of them");
}

TEST_F(RouterTest, AStaleWorkerThatIsConnectedAgainMayBeChosen) {
  AddWorker(Spec("idle"));
  source_.stream("idle")->trust = Trust::kStale;
  const Decision decision = Route(Ask(Tokens(16)));
  EXPECT_EQ(decision.chosen.worker_id, "idle");
  EXPECT_EQ(decision.chosen.trust, Trust::kStale);
}

TEST_F(RouterTest, OnlyNamedCandidatesAreChosen) {
  for (const char* id : {"a", "b", "c"}) AddWorker(Spec(id, 2));
  Store("c", Tokens(16));
  Request request = Ask(Tokens(16));
  request.candidates = {{"a", 1}, {"unknown"}};
  const Decision decision = Route(request);
  EXPECT_EQ(decision.chosen.worker_id, "a");
  EXPECT_EQ(decision.chosen.rank, 1u);
  EXPECT_EQ(decision.reason, ChoiceReason::kOnlyOne);
}

TEST_F(RouterTest, WorkersOfOneModelMayDifferInBlockSize) {
  AddWorker(Spec("by4", 1, 4));
  AddWorker(Spec("by8", 1, 8));
  WorkerSpec learned = Spec("learns", 1, 0);
  AddWorker(learned);
  Store("by4", Tokens(12), 4);
  Store("by8", Tokens(16), 8);
  Decision decision = Route(Ask(Tokens(20), "prefix"));
  EXPECT_EQ(decision.chosen.worker_id, "by8");
  EXPECT_EQ(decision.chosen.tokens(), 16u);
  EXPECT_EQ(decision.total_blocks, 2u);

  source_.stream("learns")->block_size_tokens = 2;
  Store("learns", Tokens(20), 2);
  decision = Route(Ask(Tokens(20), "prefix"));
  EXPECT_EQ(decision.chosen.worker_id, "learns");
  EXPECT_EQ(decision.chosen.blocks, 10u);

  // Hashes of 8-token blocks say nothing about the others: they are not guessed at.
  Request hashes = Ask({});
  hashes.rest.prompt.block_hashes = {BlockHashKind::kLocal, {}, 8, 0};
  hashes.hash_values = {HashBlock(Tokens(8), MakeNamespaceSeed("", "")).value()};
  decision = Route(hashes);
  EXPECT_EQ(decision.chosen.worker_id, "by8");
  EXPECT_EQ(decision.chosen.tokens(), 8u);
  EXPECT_EQ(decision.reason, ChoiceReason::kOnlyOne);
}

TEST_F(RouterTest, EqualTokensOfAnotherModelDoNotCount) {
  AddWorker(Spec("a"));
  WorkerSpec other = Spec("z");
  other.model = "m2";
  AddWorker(other);
  Store("z", Tokens(16));
  EXPECT_EQ(Route(Ask(Tokens(16))).chosen.blocks, 0u);
}

TEST_F(RouterTest, TiesAreBrokenFairly) {
  constexpr int kDecisions = 400;
  for (const char* worker : {"a", "b", "c", "d"}) AddWorker(Spec(worker));
  for (const char* policy : {"lmetric", "prefix", "least_loaded", "random"}) {
    std::map<std::string, int> chosen;
    for (int i = 0; i < kDecisions; ++i) {  // all four are idle and hold nothing
      Request request = Ask(Tokens(8), policy);
      request.request_id = "tie";
      ++chosen[ChosenFor(request)];
      ASSERT_TRUE(Complete("tie"));
    }
    for (const char* worker : {"a", "b", "c", "d"}) {
      EXPECT_GT(chosen[worker], kDecisions / 8) << policy << " " << worker;
    }
  }
}

TEST_F(RouterTest, RoundRobinTakesTurnsPerModel) {
  for (const char* id : {"a", "b"}) AddWorker(Spec(id));
  WorkerSpec other = Spec("z");
  other.model = "m2";
  AddWorker(other);
  Request elsewhere = Ask(Tokens(4), "round_robin");
  elsewhere.model = "m2";
  std::string order;
  for (int i = 0; i < 4; ++i) {
    order += ChosenFor(Ask(Tokens(4), "round_robin"));
    Route(elsewhere);
  }
  EXPECT_EQ(order, "abab");
}

}  // namespace
}  // namespace kvroute
