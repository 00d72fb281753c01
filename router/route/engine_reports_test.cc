// What engines say of themselves, and whether they answer at all, in decisions.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

class EngineReportsTest : public RouterTest {
 protected:
  EngineReport& Report(const std::string& worker) {
    const auto snapshot = fleet_.Snapshot();
    return snapshot->targets[*snapshot->FindTarget(worker, 0)].load->engine;
  }
  std::string Chosen() { return std::string(Route(Ask(Tokens(16))).chosen.worker_id); }
  void Say(const std::string& worker, uint32_t waiting, uint32_t running) {
    EngineReport& report = Report(worker);
    report.health = EngineHealth::kAnswers;
    report.waiting = waiting;
    report.running = running;
    report.kv_usage_millionths = 500'000;
    report.capacity_blocks = 1'000;
    report.is_fresh = true;
    report.at_ns = 7;
  }
};

// Another gateway's requests: kvroute has no lease for them.
TEST_F(EngineReportsTest, TheBusyEngineIsNotChosenThoughNothingWasRoutedThere) {
  AddWorker(Spec("busy"));
  AddWorker(Spec("idle"));
  Say("busy", 5, 20);
  Say("idle", 0, 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Chosen(), "idle");
  Report("busy").is_fresh = false;  // it says nothing of now
  EXPECT_EQ(Chosen(), "busy");
}

TEST_F(EngineReportsTest, ACandidateHasWhatItsEngineSaid) {
  AddWorker(Spec("a"));
  Say("a", 2, 3);
  Explanation explanation;
  ASSERT_TRUE(router_.Explain(Ask(Tokens(16)).View(), &explanation).ok());
  const Match& match = explanation.candidates[0].match;
  EXPECT_EQ(match.requests_in_flight, 5u);
  EXPECT_EQ(match.engine.health, EngineHealth::kAnswers);
  EXPECT_EQ(match.engine.at, Nanos(7));
  EXPECT_EQ(match.engine.waiting, 2u);
  EXPECT_EQ(match.engine.running, 3u);
  EXPECT_EQ(match.engine.kv_usage, 0.5);
  EXPECT_EQ(match.engine.capacity_blocks, 1'000u);
}

TEST_F(EngineReportsTest, OneThatDoesNotAnswerIsLeftOutWhileAnotherServes) {
  AddWorker(Spec("dead"));
  AddWorker(Spec("alive"));
  Store("dead", Tokens(16));
  EXPECT_EQ(Chosen(), "dead");
  Report("dead").health = EngineHealth::kDoesNotAnswer;
  const Decision decision = Route(Ask(Tokens(16)));
  EXPECT_EQ(decision.chosen.worker_id, "alive");
  EXPECT_EQ(decision.left_out[static_cast<size_t>(LeftOut::kNotAnswering)], 1u);
}

// What does not answer us may well answer the gateway.
TEST_F(EngineReportsTest, WhereNobodyAnswersAllMayBeChosen) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  AddWorker(Spec("drained"));
  Store("b", Tokens(16));
  Report("a").health = EngineHealth::kDoesNotAnswer;
  Report("b").health = EngineHealth::kDoesNotAnswer;
  ASSERT_TRUE(fleet_.SetDraining("drained", true).ok());
  const Decision decision = Route(Ask(Tokens(16)));
  EXPECT_EQ(decision.chosen.worker_id, "b");
  EXPECT_EQ(decision.left_out[static_cast<size_t>(LeftOut::kNotAnswering)], 0u);
}

TEST_F(EngineReportsTest, AnOverloadedOneGoesBeforeOneThatDoesNotAnswer) {
  WorkerSpec full = Spec("full");
  full.max_requests_in_flight = 1;
  AddWorker(full);
  EXPECT_EQ(Chosen(), "full");
  AddWorker(Spec("dead"));
  Report("dead").health = EngineHealth::kDoesNotAnswer;
  const Decision decision = Route(Ask(Tokens(16)));
  EXPECT_EQ(decision.chosen.worker_id, "full");
  EXPECT_EQ(decision.reason, ChoiceReason::kAllOverloaded);
}

}  // namespace
}  // namespace kvroute
