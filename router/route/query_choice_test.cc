// Who may be chosen, and who is.
#include <map>
#include <string>
#include <vector>

#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

TEST_F(QueryHandlerTest, ABurstSpreadsBecauseLeasesCountAtOnce) {
  for (const char* id : {"a", "b", "c", "d"}) AddWorker(Spec(id));
  std::map<std::string, int> chosen;
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i) {
    const v1::RouteResponse response = Route(Ask(Tokens(16)));
    ++chosen[response.chosen().target().worker_id()];
    ids.push_back(response.request_id());
  }
  for (const auto& [worker, count] : chosen) EXPECT_EQ(count, 10) << worker;
  for (const std::string& id : ids) {
    v1::CompleteRequest request;
    request.set_request_id(id);
    request.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
    v1::CompleteResponse response;
    ASSERT_TRUE(queries_.Complete(request, &response).ok());
    EXPECT_TRUE(response.known());
  }
  EXPECT_EQ(loads_.Stats().leases, 0u);
}

TEST_F(QueryHandlerTest, TheUnfitAreLeftOutAndTheErrorSaysWhy) {
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
  v1::RouteRequest fill = Ask(Tokens(16));
  fill.add_candidates()->set_worker_id("full");
  Route(fill);
  EXPECT_EQ(Route(Ask(Tokens(16))).chosen().target().worker_id(), "fit");

  ASSERT_TRUE(fleet_.Deregister("fit").ok());
  ExpectError(RouteError(Ask(Tokens(16))), absl::StatusCode::kUnavailable,
              "no worker can serve model \"m\": of its 4 targets 1 draining, 1 stale, 1 "
              "not_connected, 1 overloaded");
  v1::RouteRequest named = Ask(Tokens(16));
  named.add_candidates()->set_worker_id("gone");
  ExpectError(RouteError(named), absl::StatusCode::kUnavailable,
              "4 not_a_candidate; 1 of the named candidates are none of them");
}

TEST_F(QueryHandlerTest, AStaleWorkerThatIsConnectedAgainMayBeChosen) {
  AddWorker(Spec("idle"));
  source_.stream("idle")->trust = Trust::kStale;
  const v1::RouteResponse response = Route(Ask(Tokens(16)));
  EXPECT_EQ(response.chosen().target().worker_id(), "idle");
  EXPECT_EQ(response.chosen().trust(), v1::TRUST_STALE);
}

TEST_F(QueryHandlerTest, OnlyNamedCandidatesAreChosen) {
  for (const char* id : {"a", "b", "c"}) AddWorker(Spec(id, 2));
  Store("c", Tokens(16));
  v1::RouteRequest request = Ask(Tokens(16));
  request.add_candidates()->set_worker_id("a");
  request.mutable_candidates(0)->set_rank(1);
  request.add_candidates()->set_worker_id("unknown");
  const v1::RouteResponse response = Route(request);
  EXPECT_EQ(response.chosen().target().worker_id(), "a");
  EXPECT_EQ(response.chosen().target().rank(), 1u);
  EXPECT_EQ(response.reason(), "only_one");
}

TEST_F(QueryHandlerTest, WorkersOfOneModelMayDifferInBlockSize) {
  AddWorker(Spec("by4", 1, 4));
  AddWorker(Spec("by8", 1, 8));
  WorkerSpec learned = Spec("learns", 1, 0);
  AddWorker(learned);
  Store("by4", Tokens(12), 4);
  Store("by8", Tokens(16), 8);
  v1::RouteResponse response = Route(Ask(Tokens(20), "prefix"));
  EXPECT_EQ(response.chosen().target().worker_id(), "by8");
  EXPECT_EQ(response.chosen().matched_tokens(), 16u);
  EXPECT_EQ(response.total_blocks(), 2u);

  source_.stream("learns")->block_size_tokens = 2;
  Store("learns", Tokens(20), 2);
  response = Route(Ask(Tokens(20), "prefix"));
  EXPECT_EQ(response.chosen().target().worker_id(), "learns");
  EXPECT_EQ(response.chosen().matched_blocks(), 10u);

  // Hashes of 8-token blocks say nothing about the others: they are not guessed at.
  v1::RouteRequest hashes = Ask({});
  hashes.mutable_prompt()->mutable_block_hashes()->set_kind(v1::BlockHashes::KIND_LOCAL);
  hashes.mutable_prompt()->mutable_block_hashes()->set_block_size_tokens(8);
  hashes.mutable_prompt()->mutable_block_hashes()->add_hashes(
      HashBlock(Tokens(8), MakeNamespaceSeed("", "")).value());
  response = Route(hashes);
  EXPECT_EQ(response.chosen().target().worker_id(), "by8");
  EXPECT_EQ(response.chosen().matched_tokens(), 8u);
  EXPECT_EQ(response.reason(), "only_one");
}

TEST_F(QueryHandlerTest, EqualTokensOfAnotherModelDoNotCount) {
  AddWorker(Spec("a"));
  WorkerSpec other = Spec("z");
  other.model = "m2";
  AddWorker(other);
  Store("z", Tokens(16));
  EXPECT_EQ(Route(Ask(Tokens(16))).chosen().matched_blocks(), 0u);
}

TEST_F(QueryHandlerTest, TiesAreBrokenFairly) {
  constexpr int kDecisions = 400;
  for (const char* worker : {"a", "b", "c", "d"}) AddWorker(Spec(worker));
  for (const char* policy : {"lmetric", "prefix", "least_loaded", "random"}) {
    std::map<std::string, int> chosen;
    for (int i = 0; i < kDecisions; ++i) {  // all four are idle and hold nothing
      v1::RouteRequest request = Ask(Tokens(8), policy);
      request.set_request_id("tie");
      ++chosen[Route(request).chosen().target().worker_id()];
      v1::CompleteRequest complete;
      complete.set_request_id("tie");
      complete.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
      v1::CompleteResponse response;
      ASSERT_TRUE(queries_.Complete(complete, &response).ok());
    }
    for (const char* worker : {"a", "b", "c", "d"}) {
      EXPECT_GT(chosen[worker], kDecisions / 8) << policy << " " << worker;
    }
  }
}

TEST_F(QueryHandlerTest, RoundRobinTakesTurnsPerModel) {
  for (const char* id : {"a", "b"}) AddWorker(Spec(id));
  WorkerSpec other = Spec("z");
  other.model = "m2";
  AddWorker(other);
  v1::RouteRequest elsewhere = Ask(Tokens(4), "round_robin");
  elsewhere.set_model("m2");
  std::string order;
  for (int i = 0; i < 4; ++i) {
    order += Route(Ask(Tokens(4), "round_robin")).chosen().target().worker_id();
    Route(elsewhere);
  }
  EXPECT_EQ(order, "abab");
}

}  // namespace
}  // namespace kvroute
