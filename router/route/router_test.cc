// What an answer says, and what a query leaves behind.
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

TEST_F(RouterTest, EveryFieldOfARoute) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b", 2));
  Store("b", Tokens(8), 4, 1);
  Store("b", Tokens(12), 4, 1, 2, Tier::kCpu);
  source_.stream("b", 1)->next_seq = 42;

  Request request = Ask(Tokens(15));
  request.request_id = "r1";
  request.rest.expected_output_tokens = 100;
  request.rest.runner_ups = 5;
  const Decision decision = Route(request);
  EXPECT_EQ(decision.chosen.worker_id, "b");
  EXPECT_EQ(decision.chosen.rank, 1u);
  EXPECT_EQ(decision.chosen.address, "http://b:8000");
  EXPECT_EQ(decision.chosen.block_size_tokens, 4u);
  EXPECT_EQ(decision.chosen.blocks, 3u);
  EXPECT_EQ(decision.chosen.tokens(), 12u);
  EXPECT_EQ(decision.chosen.blocks_by_tier, (std::array<uint32_t, kTierCount>{2, 1, 0, 0}));
  EXPECT_EQ(decision.chosen.tokens_in(Tier::kGpu), 8u);
  EXPECT_EQ(decision.chosen.tokens_in(Tier::kCpu), 4u);
  EXPECT_EQ(decision.chosen.uncached_tokens, 3u);
  EXPECT_EQ(decision.chosen.trust, Trust::kExact);
  EXPECT_EQ(decision.chosen.trust_reason, TrustReason::kReplayComplete);
  EXPECT_EQ(decision.chosen.next_seq, 42u);
  EXPECT_EQ(decision.chosen.requests_in_flight, 0u) << "as the policy saw it";
  EXPECT_EQ(decision.total_blocks, 3u);
  EXPECT_EQ(decision.total_tokens, 15u);
  EXPECT_EQ(decision.request_id, "r1");
  EXPECT_EQ(decision.policy, PolicyKind::kWork);
  EXPECT_EQ(decision.reason, ChoiceReason::kLeastScore);
  ASSERT_EQ(decision.runner_ups.size(), 2u);
  EXPECT_EQ(decision.runner_ups[0].uncached_tokens, 15u);

  const auto load = fleet_.Snapshot()->targets[*fleet_.Snapshot()->FindTarget("b", 1)].load;
  EXPECT_EQ(load->requests_in_flight, 1u);
  EXPECT_EQ(load->uncached_tokens_outstanding, 4u) << "with loading the block in CPU memory";
  EXPECT_EQ(load->output_tokens_expected, 100u);
}

// Its texts are views into a snapshot of the fleet, which it holds.
TEST_F(RouterTest, ADecisionOutlivesTheWorkerItNames) {
  AddWorker(Spec("a"));
  const Decision decision = Route(Ask(Tokens(8)));
  ASSERT_TRUE(fleet_.Deregister("a").ok());
  AddWorker(Spec("b"));
  EXPECT_EQ(ChosenFor(Ask(Tokens(8))), "b");
  EXPECT_EQ(decision.chosen.worker_id, "a");
  EXPECT_EQ(decision.chosen.address, "http://a:8000");
}

TEST_F(RouterTest, ADecisionIsUsedAgainForTheNextQuery) {
  for (const char* id : {"a", "b", "c"}) AddWorker(Spec(id));
  Decision decision;
  Request request = Ask(Tokens(8));
  request.rest.runner_ups = 2;
  ASSERT_TRUE(router_.Route(request.View(), &decision).ok());
  EXPECT_EQ(decision.runner_ups.size(), 2u);
  const std::string first_id = decision.request_id;
  ASSERT_TRUE(fleet_.Deregister("a").ok());
  ASSERT_TRUE(fleet_.Deregister("b").ok());
  request.rest.runner_ups = 0;
  ASSERT_TRUE(router_.Route(request.View(), &decision).ok());
  EXPECT_EQ(decision.chosen.worker_id, "c");
  EXPECT_TRUE(decision.runner_ups.empty());
  EXPECT_NE(decision.request_id, first_id);
}

TEST_F(RouterTest, AFullyCachedPromptStillHasOneTokenToCompute) {
  AddWorker(Spec("a"));
  Store("a", Tokens(8));
  const Decision decision = Route(Ask(Tokens(8)));
  EXPECT_EQ(decision.chosen.tokens(), 8u);
  EXPECT_EQ(decision.chosen.uncached_tokens, 1u);
}

TEST_F(RouterTest, AnUnknownPromptIsAnAnswerWithNoMatch) {
  AddWorker(Spec("a"));
  const Decision decision = Route(Ask(Tokens(3)));
  EXPECT_EQ(decision.chosen.blocks, 0u);
  EXPECT_EQ(decision.total_blocks, 0u);
  EXPECT_EQ(decision.chosen.uncached_tokens, 3u);
}

TEST_F(RouterTest, CompleteMovesALeaseAlong) {
  AddWorker(Spec("a"));
  Request request = Ask(Tokens(16));
  request.request_id = "r";
  Route(request);
  Request other = Ask(Tokens(17));
  other.request_id = "r";
  ExpectError(RouteError(other), absl::StatusCode::kAlreadyExists, "\"r\"");
  const auto load = fleet_.Snapshot()->targets[0].load;
  EXPECT_TRUE(Complete("r", Progress::kPrefilled));
  EXPECT_EQ(load->uncached_tokens_outstanding, 0u);
  EXPECT_EQ(load->requests_in_flight, 1u);
  EXPECT_TRUE(Complete("r"));
  EXPECT_EQ(load->requests_in_flight, 0u);
  EXPECT_FALSE(Complete("r"));
  const auto invalid = absl::StatusCode::kInvalidArgument;
  ExpectError(router_.Complete({}).status(), invalid, "request_id: empty");
  ExpectError(router_.Complete({std::string(257, 'x'), Progress::kEnded}).status(), invalid,
              "request_id: 257 bytes; the limit is 256");
  for (const int progress : {0, 4}) {
    ExpectError(router_.Complete({"r", static_cast<Progress>(progress)}).status(), invalid,
                absl::StrCat("progress: ", progress, "; must be PROGRESS_PREFILLED (1)"));
  }
}

TEST_F(RouterTest, LeasesEndByTheirTimeLimitWhenAnythingIsAsked) {
  AddWorker(Spec("a"));
  Route(Ask(Tokens(16)));
  clock_.Advance(std::chrono::minutes(10));
  EXPECT_EQ(Route(Ask(Tokens(16))).chosen.requests_in_flight, 0u);
}

TEST_F(RouterTest, EveryBadTermNamesItsFieldAndLimit) {
  ExpectError(RouteError(Ask(Tokens(4))), absl::StatusCode::kUnavailable, "no worker is known");
  AddWorker(Spec("a"));
  const auto invalid = absl::StatusCode::kInvalidArgument;
  ExpectError(RouteError(Ask(Tokens(4), "best")), invalid,
              "policy: \"best\" is not one of work, lmetric, lpwl, prefix, least_loaded, "
              "round_robin, random");
  Request request = Ask(Tokens(4));
  request.request_id = std::string(257, 'x');
  ExpectError(RouteError(request), invalid, "request_id: 257 bytes; the limit is 256");
  request.request_id = "a\x1b[31m";
  ExpectError(RouteError(request), invalid, "request_id: \"a\\x1b[31m\" must be UTF-8");
  request = Ask(Tokens(4));
  request.rest.runner_ups = 1'025;
  ExpectError(RouteError(request), invalid, "runner_ups: 1025; the limit is 1024");
  request = Ask(Tokens(4));
  request.candidates.assign(10'001, {"a"});
  ExpectError(RouteError(request), invalid, "candidates: 10001 are named; the limit is 10000");
  ExpectError(RouteError(Ask({})), invalid, "prompt: empty");
  request = Ask(Tokens(4));
  request.model = "other";
  ExpectError(RouteError(request), absl::StatusCode::kNotFound,
              "model: no worker serves \"other\"");
  request.model.clear();
  EXPECT_TRUE(RouteError(request).ok()) << "the only model";
  WorkerSpec second = Spec("b");
  second.model = "m2";
  AddWorker(second);
  ExpectError(RouteError(request), invalid, "model: empty, but the workers serve 2 models");
  EXPECT_EQ(loads_.Stats().begun, 1u) << "an error takes no lease";
}

TEST_F(RouterTest, TheTrustOfEveryMatchIsTold) {
  AddWorker(Spec("a"));
  Store("a", Tokens(8));
  source_.stream("a")->trust = Trust::kDegraded;
  source_.stream("a")->reason = TrustReason::kReplayHole;
  const Decision decision = Route(Ask(Tokens(8)));
  EXPECT_EQ(decision.chosen.blocks, 2u);
  EXPECT_EQ(decision.chosen.trust, Trust::kDegraded);
  EXPECT_EQ(decision.chosen.trust_reason, TrustReason::kReplayHole);
}

TEST_F(RouterTest, ScoreOrdersByMatchAndTakesNoLease) {
  for (const char* id : {"a", "b", "c"}) AddWorker(Spec(id));
  Store("b", Tokens(8));
  Store("c", Tokens(12));
  Request request = Ask(Tokens(13));
  Scores scores;
  ASSERT_TRUE(router_.Score(request.View(), &scores).ok());
  ASSERT_EQ(scores.matches.size(), 3u);
  EXPECT_EQ(scores.matches[0].worker_id, "c");
  EXPECT_EQ(scores.matches[0].tokens(), 12u);
  EXPECT_EQ(scores.matches[1].worker_id, "b");
  EXPECT_EQ(scores.matches[2].uncached_tokens, 13u);
  EXPECT_EQ(scores.total_blocks, 3u);
  EXPECT_EQ(scores.total_tokens, 13u);
  EXPECT_EQ(loads_.Stats().begun, 0u);

  request.rest.only_matching = true;
  ASSERT_TRUE(router_.Score(request.View(), &scores).ok());
  EXPECT_EQ(scores.matches.size(), 2u);
  source_.stream("a")->trust = Trust::kSyncing;  // trouble: named although it holds nothing
  ASSERT_TRUE(router_.Score(request.View(), &scores).ok());
  EXPECT_EQ(scores.matches.size(), 3u);
}

TEST_F(RouterTest, ExplainShowsTheReasoningAndTakesNoLease) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  AddWorker(Spec("c"));
  ASSERT_TRUE(fleet_.SetDraining("c", true).ok());
  Store("b", Tokens(8));
  Explanation explanation;
  const Request request = Ask(Tokens(10));
  ASSERT_TRUE(router_.Explain(request.View(), &explanation).ok());
  ASSERT_TRUE(explanation.decision.has_value());
  EXPECT_EQ(explanation.decision->chosen.worker_id, "b");
  ASSERT_EQ(explanation.candidates.size(), 3u);
  EXPECT_EQ(explanation.candidates[0].score, 10.0);
  EXPECT_EQ(explanation.candidates[1].score, 2.0);
  EXPECT_EQ(explanation.candidates[1].match.worker_id, "b");
  EXPECT_EQ(explanation.candidates[2].left_out, LeftOut::kDraining);
  EXPECT_EQ(explanation.local_hashes, (std::vector<LocalHash>{LocalHash(14643705804678351452u),
                                                              LocalHash(16777012769546811212u)}));
  ASSERT_EQ(explanation.prefix_hashes.size(), 2u);
  EXPECT_EQ(explanation.prefix_hashes[1], PrefixHash(4945711292740353085u));
  EXPECT_EQ(loads_.Stats().begun, 0u);

  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  ASSERT_TRUE(fleet_.SetDraining("b", true).ok());
  Explanation nobody;
  ASSERT_TRUE(router_.Explain(request.View(), &nobody).ok());
  EXPECT_FALSE(nobody.decision.has_value());
  EXPECT_EQ(nobody.candidates.size(), 3u);
  EXPECT_EQ(nobody.prefix_hashes.size(), 2u);
}

TEST_F(RouterTest, DecisionsAreCounted) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  Store("b", Tokens(8));
  Route(Ask(Tokens(10)));
  EXPECT_FALSE(RouteError(Ask({})).ok());
  EXPECT_EQ(stats_.requests[0][0], 1u);
  EXPECT_EQ(stats_.requests[0][static_cast<size_t>(absl::StatusCode::kInvalidArgument)], 1u);
  EXPECT_EQ(stats_.decisions[static_cast<size_t>(PolicyKind::kWork)]
                            [static_cast<size_t>(ChoiceReason::kLeastScore)],
            1u);
  EXPECT_EQ(stats_.trusts[static_cast<size_t>(Trust::kExact)]
                         [static_cast<size_t>(TrustReason::kReplayComplete)],
            1u);
  EXPECT_EQ(stats_.prompt_tokens, 10u);
  EXPECT_EQ(stats_.matched_tokens, 8u);
  EXPECT_EQ(stats_.matched_tenths[8], 1u);
  EXPECT_EQ(stats_.route_latency.Read().count, 2u);
  EXPECT_EQ(stats_.match_latency.Read().count, 1u);
}

// Many threads route and complete while the fleet changes under them; every lease ends exactly
// once.
TEST_F(RouterTest, ConcurrentRoutesLeaveNoLoadBehind) {
  for (int i = 0; i < 8; ++i) AddWorker(Spec(absl::StrCat("w", i)));
  Store("w0", Tokens(64));
  std::atomic<int> routed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        Request request = Ask(Tokens(64 + static_cast<size_t>(t)));
        request.request_id = absl::StrCat(t, "-", i);
        Decision decision;
        ASSERT_TRUE(router_.Route(request.View(), &decision).ok());
        ++routed;
        ASSERT_TRUE(router_.Complete({decision.request_id, Progress::kEnded}).ok());
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
