#include "router/fleet/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using FleetTest = FleetFixture;

TEST_F(FleetTest, AnotherNumberOfRanksTouchesOnlyThoseThatComeOrGo) {
  ASSERT_TRUE(fleet_.Register(Spec("w", 100, 2)).ok());
  const FleetTarget before = fleet_.Snapshot()->targets[0];
  const auto rank1 = source_.stream("w", 1);
  ASSERT_TRUE(fleet_.Register(Spec("w", 100, 1)).ok());
  ASSERT_TRUE(fleet_.Register(Spec("w", 100, 3)).ok());
  const FleetTarget after = fleet_.Snapshot()->targets[0];
  EXPECT_EQ(after.stream, before.stream);
  EXPECT_EQ(after.load, before.load);
  EXPECT_NE(source_.stream("w", 1), rank1);
  EXPECT_EQ(source_.added(), 4);
  EXPECT_EQ(source_.removed(), 1);
}

TEST_F(FleetTest, TheStreamsOfAWorkerShareWhatTheyLearnOfItsRanks) {
  ASSERT_TRUE(fleet_.Register(Spec("w", 100, 2)).ok());
  const auto shared = [&](uint32_t rank) {
    return source_.stream("w", rank)->config.first_rank.of_worker;
  };
  const auto first = shared(0);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(shared(1), first);
  ASSERT_TRUE(fleet_.Register(Spec("w", 100, 3)).ok());
  EXPECT_EQ(shared(2), first);
  ASSERT_TRUE(fleet_.Register(Spec("w", 200, 3)).ok());  // other engines
  EXPECT_NE(shared(0), first);
}

TEST_F(FleetTest, StartsEmpty) {
  EXPECT_THAT(Ids(), IsEmpty());
  EXPECT_EQ(fleet_.Snapshot()->FindModel(""), nullptr);
  EXPECT_EQ(fleet_.Snapshot()->TargetOf(StreamId(0)), std::nullopt);
}

TEST_F(FleetTest, RegisteredWorkersAreFoundByModelWorkerAndStream) {
  ASSERT_TRUE(fleet_.Register(Spec("b", 100, 2, "m1")).ok());
  ASSERT_TRUE(fleet_.Register(Spec("a", 200, 1, "m2")).ok());
  ASSERT_TRUE(fleet_.Register(Spec("c", 300, 1, "m1")).ok());
  EXPECT_THAT(Ids(), ElementsAre("b/0", "b/1", "c/0", "a/0"));

  const auto snapshot = fleet_.Snapshot();
  ASSERT_NE(snapshot->FindModel("m1"), nullptr);
  EXPECT_EQ(snapshot->FindModel("m1")->begin, 0u);
  EXPECT_EQ(snapshot->FindModel("m1")->end, 3u);
  EXPECT_EQ(snapshot->FindModel("m2")->begin, 3u);
  EXPECT_EQ(snapshot->FindModel("m"), nullptr);
  EXPECT_EQ(snapshot->FindModel(""), nullptr);  // two models: which?
  EXPECT_EQ(snapshot->FindTarget("b", 1), 1u);
  EXPECT_EQ(snapshot->FindTarget("b", 2), std::nullopt);
  EXPECT_EQ(snapshot->FindTarget("d", 0), std::nullopt);
  for (uint32_t i = 0; i < snapshot->targets.size(); ++i) {
    EXPECT_EQ(snapshot->TargetOf(snapshot->targets[i].stream->id), i);
  }
  EXPECT_EQ(snapshot->TargetOf(StreamId(77'777)), std::nullopt);
}

TEST_F(FleetTest, AnEmptyModelMeansTheOnlyOne) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100)).ok());
  ASSERT_NE(fleet_.Snapshot()->FindModel(""), nullptr);
  EXPECT_EQ(fleet_.Snapshot()->FindModel("")->model, "m");
}

TEST_F(FleetTest, ReplacingARegistrationKeepsTheStreamsThatStayTheSame) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100, 2)).ok());
  const auto before = fleet_.Snapshot();
  ASSERT_TRUE(loads_.Begin("r0", before->targets[0].load, {5, 0}).ok());
  ASSERT_TRUE(loads_.Begin("r1", before->targets[1].load, {5, 0}).ok());

  ASSERT_TRUE(fleet_.Register(Spec("a", 100, 2)).ok());
  EXPECT_EQ(fleet_.Snapshot()->version, before->version) << "nothing changed, nothing is published";

  WorkerSpec moved = Spec("a", 100, 2);
  moved.address = "http://elsewhere";
  moved.rank_overrides = {{1, "tcp://127.0.0.2:9", ""}};
  ASSERT_TRUE(fleet_.Register(moved).ok());
  const auto after = fleet_.Snapshot();
  EXPECT_EQ(after->targets[0].stream, before->targets[0].stream);
  EXPECT_EQ(after->targets[0].worker->spec.address, "http://elsewhere");
  EXPECT_NE(after->targets[1].stream, before->targets[1].stream);
  EXPECT_EQ(after->targets[0].load->requests_in_flight, 1u);
  EXPECT_EQ(after->targets[1].load->requests_in_flight, 0u);
  EXPECT_TRUE(loads_.End("r0"));
  EXPECT_FALSE(loads_.End("r1")) << "its target is gone";
  EXPECT_EQ(source_.added(), 3);
  EXPECT_EQ(source_.removed(), 1);
}

TEST_F(FleetTest, DeregisterEndsStreamsAndLeases) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100)).ok());
  ASSERT_TRUE(fleet_.Register(Spec("b", 200)).ok());
  ASSERT_TRUE(loads_.Begin("r", fleet_.Snapshot()->targets[0].load, {5, 0}).ok());
  ASSERT_TRUE(fleet_.Deregister("a").ok());
  EXPECT_THAT(Ids(), ElementsAre("b/0"));
  EXPECT_THAT(source_.streams(), ElementsAre(Pair("b", 0)));
  EXPECT_EQ(loads_.Stats().dropped, 1u);
  EXPECT_EQ(fleet_.Deregister("a").code(), absl::StatusCode::kNotFound);
}

TEST_F(FleetTest, TwoWorkersCannotPublishAtOneEndpoint) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100, 3)).ok());
  const absl::Status status = fleet_.Register(Spec("b", 102));
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("\"tcp://127.0.0.1:102\" of worker \"b\" is also that of worker \"a\""));
  EXPECT_THAT(Ids(), ElementsAre("a/0", "a/1", "a/2"));
  ASSERT_TRUE(fleet_.Register(Spec("a", 100, 2)).ok());
  EXPECT_TRUE(fleet_.Register(Spec("b", 102)).ok()) << "free again";
}

TEST_F(FleetTest, TheNumberOfRanksIsBounded) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100, 9)).ok());
  const absl::Status status = fleet_.Register(Spec("b", 200, 2));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("max_streams: 11 ranks in all; the limit is 10"));
  EXPECT_TRUE(fleet_.Register(Spec("b", 200, 1)).ok());
}

TEST_F(FleetTest, AnIngestThatRefusesARankLeavesNothingBehind) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100)).ok());
  source_.FailAt("tcp://127.0.0.1:202");
  const absl::Status status = fleet_.Register(Spec("b", 200, 4));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("worker \"b\" rank 2: event_endpoint"));
  EXPECT_THAT(Ids(), ElementsAre("a/0"));
  EXPECT_THAT(source_.streams(), ElementsAre(Pair("a", 0)));
}

TEST_F(FleetTest, DrainingKeepsStreamAndLeasesAndSurvivesReplacement) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100)).ok());
  const auto before = fleet_.Snapshot();
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  EXPECT_TRUE(fleet_.Snapshot()->targets[0].worker->draining);
  EXPECT_EQ(fleet_.Snapshot()->targets[0].stream, before->targets[0].stream);
  EXPECT_EQ(fleet_.Snapshot()->targets[0].load, before->targets[0].load);
  ASSERT_TRUE(fleet_.Register(Spec("a", 100)).ok());
  EXPECT_TRUE(fleet_.Snapshot()->targets[0].worker->draining);
  EXPECT_EQ(fleet_.SetDraining("x", true).code(), absl::StatusCode::kNotFound);
}

TEST_F(FleetTest, ConfigIsAppliedAsADifference) {
  ASSERT_TRUE(fleet_.Register(Spec("api", 900)).ok());
  ASSERT_TRUE(fleet_.ApplyConfig({Spec("a", 100), Spec("b", 200)}).ok());
  const auto before = fleet_.Snapshot();
  ASSERT_TRUE(fleet_.ApplyConfig({Spec("b", 200), Spec("c", 300)}).ok());
  EXPECT_THAT(Ids(), ElementsAre("api/0", "b/0", "c/0"));
  EXPECT_EQ(fleet_.Snapshot()->targets[1].stream, before->targets[2].stream);
  EXPECT_EQ(fleet_.Snapshot()->targets[0].worker->source, WorkerSource::kApi);
  EXPECT_EQ(fleet_.Snapshot()->targets[1].worker->source, WorkerSource::kConfig);
  // An endpoint may move from one worker to another in one step.
  EXPECT_TRUE(fleet_.ApplyConfig({Spec("b", 300), Spec("c", 200)}).ok());
}

TEST_F(FleetTest, AConfigWithAnErrorChangesNothing) {
  ASSERT_TRUE(fleet_.Register(Spec("api", 900)).ok());
  ASSERT_TRUE(fleet_.ApplyConfig({Spec("a", 100)}).ok());
  const uint64_t version = fleet_.Snapshot()->version;
  const struct {
    std::vector<WorkerSpec> specs;
    absl::StatusCode code;
    const char* message;
  } cases[] = {
      {{Spec("b", 200), Spec("", 300)},
       absl::StatusCode::kInvalidArgument,
       "worker \"\": worker_id"},
      {{Spec("b", 200), Spec("b", 300)}, absl::StatusCode::kAlreadyExists, "\"b\" is named twice"},
      {{Spec("api", 300)}, absl::StatusCode::kAlreadyExists, "\"api\" is registered already"},
      {{Spec("b", 200), Spec("c", 200)}, absl::StatusCode::kAlreadyExists, "event_endpoint"},
      {{Spec("b", 900)},
       absl::StatusCode::kAlreadyExists,
       "of worker \"b\" is also that of worker \"api\""},
  };
  for (const auto& c : cases) {
    const absl::Status status = fleet_.ApplyConfig(c.specs);
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
    EXPECT_EQ(fleet_.Snapshot()->version, version);
  }
}

TEST_F(FleetTest, TheApiCannotTouchConfiguredWorkers) {
  ASSERT_TRUE(fleet_.ApplyConfig({Spec("a", 100)}).ok());
  EXPECT_EQ(fleet_.Register(Spec("a", 100)).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(fleet_.Deregister("a").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fleet_.SetDraining("a", true).ok());
}

TEST_F(FleetTest, TheTurnOfAModelOutlivesSnapshots) {
  ASSERT_TRUE(fleet_.Register(Spec("a", 100)).ok());
  fleet_.Snapshot()->models[0].state->turn = 7;
  ASSERT_TRUE(fleet_.Register(Spec("b", 200)).ok());
  EXPECT_EQ(fleet_.Snapshot()->models[0].state->turn, 7u);
}

TEST_F(FleetTest, ReadersSeeWholeChangesOnly) {
  std::atomic<bool> done{false};
  std::thread reader([&] {
    std::shared_ptr<const FleetSnapshot> view;
    uint64_t version = 0;
    while (!done) {
      fleet_.Refresh(&view);
      EXPECT_GE(view->version, version);
      version = view->version;
      EXPECT_TRUE(view->targets.empty() || view->targets.size() == 5) << view->targets.size();
      for (uint32_t i = 0; i < view->targets.size(); ++i) {
        EXPECT_EQ(view->TargetOf(view->targets[i].stream->id), i);
      }
    }
  });
  const std::vector<WorkerSpec> specs = {Spec("a", 100, 2), Spec("b", 200, 3)};
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(fleet_.ApplyConfig(specs).ok());
    ASSERT_TRUE(fleet_.ApplyConfig({}).ok());
  }
  done = true;
  reader.join();
  EXPECT_THAT(source_.streams(), IsEmpty());
}

}  // namespace
}  // namespace kvroute
