// Several owners name workers, each a set of its own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "indexer/base/error.h"
#include "router/fleet/fleet.h"
#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class OwnersTest : public FleetFixture {
 protected:
  // Ids of those that are refused.
  std::vector<std::string> Replace(WorkerSource owner, std::vector<OwnedWorker> workers) {
    std::vector<std::string> refused;
    for (const RefusedWorker& worker : fleet_.Replace(owner, workers)) {
      EXPECT_FALSE(worker.why.ok());
      refused.push_back(worker.worker_id);
    }
    return refused;
  }
  std::shared_ptr<const FleetWorker> Worker(const std::string& id) const {
    const auto snapshot = Settled();
    return snapshot->targets[*snapshot->FindTarget(id, 0)].worker;
  }
};

TEST_F(OwnersTest, EachReplacesItsOwnAndNobodyElses) {
  ASSERT_TRUE(fleet_.ApplyConfig({Spec("c", 100)}).ok());
  ASSERT_TRUE(fleet_.Register(Spec("a", 200)).ok());
  EXPECT_THAT(Replace(WorkerSource::kKubernetes, {{Spec("k1", 300)}, {Spec("k2", 400)}}),
              IsEmpty());
  EXPECT_THAT(Replace(WorkerSource::kFile, {{Spec("f", 500)}}), IsEmpty());
  EXPECT_THAT(Ids(), UnorderedElementsAre("a/0", "c/0", "k1/0", "k2/0", "f/0"));
  EXPECT_THAT(Replace(WorkerSource::kKubernetes, {{Spec("k2", 400)}}), IsEmpty());
  EXPECT_THAT(Replace(WorkerSource::kFile, {}), IsEmpty());
  EXPECT_THAT(Ids(), UnorderedElementsAre("a/0", "c/0", "k2/0"));
  EXPECT_EQ(Worker("k2")->source, WorkerSource::kKubernetes);
}

TEST_F(OwnersTest, WhatIsTheSameKeepsItsStream) {
  Replace(WorkerSource::kKubernetes, {{Spec("k", 100)}});
  const auto before = source_.stream("k", 0);
  const uint64_t version = Settled()->version;
  Replace(WorkerSource::kKubernetes, {{Spec("k", 100)}});
  EXPECT_EQ(Settled()->version, version);
  EXPECT_EQ(source_.stream("k", 0), before);
}

TEST_F(OwnersTest, OneThatIsNotReadyKeepsItsStreamAndGetsNoRequests) {
  Replace(WorkerSource::kKubernetes, {{Spec("k", 100)}});
  const auto before = source_.stream("k", 0);
  Replace(WorkerSource::kKubernetes, {{Spec("k", 100), true}});
  EXPECT_TRUE(Settled()->facts[0].draining);
  EXPECT_EQ(source_.stream("k", 0), before);
  Replace(WorkerSource::kKubernetes, {{Spec("k", 100), false}});
  EXPECT_FALSE(Settled()->facts[0].draining);
  EXPECT_EQ(source_.stream("k", 0), before);
}

TEST_F(OwnersTest, APersonsDrainingOutlastsWhatTheOwnerSays) {
  Replace(WorkerSource::kKubernetes, {{Spec("k", 100)}});
  ASSERT_TRUE(fleet_.SetDraining("k", true).ok());
  Replace(WorkerSource::kKubernetes, {{Spec("k", 100), true}});
  Replace(WorkerSource::kKubernetes, {{Spec("k", 100), false}});
  EXPECT_TRUE(Settled()->facts[0].draining);
}

// A pod of the same name and address that is another one has nothing in its cache.
TEST_F(OwnersTest, AnotherInstanceBeginsAnew) {
  WorkerSpec spec = Spec("k", 100);
  spec.instance = "uid-1";
  Replace(WorkerSource::kKubernetes, {{spec}});
  const auto before = source_.stream("k", 0);
  spec.instance = "uid-2";
  EXPECT_THAT(Replace(WorkerSource::kKubernetes, {{spec}}), IsEmpty());
  EXPECT_NE(source_.stream("k", 0), before);
}

TEST_F(OwnersTest, WhatCannotBeTakenIsLeftOutAndTheRestIsNot) {
  ASSERT_TRUE(fleet_.ApplyConfig({Spec("c", 100)}).ok());
  WorkerSpec invalid = Spec("bad", 900);
  invalid.model = "";
  source_.FailAt("tcp://127.0.0.1:700");
  EXPECT_THAT(Replace(WorkerSource::kKubernetes, {{Spec("k", 200)},
                                                  {Spec("c", 300)},
                                                  {Spec("taken", 100)},
                                                  {invalid},
                                                  {Spec("k", 400)},
                                                  {Spec("fails", 700)},
                                                  {Spec("too-many", 800, 9)},
                                                  {Spec("k2", 600)}}),
              UnorderedElementsAre("c", "taken", "bad", "k", "fails", "too-many"));
  EXPECT_THAT(Ids(), UnorderedElementsAre("c/0", "k/0", "k2/0"));
  EXPECT_EQ(Worker("c")->source, WorkerSource::kConfig);
}

TEST_F(OwnersTest, OfTwoAtOneEndpointTheFirstIsTakenAndTheOtherWhenItIsFree) {
  EXPECT_THAT(Replace(WorkerSource::kKubernetes, {{Spec("new", 100)}, {Spec("old", 100), true}}),
              ElementsAre("old"));
  EXPECT_THAT(Replace(WorkerSource::kKubernetes, {{Spec("old", 100)}}), IsEmpty());
  EXPECT_THAT(Ids(), ElementsAre("old/0"));
}

// Its address is another's now: what it was before is nowhere any more.
TEST_F(OwnersTest, OneThatMovedToATakenEndpointIsGone) {
  Replace(WorkerSource::kKubernetes, {{Spec("a", 100)}, {Spec("b", 200)}});
  EXPECT_THAT(Replace(WorkerSource::kKubernetes, {{Spec("a", 100)}, {Spec("b", 100)}}),
              ElementsAre("b"));
  EXPECT_THAT(Ids(), ElementsAre("a/0"));
}

TEST_F(OwnersTest, TheApiChangesNobodysWorkersButItsOwn) {
  Replace(WorkerSource::kDns, {{Spec("d", 100)}});
  const absl::Status again = fleet_.Register(Spec("d", 200));
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(MessageOf(again)), HasSubstr("a worker of dns"));
  EXPECT_EQ(fleet_.Deregister("d").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fleet_.SetDraining("d", true).ok());
}

TEST_F(OwnersTest, OfTheConfigurationAllAreTakenOrNone) {
  ASSERT_TRUE(fleet_.ApplyConfig({Spec("a", 100)}).ok());
  EXPECT_THAT(Replace(WorkerSource::kConfig, {{Spec("b", 200)}, {Spec("c", 200)}}),
              ElementsAre("c"));
  EXPECT_THAT(Ids(), ElementsAre("a/0"));
}

TEST_F(OwnersTest, RanksHaveAddressesAndMayBeClosed) {
  WorkerSpec spec = Spec("k", 100, 3);
  spec.rank_overrides = {
      {.rank = 1, .event_endpoint = "", .replay_endpoint = "", .address = "h:2"},
      {.rank = 2, .event_endpoint = "", .replay_endpoint = "", .address = "", .closed = true}};
  EXPECT_THAT(Replace(WorkerSource::kKubernetes, {{spec}}), IsEmpty());
  EXPECT_EQ(spec.AddressOf(0), "http://k");
  EXPECT_EQ(spec.AddressOf(1), "h:2");
  EXPECT_EQ(source_.stream("k", 1)->config.event_endpoint, "tcp://127.0.0.1:101");
  const auto snapshot = Settled();
  EXPECT_FALSE(snapshot->facts[0].draining);
  EXPECT_FALSE(snapshot->facts[1].draining);
  EXPECT_TRUE(snapshot->facts[2].draining);
}

TEST_F(OwnersTest, AnAdapterLeadsToItsModel) {
  WorkerSpec spec = Spec("k", 100, 1, "base");
  spec.adapters = {"lora-a"};
  Replace(WorkerSource::kKubernetes, {{spec}, {Spec("other", 200, 1, "b2")}});
  const auto snapshot = Settled();
  ASSERT_NE(snapshot->FindAdapter("lora-a"), nullptr);
  EXPECT_EQ(snapshot->FindAdapter("lora-a")->model, "base");
  EXPECT_EQ(snapshot->FindAdapter("lora-b"), nullptr);
}

}  // namespace
}  // namespace kvroute
