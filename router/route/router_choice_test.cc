// Who may be chosen, and who is.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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
  for (const char* id : {"draining", "full", "fit"}) {
    WorkerSpec spec = Spec(id);
    if (spec.worker_id == "full") spec.max_requests_in_flight = 1;
    AddWorker(spec);
    if (spec.worker_id != "fit") Store(id, Tokens(16));
  }
  ASSERT_TRUE(fleet_.SetDraining("draining", true).ok());
  Request fill = Ask(Tokens(16));
  fill.candidates = {{"full"}};
  Route(fill);
  EXPECT_EQ(ChosenFor(Ask(Tokens(16))), "fit");
  EXPECT_EQ(stats_.left_out[static_cast<size_t>(LeftOut::kOverloaded)], 1u);

  ASSERT_TRUE(fleet_.Deregister("fit").ok());
  ASSERT_TRUE(fleet_.SetDraining("full", true).ok());
  ExpectError(RouteError(Ask(Tokens(16))), absl::StatusCode::kUnavailable,
              "no worker can serve model \"m\": of its 2 targets 2 draining");
  Request named = Ask(Tokens(16));
  named.candidates = {{"gone"}};
  ExpectError(RouteError(named), absl::StatusCode::kUnavailable,
              "2 not_a_candidate; 1 of the named candidates are none of them");
}

// Its limit spares a worker as long as another serves. Leases that nobody ends would otherwise stop
// all requests while the engines idle.
TEST_F(RouterTest, WhenAllAreOverloadedTheLeastLoadedIsChosenAndItIsSaid) {
  for (const char* id : {"a", "b"}) {
    WorkerSpec spec = Spec(id);
    spec.max_requests_in_flight = 2;
    AddWorker(spec);
  }
  Store("a", Tokens(16));
  for (int i = 0; i < 4; ++i)
    EXPECT_NE(Route(Ask(Tokens(16))).reason, ChoiceReason::kAllOverloaded);
  std::map<std::string, int> chosen;
  for (int i = 0; i < 4; ++i) {
    const Decision decision = Route(Ask(Tokens(16)));
    EXPECT_EQ(decision.reason, ChoiceReason::kAllOverloaded);
    ++chosen[std::string(decision.chosen.worker_id)];
  }
  EXPECT_EQ(chosen["a"], 2);
  EXPECT_EQ(chosen["b"], 2);
  Explanation explanation;
  ASSERT_TRUE(router_.Explain(Ask(Tokens(16)).View(), &explanation).ok());
  EXPECT_EQ(explanation.decision->reason, ChoiceReason::kAllOverloaded);
  EXPECT_EQ(explanation.candidates[0].left_out, LeftOut::kNo);
}

// Whether events arrive says nothing about whether an engine serves: the port may be wrong, or a
// firewall in between.
TEST_F(RouterTest, WorkersThatAreNotHeardAreChosenByTheirLoad) {
  for (const char* id : {"stale", "never"}) {
    AddWorker(Spec(id));
    Store(id, Tokens(16));
    source_.stream(id)->connected = false;
  }
  source_.stream("stale")->trust = Trust::kStale;
  source_.stream("never")->trust = Trust::kCold;
  for (const char* policy :
       {"work", "lmetric", "lpwl", "prefix", "least_loaded", "round_robin", "random"}) {
    for (int i = 0; i < 20; ++i) {
      const Decision decision = Route(Ask(Tokens(16), policy));
      EXPECT_TRUE(decision.chosen.unheard);
      EXPECT_EQ(decision.chosen.blocks, 0u) << "what it held when it was heard is not known now";
      EXPECT_EQ(decision.chosen.uncached_tokens, 16u);
      EXPECT_NE(decision.chosen.trust, Trust::kExact);
    }
  }
  EXPECT_EQ(stats_.unheard_decisions, 140u);
  const auto snapshot = fleet_.Snapshot();
  for (const FleetTarget& target : snapshot->targets) {
    EXPECT_GT(target.load->requests_in_flight, 25u) << target.worker->spec.worker_id;
    EXPECT_FALSE(target.heard());
  }
}

TEST_F(RouterTest, AWorkerThatIsNotHeardIsBehindEqualsThatAre) {
  AddWorker(Spec("heard"));
  AddWorker(Spec("unheard"));
  source_.stream("unheard")->trust = Trust::kStale;
  source_.stream("unheard")->connected = false;
  for (const char* policy :
       {"work", "lmetric", "lpwl", "prefix", "least_loaded", "round_robin", "random"}) {
    for (int i = 0; i < 10; ++i) {
      Request request = Ask(Tokens(16), policy);
      request.request_id = "r";
      request.rest.runner_ups = 1;
      const Decision decision = Route(request);
      EXPECT_EQ(decision.chosen.worker_id, "heard") << policy;
      EXPECT_FALSE(decision.chosen.unheard);
      EXPECT_TRUE(decision.runner_ups.at(0).unheard);
      EXPECT_TRUE(Complete("r"));
    }
  }
  Route(Ask(Tokens(16)));
  EXPECT_EQ(ChosenFor(Ask(Tokens(16))), "unheard") << "it has less to do";
}

// Of one nothing is known because the request's hashes are of another block size, of the other
// because it is not heard: that one may not even be there.
TEST_F(RouterTest, AWorkerThatIsNotHeardDoesNotTakeAllFromOneThatCannotBeCompared) {
  AddWorker(Spec("by4", 1, 4));
  AddWorker(Spec("by8", 1, 8));
  source_.stream("by4")->trust = Trust::kStale;
  source_.stream("by4")->connected = false;
  Request hashes = Ask({});
  hashes.rest.prompt.block_hashes = {BlockHashKind::kLocal, {}, 4, 0};
  hashes.hash_values = {HashBlock(Tokens(4), MakeNamespaceSeed("", "")).value()};
  EXPECT_EQ(ChosenFor(hashes), "by8");
  source_.stream("by4")->trust = Trust::kExact;
  source_.stream("by4")->connected = true;
  EXPECT_EQ(ChosenFor(hashes), "by4");
}

TEST_F(RouterTest, AScoreSaysWhoIsNotHeard) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  Store("a", Tokens(16));
  Store("b", Tokens(12));
  source_.stream("a")->trust = Trust::kStale;
  source_.stream("a")->connected = false;
  Scores scores;
  Request request = Ask(Tokens(16));
  request.rest.only_matching = true;
  ASSERT_TRUE(router_.Score(request.View(), &scores).ok());
  ASSERT_EQ(scores.matches.size(), 2u);
  EXPECT_EQ(scores.matches[0].worker_id, "b");
  EXPECT_EQ(scores.matches[1].blocks, 0u);
  EXPECT_TRUE(scores.matches[1].unheard);
}

// On a listener the connection is everybody's.
TEST_F(RouterTest, ADiscoveredWorkerThatIsStaleIsNotHeardThoughConnected) {
  source_.SetCallbacks([&](const DiscoveredStream& d) { return fleet_.AddDiscovered(d); }, {});
  ASSERT_TRUE(source_.Discover("h", "m"));
  fleet_.AwaitPublished();
  const auto stream = source_.stream("kv@h@m");
  stream->connected = true;
  stream->trust = Trust::kExact;
  EXPECT_FALSE(Route(Ask(Tokens(16))).chosen.unheard);
  stream->trust = Trust::kStale;
  EXPECT_TRUE(Route(Ask(Tokens(16))).chosen.unheard);
}

TEST_F(RouterTest, AStaleWorkerThatIsConnectedAgainIsHeard) {
  AddWorker(Spec("idle"));
  Store("idle", Tokens(16));
  source_.stream("idle")->trust = Trust::kStale;
  const Decision decision = Route(Ask(Tokens(16)));
  EXPECT_EQ(decision.chosen.worker_id, "idle");
  EXPECT_EQ(decision.chosen.trust, Trust::kStale);
  EXPECT_EQ(decision.chosen.blocks, 4u);
  EXPECT_FALSE(decision.chosen.unheard);
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

// Prompts for an engine that publishes inputs without their places are hashed without them, too.
TEST_F(RouterTest, WorkersOfOneModelMayDifferInWhatTheySayOfInputs) {
  AddWorker(Spec("bare", 1, 4));
  AddWorker(Spec("placed", 1, 4));
  source_.stream("bare")->bare_inputs = true;
  const std::vector<uint64_t> words = {HashIdentifier("img"), 0};
  const LocalHash local = HashBlock(Tokens(4), MakeNamespaceSeed("", ""), words);
  const EngineHash engine(7);
  StoreRequest block;
  block.engine_hashes = {&engine, 1};
  block.local_hashes = {&local, 1};
  for (const char* worker : {"bare", "placed"}) index_.Store(source_.stream(worker)->id, block);
  Request request = Ask(Tokens(8), "prefix");
  const MultimodalInput image{"img", 2, 4};
  request.rest.prompt.multimodal = {&image, 1};
  const Decision decision = Route(request);
  EXPECT_EQ(decision.chosen.worker_id, "bare");
  EXPECT_EQ(decision.chosen.blocks, 1u);
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
  for (const char* policy : {"work", "lmetric", "lpwl", "prefix", "least_loaded", "random"}) {
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

// A system prompt that one of four holds, 128 requests at once with little of their own.
TEST_F(RouterTest, AHotPrefixSpreadsBeforeAQueueForms) {
  for (const bool prefilled_at_once : {false, true}) {
    for (const size_t own_tokens : {1, 16, 64, 256, 1'024}) {
      SCOPED_TRACE(absl::StrCat(prefilled_at_once, " ", own_tokens));
      const std::string model = absl::StrCat("hot-", prefilled_at_once, own_tokens);
      for (const char* id : {"a", "b", "c", "d"}) {
        WorkerSpec spec = Spec(absl::StrCat(model, id));
        spec.model = model;
        AddWorker(spec);
      }
      Store(model + "a", Tokens(4'096));
      std::map<std::string, int> chosen;
      for (int i = 0; i < 128; ++i) {
        Request request = Ask(Tokens(4'096 + own_tokens));
        request.model = model;
        request.token_ids[4'096] = 1'000'000 + static_cast<TokenId>(i);
        const Decision decision = Route(request);
        ++chosen[std::string(decision.chosen.worker_id)];
        if (!prefilled_at_once) continue;
        EXPECT_TRUE(Complete(decision.request_id, Progress::kPrefilled));
        Store(std::string(decision.chosen.worker_id), Tokens(4'096));
      }
      for (const auto& [worker, count] : chosen) EXPECT_LE(count, 64) << worker;
      EXPECT_EQ(chosen.size(), 4u);
    }
  }
}

// Requests that end before the next one comes: nobody else is ever too busy.
TEST_F(RouterTest, AReplicaThatJoinsAWarmFleetEarnsItsShare) {
  std::map<std::string, int> chosen;
  const auto ask = [&](int times) {
    for (int i = 0; i < times; ++i) {
      const Decision decision = Route(Ask(Tokens(4'096)));
      const std::string worker(decision.chosen.worker_id);
      ++chosen[worker];
      EXPECT_TRUE(Complete(decision.request_id));
      if (decision.chosen.blocks == 0) Store(worker, Tokens(4'096));
    }
  };
  for (const char* id : {"a", "b", "c"}) {
    AddWorker(Spec(id));
    Store(id, Tokens(4'096));
  }
  ask(60);
  AddWorker(Spec("new"));
  chosen.clear();
  ask(120);
  EXPECT_GE(chosen["new"], 15) << "half of its fair share";
  EXPECT_LE(chosen["new"], 45);
}

TEST_F(RouterTest, OfEqualMatchesTheFasterTierWins) {
  const std::vector<std::pair<const char*, Tier>> tiers = {{"disk", Tier::kDisk},
                                                           {"gpu", Tier::kGpu},
                                                           {"external", Tier::kExternal},
                                                           {"cpu", Tier::kCpu}};
  for (const auto& [id, tier] : tiers) {
    AddWorker(Spec(id));
    Store(id, Tokens(4'096), 4, 0, 0, tier);
  }
  AddWorker(Spec("none"));
  for (const char* policy : {"work", "lmetric", "lpwl"}) {
    Request request = Ask(Tokens(5'000), policy);
    request.rest.runner_ups = 4;
    const Decision decision = Route(request);
    std::string order(decision.chosen.worker_id);
    for (const Match& next : decision.runner_ups) order.append(" ").append(next.worker_id);
    EXPECT_EQ(order, "gpu cpu disk external none") << policy;
    EXPECT_TRUE(Complete(decision.request_id));
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
