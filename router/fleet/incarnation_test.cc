// Calls of an earlier start of a worker that arrive late.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "indexer/base/error_reason.h"
#include "router/fleet/fleet.h"
#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::Pair;

class IncarnationTest : public FleetFixture {
 protected:
  static WorkerSpec Start(uint64_t incarnation) {
    WorkerSpec spec;
    spec.worker_id = "w";
    spec.address = "http://w";
    spec.model = "m";
    spec.event_endpoint = "tcp://10.0.0.1:5557";
    spec.incarnation = incarnation;
    return spec;
  }
  static void ExpectLate(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    const ErrorDetail detail = DetailOf(status);
    EXPECT_EQ(detail.reason, ErrorReason::kLaterIncarnation);
    EXPECT_THAT(detail.facts, ElementsAre(Pair("worker_id", "w"), Pair("incarnation", "200")));
  }
};

TEST_F(IncarnationTest, ALateDeregisterOfTheOldPodDoesNotRemoveItsSuccessor) {
  ASSERT_TRUE(fleet_.Register(Start(100)).ok());
  ASSERT_TRUE(fleet_.Register(Start(200)).ok());
  ExpectLate(fleet_.Deregister("w", 100));
  ExpectLate(fleet_.SetDraining("w", true, 100));
  ExpectLate(fleet_.Register(Start(100)));
  const auto snapshot = fleet_.Snapshot();
  ASSERT_EQ(snapshot->targets.size(), 1u);
  EXPECT_EQ(snapshot->targets[0].worker->spec.incarnation, 200u);
  EXPECT_FALSE(snapshot->targets[0].worker->draining);
  EXPECT_TRUE(fleet_.Deregister("w", 200).ok());
  EXPECT_TRUE(fleet_.Snapshot()->targets.empty());
}

TEST_F(IncarnationTest, WhoTellsNoneIsNotFenced) {
  ASSERT_TRUE(fleet_.Register(Start(200)).ok());
  EXPECT_TRUE(fleet_.SetDraining("w", true).ok());
  EXPECT_TRUE(fleet_.Register(Start(0)).ok());
  EXPECT_TRUE(fleet_.Deregister("w", 1).ok()) << "the one in force has none";
}

TEST_F(IncarnationTest, WhatIsKnownOfOneStartIsNotBelievedOfTheNext) {
  ASSERT_TRUE(fleet_.Register(Start(100)).ok());
  const StreamId before = fleet_.Snapshot()->targets[0].stream->id;
  ASSERT_TRUE(fleet_.Register(Start(100)).ok());
  EXPECT_EQ(fleet_.Snapshot()->targets[0].stream->id, before) << "the same start";
  ASSERT_TRUE(fleet_.Register(Start(200)).ok());
  EXPECT_NE(fleet_.Snapshot()->targets[0].stream->id, before);
}

}  // namespace
}  // namespace kvroute
