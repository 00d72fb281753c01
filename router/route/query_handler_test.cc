// What an answer says, and what a query leaves behind.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

TEST_F(QueryHandlerTest, EveryFieldOfARoute) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b", 2));
  Store("b", Tokens(8), 4, 1);
  Store("b", Tokens(12), 4, 1, 2, Tier::kCpu);
  source_.stream("b", 1)->next_seq = 42;

  v1::RouteRequest request = Ask(Tokens(15));
  request.set_request_id("r1");
  request.set_expected_output_tokens(100);
  request.set_runner_ups(5);
  const v1::RouteResponse response = Route(request);
  EXPECT_EQ(response.chosen().target().worker_id(), "b");
  EXPECT_EQ(response.chosen().target().rank(), 1u);
  EXPECT_EQ(response.chosen().address(), "http://b:8000");
  EXPECT_EQ(response.chosen().matched_blocks(), 3u);
  EXPECT_EQ(response.chosen().matched_tokens(), 12u);
  EXPECT_EQ(response.chosen().matched_blocks_by_tier().gpu(), 2u);
  EXPECT_EQ(response.chosen().matched_blocks_by_tier().cpu(), 1u);
  EXPECT_EQ(response.chosen().matched_tokens_by_tier().gpu(), 8u);
  EXPECT_EQ(response.chosen().matched_tokens_by_tier().cpu(), 4u);
  EXPECT_EQ(response.chosen().uncached_tokens(), 3u);
  EXPECT_EQ(response.chosen().trust(), v1::TRUST_EXACT);
  EXPECT_EQ(response.chosen().trust_reason(), "replay_complete");
  EXPECT_EQ(response.chosen().next_seq(), 42u);
  EXPECT_EQ(response.chosen().load().requests_in_flight(), 0u) << "as the policy saw it";
  EXPECT_EQ(response.total_blocks(), 3u);
  EXPECT_EQ(response.total_tokens(), 15u);
  EXPECT_EQ(response.request_id(), "r1");
  EXPECT_EQ(response.policy(), "lmetric");
  EXPECT_EQ(response.reason(), "least_score");
  ASSERT_EQ(response.runner_ups_size(), 2);
  EXPECT_EQ(response.runner_ups(0).uncached_tokens(), 15u);

  const auto load = fleet_.Snapshot()->targets[*fleet_.Snapshot()->FindTarget("b", 1)].load;
  EXPECT_EQ(load->requests_in_flight, 1u);
  EXPECT_EQ(load->uncached_tokens_outstanding, 3u);
  EXPECT_EQ(load->output_tokens_expected, 100u);
}

TEST_F(QueryHandlerTest, AFullyCachedPromptStillHasOneTokenToCompute) {
  AddWorker(Spec("a"));
  Store("a", Tokens(8));
  const v1::RouteResponse response = Route(Ask(Tokens(8)));
  EXPECT_EQ(response.chosen().matched_tokens(), 8u);
  EXPECT_EQ(response.chosen().uncached_tokens(), 1u);
}

TEST_F(QueryHandlerTest, AnUnknownPromptIsAnAnswerWithNoMatch) {
  AddWorker(Spec("a"));
  const v1::RouteResponse response = Route(Ask(Tokens(3)));
  EXPECT_EQ(response.chosen().matched_blocks(), 0u);
  EXPECT_EQ(response.total_blocks(), 0u);
  EXPECT_EQ(response.chosen().uncached_tokens(), 3u);
}

TEST_F(QueryHandlerTest, CompleteMovesALeaseAlong) {
  AddWorker(Spec("a"));
  v1::RouteRequest request = Ask(Tokens(16));
  request.set_request_id("r");
  Route(request);
  ExpectError(RouteError(request), absl::StatusCode::kAlreadyExists, "\"r\"");
  const auto complete = [&](const std::string& id, v1::CompleteRequest::Progress progress) {
    v1::CompleteRequest complete_request;
    complete_request.set_request_id(id);
    complete_request.set_progress(progress);
    v1::CompleteResponse response;
    EXPECT_TRUE(queries_.Complete(complete_request, &response).ok());
    return response.known();
  };
  const auto load = fleet_.Snapshot()->targets[0].load;
  EXPECT_TRUE(complete("r", v1::CompleteRequest::PROGRESS_PREFILLED));
  EXPECT_EQ(load->uncached_tokens_outstanding, 0u);
  EXPECT_EQ(load->requests_in_flight, 1u);
  EXPECT_TRUE(complete("r", v1::CompleteRequest::PROGRESS_ENDED));
  EXPECT_EQ(load->requests_in_flight, 0u);
  EXPECT_FALSE(complete("r", v1::CompleteRequest::PROGRESS_ENDED));
  v1::CompleteResponse response;
  ExpectError(queries_.Complete({}, &response), absl::StatusCode::kInvalidArgument,
              "request_id: empty");
  v1::CompleteRequest unspecified;
  unspecified.set_request_id("r");
  ExpectError(queries_.Complete(unspecified, &response), absl::StatusCode::kInvalidArgument,
              "progress: 0");
}

TEST_F(QueryHandlerTest, LeasesEndByTheirTimeLimitWhenAnythingIsAsked) {
  AddWorker(Spec("a"));
  Route(Ask(Tokens(16)));
  clock_.Advance(std::chrono::minutes(10));
  EXPECT_EQ(Route(Ask(Tokens(16))).chosen().load().requests_in_flight(), 0u);
}

// Without a replay endpoint an idle engine stays stale behind a new connection until it is given
// work.
TEST_F(QueryHandlerTest, EveryBadTermNamesItsFieldAndLimit) {
  ExpectError(RouteError(Ask(Tokens(4))), absl::StatusCode::kUnavailable, "no worker is known");
  AddWorker(Spec("a"));
  const auto invalid = absl::StatusCode::kInvalidArgument;
  ExpectError(RouteError(Ask(Tokens(4), "best")), invalid,
              "policy: \"best\" is not one of lmetric, prefix");
  v1::RouteRequest request = Ask(Tokens(4));
  request.set_request_id(std::string(257, 'x'));
  ExpectError(RouteError(request), invalid, "request_id: 257 bytes; the limit is 256");
  request = Ask(Tokens(4));
  request.set_runner_ups(1'025);
  ExpectError(RouteError(request), invalid, "runner_ups: 1025; the limit is 1024");
  request = Ask(Tokens(4));
  for (int i = 0; i < 10'001; ++i) request.add_candidates()->set_worker_id("a");
  ExpectError(RouteError(request), invalid, "candidates: 10001 are named; the limit is 10000");
  ExpectError(RouteError(Ask({})), invalid, "prompt: empty");
  request = Ask(Tokens(4));
  request.set_model("other");
  ExpectError(RouteError(request), absl::StatusCode::kUnavailable,
              "model: no worker serves \"other\"");
  request.set_model("");
  EXPECT_TRUE(RouteError(request).ok()) << "the only model";
  WorkerSpec second = Spec("b");
  second.model = "m2";
  AddWorker(second);
  ExpectError(RouteError(request), invalid, "model: empty, but the workers serve 2 models");
  EXPECT_EQ(loads_.Stats().begun, 1u) << "an error takes no lease";
}

TEST_F(QueryHandlerTest, TheTrustOfEveryMatchIsTold) {
  AddWorker(Spec("a"));
  Store("a", Tokens(8));
  source_.stream("a")->trust = Trust::kDegraded;
  source_.stream("a")->reason = TrustReason::kReplayHole;
  const v1::RouteResponse response = Route(Ask(Tokens(8)));
  EXPECT_EQ(response.chosen().matched_blocks(), 2u);
  EXPECT_EQ(response.chosen().trust(), v1::TRUST_DEGRADED);
  EXPECT_EQ(response.chosen().trust_reason(), "replay_hole");
}

TEST_F(QueryHandlerTest, ScoreOrdersByMatchAndTakesNoLease) {
  for (const char* id : {"a", "b", "c"}) AddWorker(Spec(id));
  Store("b", Tokens(8));
  Store("c", Tokens(12));
  v1::ScoreRequest request;
  for (const TokenId token : Tokens(13)) request.mutable_prompt()->add_token_ids(token);
  v1::ScoreResponse response;
  ASSERT_TRUE(queries_.Score(request, &response).ok());
  ASSERT_EQ(response.matches_size(), 3);
  EXPECT_EQ(response.matches(0).target().worker_id(), "c");
  EXPECT_EQ(response.matches(0).matched_tokens(), 12u);
  EXPECT_EQ(response.matches(1).target().worker_id(), "b");
  EXPECT_EQ(response.matches(2).uncached_tokens(), 13u);
  EXPECT_EQ(response.total_blocks(), 3u);
  EXPECT_EQ(response.total_tokens(), 13u);
  EXPECT_EQ(loads_.Stats().begun, 0u);

  request.set_only_matching(true);
  response.Clear();
  ASSERT_TRUE(queries_.Score(request, &response).ok());
  EXPECT_EQ(response.matches_size(), 2);
  source_.stream("a")->trust = Trust::kSyncing;  // trouble: named although it holds nothing
  response.Clear();
  ASSERT_TRUE(queries_.Score(request, &response).ok());
  EXPECT_EQ(response.matches_size(), 3);
}

TEST_F(QueryHandlerTest, ExplainShowsTheReasoningAndTakesNoLease) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  AddWorker(Spec("c"));
  ASSERT_TRUE(fleet_.SetDraining("c", true).ok());
  Store("b", Tokens(8));
  v1::ExplainResponse response;
  ASSERT_TRUE(queries_.Explain(Ask(Tokens(10)), &response).ok());
  EXPECT_EQ(response.decision().chosen().target().worker_id(), "b");
  ASSERT_EQ(response.candidates_size(), 3);
  EXPECT_EQ(response.candidates(0).score(), 10.0);
  EXPECT_EQ(response.candidates(1).score(), 2.0);
  EXPECT_EQ(response.candidates(2).left_out(), "draining");
  ASSERT_EQ(response.prefix_hashes_size(), 2);
  EXPECT_EQ(response.local_hashes(0), 14643705804678351452u);
  EXPECT_EQ(response.local_hashes(1), 16777012769546811212u);
  EXPECT_EQ(response.prefix_hashes(1), 4945711292740353085u);
  EXPECT_EQ(loads_.Stats().begun, 0u);

  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  ASSERT_TRUE(fleet_.SetDraining("b", true).ok());
  response.Clear();
  ASSERT_TRUE(queries_.Explain(Ask(Tokens(10)), &response).ok());
  EXPECT_FALSE(response.has_decision());
  EXPECT_EQ(response.candidates_size(), 3);
}

TEST_F(QueryHandlerTest, DecisionsAreCounted) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  Store("b", Tokens(8));
  Route(Ask(Tokens(10)));
  EXPECT_FALSE(RouteError(Ask({})).ok());
  EXPECT_EQ(stats_.requests[0][0], 1u);
  EXPECT_EQ(stats_.requests[0][static_cast<size_t>(absl::StatusCode::kInvalidArgument)], 1u);
  EXPECT_EQ(stats_.decisions[static_cast<size_t>(PolicyKind::kLmetric)]
                            [static_cast<size_t>(ChoiceReason::kLeastScore)],
            1u);
  EXPECT_EQ(stats_.prompt_tokens, 10u);
  EXPECT_EQ(stats_.matched_tokens, 8u);
  EXPECT_EQ(stats_.matched_tenths[8], 1u);
  EXPECT_EQ(stats_.route_latency.Read().count, 2u);
  EXPECT_EQ(stats_.match_latency.Read().count, 1u);
}

// Many threads route and complete while the fleet changes under them; every lease ends exactly
// once.
TEST_F(QueryHandlerTest, ConcurrentRoutesLeaveNoLoadBehind) {
  for (int i = 0; i < 8; ++i) AddWorker(Spec(absl::StrCat("w", i)));
  Store("w0", Tokens(64));
  std::atomic<int> routed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        v1::RouteRequest request = Ask(Tokens(64 + static_cast<size_t>(t)));
        request.set_request_id(absl::StrCat(t, "-", i));
        v1::RouteResponse response;
        ASSERT_TRUE(queries_.Route(request, &response).ok());
        ++routed;
        v1::CompleteRequest complete;
        complete.set_request_id(request.request_id());
        complete.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
        v1::CompleteResponse ended;
        ASSERT_TRUE(queries_.Complete(complete, &ended).ok());
      }
    });
  }
  const WorkerSpec comes_and_goes = Spec("x");
  for (int i = 0; i < 20; ++i) {
    AddWorker(comes_and_goes);
    ASSERT_TRUE(fleet_.SetDraining("w1", i % 2 == 0).ok());
    ASSERT_TRUE(fleet_.Deregister("x").ok());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(routed, 2'000);
  // A lease may have begun on "x" after it was dropped: its request had been decided before. It
  // ends by Complete.
  EXPECT_EQ(loads_.Stats().leases, 0u);
  for (const FleetTarget& target : fleet_.Snapshot()->targets) {
    EXPECT_EQ(target.load->requests_in_flight, 0u);
    EXPECT_EQ(target.load->uncached_tokens_outstanding, 0u);
  }
}

}  // namespace
}  // namespace kvroute
