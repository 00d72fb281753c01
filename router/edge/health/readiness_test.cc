#include "router/edge/health/readiness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class ReadinessTest : public testing::Test {
 protected:
  std::shared_ptr<StreamStatus> AddTarget(const std::string& id, WorkerSource source) {
    auto worker = std::make_shared<FleetWorker>();
    worker->spec.worker_id = id;
    worker->source = source;
    auto stream = std::make_shared<StreamStatus>();
    fleet_.targets.push_back({worker, 0, stream, std::make_shared<TargetLoad>()});
    return stream;
  }

  FakeClock clock_;
  Readiness readiness_{&clock_};
  FleetSnapshot fleet_;
};

TEST_F(ReadinessTest, WithoutConfiguredStreamsItIsReadyAtOnce) {
  EXPECT_TRUE(readiness_.Evaluate(fleet_, seconds(30)).ready);
  AddTarget("api", WorkerSource::kApi);
  EXPECT_TRUE(readiness_.Evaluate(fleet_, seconds(30)).ready);
}

TEST_F(ReadinessTest, WaitsForEachConfiguredStreamAndNamesIt) {
  const auto first = AddTarget("w0", WorkerSource::kConfig);
  const auto second = AddTarget("w1", WorkerSource::kConfig);
  first->trust = Trust::kExact;
  second->trust = Trust::kSyncing;
  second->reason = TrustReason::kReplaying;
  const Readiness::Report report = readiness_.Evaluate(fleet_, seconds(30));
  EXPECT_FALSE(report.ready);
  EXPECT_THAT(report.waiting, ElementsAre("w1 rank 0: syncing (replaying)"));
  second->trust = Trust::kDegraded;  // not good, but known
  EXPECT_TRUE(readiness_.Evaluate(fleet_, seconds(30)).ready);
}

TEST_F(ReadinessTest, GraceTimeEndsTheWaitAndStillNamesWhoIsMissing) {
  AddTarget("w0", WorkerSource::kConfig);
  clock_.Advance(seconds(29));
  EXPECT_FALSE(readiness_.Evaluate(fleet_, seconds(30)).ready);
  clock_.Advance(seconds(1));
  const Readiness::Report report = readiness_.Evaluate(fleet_, seconds(30));
  EXPECT_TRUE(report.ready);
  EXPECT_THAT(report.waiting, ElementsAre("w0 rank 0: cold (connecting)"));
}

TEST_F(ReadinessTest, OnceReadyALaterWorkerDoesNotTakeTheRouterOutOfService) {
  ASSERT_TRUE(readiness_.Evaluate(fleet_, seconds(30)).ready);
  AddTarget("new", WorkerSource::kConfig);
  EXPECT_TRUE(readiness_.Evaluate(fleet_, seconds(30)).ready);
  readiness_.End();
  EXPECT_FALSE(readiness_.Evaluate(fleet_, seconds(30)).ready);
}

TEST_F(ReadinessTest, WhatElseIsWaitedForCounts) {
  EXPECT_FALSE(readiness_.Evaluate(fleet_, std::chrono::seconds(30), {"pods: listing"}).ready);
  EXPECT_TRUE(readiness_.Evaluate(fleet_, std::chrono::seconds(30)).ready);
  const auto report = readiness_.Evaluate(fleet_, std::chrono::seconds(30), {"pods: listing"});
  EXPECT_TRUE(report.ready) << "once ready it stays so";
  EXPECT_EQ(report.waiting.size(), 1u);
}

}  // namespace
}  // namespace kvroute
