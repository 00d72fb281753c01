// Who may end a lease, and whose gives way when there are too many.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "router/load/load_tracker.h"
#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

constexpr ClientId kGateway{.connection = 1, .address = 7};
constexpr ClientId kNeighbour{.connection = 2, .address = 7};  // same address
constexpr ClientId kStranger{.connection = 3, .address = 8};

class LeaseHolderTest : public testing::Test {
 protected:
  absl::Status Begin(const std::string& id, const ClientId& client, bool secret = false) {
    return tracker_.Begin(id, load_, {1, 1}, {.client = client, .id_is_secret = secret});
  }

  FakeClock clock_;
  LoadTracker tracker_{{.max_leases = 100}, &clock_};
  std::shared_ptr<TargetLoad> load_ = std::make_shared<TargetLoad>();
};

TEST_F(LeaseHolderTest, WhoDidNotBeginALeaseDoesNotEndIt) {
  ASSERT_TRUE(Begin("r", kGateway).ok());
  for (const ClientId& other : {kNeighbour, kStranger, ClientId{}}) {
    EXPECT_FALSE(tracker_.Prefilled("r", other));
    EXPECT_FALSE(tracker_.End("r", other));
  }
  EXPECT_EQ(load_->requests_in_flight, 1u);
  EXPECT_EQ(load_->uncached_tokens_outstanding, 1u);
  EXPECT_EQ(tracker_.Stats().refused_ends, 6u);
  EXPECT_TRUE(tracker_.Prefilled("r", kGateway));
  EXPECT_TRUE(tracker_.End("r", kGateway));
  EXPECT_EQ(tracker_.Stats().refused_ends, 6u);
}

TEST_F(LeaseHolderTest, WhoKnowsASecretIdMayEndItsLease) {
  ASSERT_TRUE(Begin("secret", kGateway, true).ok());
  EXPECT_TRUE(tracker_.End("secret", kStranger));
}

TEST_F(LeaseHolderTest, AGatewayThatHadToConnectAgainStillEndsItsLeases) {
  ASSERT_TRUE(Begin("r", kGateway).ok());
  ASSERT_TRUE(Begin("s", kGateway).ok());
  tracker_.ClientGone(kGateway);
  EXPECT_EQ(load_->requests_in_flight, 2u) << "its requests may well be running";
  EXPECT_FALSE(tracker_.End("r", kStranger));
  EXPECT_TRUE(tracker_.End("r", kNeighbour));
  EXPECT_TRUE(tracker_.Prefilled("s", kNeighbour));
  EXPECT_TRUE(tracker_.End("s", kNeighbour));
}

TEST_F(LeaseHolderTest, WhoTakesManyLosesHisOwn) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Begin(absl::StrCat("mine ", i), kGateway).ok());
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(Begin(absl::StrCat("his ", i), kStranger).ok());
  EXPECT_EQ(tracker_.Stats().leases, 100u);
  EXPECT_EQ(tracker_.Stats().evicted, 910u);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(tracker_.End(absl::StrCat("mine ", i), kGateway));
  EXPECT_FALSE(tracker_.End("his 0", kStranger));
  EXPECT_TRUE(tracker_.End("his 999", kStranger));
}

// Connecting anew for every few leases does not help him either.
TEST_F(LeaseHolderTest, LeasesOfThoseWhoAreGoneGiveWayFirst) {
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(Begin(absl::StrCat("mine ", i), kGateway).ok());
  for (uint64_t c = 100; c < 300; ++c) {
    const ClientId other{.connection = c, .address = 8};
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(Begin(absl::StrCat(c, "/", i), other).ok());
    tracker_.ClientGone(other);
  }
  EXPECT_EQ(tracker_.Stats().leases, 100u);
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(tracker_.End(absl::StrCat("mine ", i), kGateway));
  EXPECT_EQ(load_->requests_in_flight, 40u);
}

TEST_F(LeaseHolderTest, ManyLeasesOfManyClientsAddUp) {
  LoadTracker tracker({.max_leases = 8'000}, &clock_);
  for (uint64_t i = 0; i < 20'000; ++i) {
    const ClientId client{.connection = 1 + i % 50, .address = 1};
    ASSERT_TRUE(tracker.Begin(absl::StrCat(i), load_, {1, 1}, {.client = client}).ok());
    if (i % 1'000 == 999) tracker.ClientGone({.connection = 1 + i / 1'000, .address = 1});
    ASSERT_LE(tracker.Stats().leases, 8'000u);
  }
  const LoadTrackerStats stats = tracker.Stats();
  EXPECT_EQ(stats.leases, 8'000u);
  EXPECT_EQ(stats.evicted, 12'000u);
  EXPECT_EQ(load_->requests_in_flight, 8'000u);
  tracker.Drop(load_.get());
  EXPECT_EQ(tracker.Stats().leases, 0u);
  EXPECT_EQ(load_->requests_in_flight, 0u);
}

TEST_F(LeaseHolderTest, AnAnswerThatNobodyGotLeavesNoLoad) {
  ASSERT_TRUE(Begin("r", kGateway).ok());
  tracker_.Abandon("r");
  tracker_.Abandon("r");
  EXPECT_EQ(load_->requests_in_flight, 0u);
  EXPECT_EQ(tracker_.Stats().abandoned, 1u);
  EXPECT_EQ(tracker_.Stats().leases, 0u);
}

}  // namespace
}  // namespace kvroute
