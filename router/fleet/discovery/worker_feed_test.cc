#include "router/fleet/discovery/worker_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class WorkerFeedTest : public FleetFixture {
 protected:
  // Until the fleet has been given so many sets of Kubernetes.
  void AwaitChanges(uint64_t count) {
    while (feed_.Stats(WorkerSource::kKubernetes).changes < count) std::this_thread::yield();
  }

  WorkerFeed feed_{&fleet_, std::chrono::milliseconds(10)};
};

TEST_F(WorkerFeedTest, WhatIsSetComesIntoTheFleet) {
  feed_.Set(WorkerSource::kKubernetes, {{Spec("k", 100)}});
  feed_.Set(WorkerSource::kFile, {{Spec("f", 200)}});
  AwaitChanges(1);
  while (feed_.Stats(WorkerSource::kFile).changes == 0) std::this_thread::yield();
  EXPECT_THAT(Ids(), ElementsAre("f/0", "k/0"));
}

TEST_F(WorkerFeedTest, OfSeveralSetsTheNewestCounts) {
  source_.HangAt("tcp://127.0.0.1:100");
  feed_.Set(WorkerSource::kKubernetes, {{Spec("a", 100)}});
  source_.AwaitHanging();
  EXPECT_TRUE(feed_.Stats(WorkerSource::kKubernetes).pending);
  for (int port = 200; port < 250; ++port) {
    feed_.Set(WorkerSource::kKubernetes, {{Spec("b", port)}});
  }
  source_.HangAt("");
  AwaitChanges(2);
  EXPECT_THAT(Ids(), ElementsAre("b/0"));
  EXPECT_EQ(source_.stream("b", 0)->config.event_endpoint, "tcp://127.0.0.1:249");
  EXPECT_EQ(feed_.Stats(WorkerSource::kKubernetes).changes, 2u);
  EXPECT_FALSE(feed_.Stats(WorkerSource::kKubernetes).pending);
}

TEST_F(WorkerFeedTest, WhatIsRefusedIsSaidAndTriedAgain) {
  ASSERT_TRUE(fleet_.Register(Spec("api", 100)).ok());
  feed_.Set(WorkerSource::kKubernetes, {{Spec("k", 100)}});
  AwaitChanges(1);
  EXPECT_EQ(feed_.Stats(WorkerSource::kKubernetes).refused, 1u);
  EXPECT_THAT(feed_.Stats(WorkerSource::kKubernetes).last_reason, HasSubstr("event_endpoint"));
  ASSERT_TRUE(fleet_.Deregister("api").ok());
  // By itself, after a while.
  while (feed_.Stats(WorkerSource::kKubernetes).refused != 0) std::this_thread::yield();
  EXPECT_THAT(Ids(), ElementsAre("k/0"));
}

}  // namespace
}  // namespace kvroute
