// Leases that are renewed, asked for again, or tied to a stream.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "router/load/load_tracker.h"
#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

using std::chrono::seconds;

constexpr ClientId kAsker{.connection = 1, .address = 7};

class LeaseProgressTest : public testing::Test {
 protected:
  absl::Status Begin(const std::string& id, uint64_t request = 0, uint64_t stream = 0) {
    return tracker_.Begin(id, load_, {5, 1}, {.client = kAsker, .stream = stream}, {},
                          {.request = request, .policy = 2, .reason = 3});
  }
  uint32_t InFlight() {
    tracker_.Sweep();
    return load_->requests_in_flight;
  }

  FakeClock clock_;
  LoadTracker tracker_{{.lease_timeout = seconds(10), .max_leases = 100}, &clock_};
  std::shared_ptr<TargetLoad> load_ = std::make_shared<TargetLoad>();
};

TEST_F(LeaseProgressTest, ProgressGivesALeaseItsWholeTimeAnew) {
  ASSERT_TRUE(Begin("still").ok());
  ASSERT_TRUE(Begin("runs").ok());
  ASSERT_TRUE(Begin("prefilled").ok());
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(seconds(6));
    EXPECT_TRUE(tracker_.Renew("runs", kAsker));
    EXPECT_TRUE(tracker_.Prefilled("prefilled", kAsker));
    EXPECT_EQ(InFlight(), i == 0 ? 3u : 2u) << "the one that tells nothing expires";
  }
  EXPECT_EQ(tracker_.Stats().expired, 1u);
  EXPECT_EQ(tracker_.Stats().renewed, 6u);
  EXPECT_EQ(load_->uncached_tokens_outstanding, 5u) << "running says nothing of the prompt";
  clock_.Advance(seconds(10));
  EXPECT_EQ(InFlight(), 0u);
}

TEST_F(LeaseProgressTest, OnlyWhoMayEndALeaseRenewsIt) {
  ASSERT_TRUE(Begin("r").ok());
  EXPECT_FALSE(tracker_.Renew("r", {.connection = 9, .address = 7}));
  EXPECT_FALSE(tracker_.Renew("none", kAsker));
  EXPECT_EQ(tracker_.Stats().refused_ends, 1u);
  EXPECT_EQ(tracker_.Stats().renewed, 0u);
}

TEST_F(LeaseProgressTest, TheSameRequestFindsItsLeaseAgain) {
  ASSERT_TRUE(Begin("r", 42).ok());
  clock_.Advance(seconds(6));
  RepeatedLease lease;
  ASSERT_TRUE(tracker_.Repeat("r", kAsker, 42, &lease));
  EXPECT_EQ(lease.target, load_);
  EXPECT_EQ(lease.answer.policy, 2);
  EXPECT_EQ(lease.answer.reason, 3);
  EXPECT_TRUE(tracker_.Repeat("r", {.connection = 9, .address = 7}, 42, &lease)) << "same address";
  clock_.Advance(seconds(6));
  EXPECT_EQ(InFlight(), 1u) << "it was renewed, and no second lease was taken";
  EXPECT_EQ(tracker_.Stats().repeated, 2u);
}

TEST_F(LeaseProgressTest, AnotherRequestOrAStrangerFindsNone) {
  ASSERT_TRUE(Begin("r", 42).ok());
  ASSERT_TRUE(Begin("made", 0).ok());
  RepeatedLease lease;
  EXPECT_FALSE(tracker_.Repeat("r", kAsker, 43, &lease));
  EXPECT_FALSE(tracker_.Repeat("r", {.connection = 9, .address = 8}, 42, &lease));
  EXPECT_FALSE(tracker_.Repeat("made", kAsker, 0, &lease));
  EXPECT_FALSE(tracker_.Repeat("none", kAsker, 42, &lease));
  EXPECT_EQ(lease.target, nullptr);
  EXPECT_EQ(tracker_.Stats().repeated, 0u);
}

// A client that asked twice and gave up one of the two calls still has the other's answer.
TEST_F(LeaseProgressTest, ALeaseIsAbandonedOnceEveryCallThatWasToldOfItIs) {
  ASSERT_TRUE(Begin("r", 42).ok());
  RepeatedLease lease;
  ASSERT_TRUE(tracker_.Repeat("r", kAsker, 42, &lease));
  tracker_.Abandon("r");
  EXPECT_EQ(InFlight(), 1u);
  tracker_.Abandon("r");
  EXPECT_EQ(InFlight(), 0u);
  EXPECT_EQ(tracker_.Stats().abandoned, 1u);
}

TEST_F(LeaseProgressTest, AStreamsEndEndsTheLeasesTiedToItAlone) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(Begin(absl::StrCat("tied", i), 0, /*stream=*/7).ok());
  }
  ASSERT_TRUE(Begin("other", 0, 8).ok());
  ASSERT_TRUE(Begin("free").ok());
  ASSERT_TRUE(tracker_.End("tied3", kAsker));
  tracker_.StreamEnded(7);
  EXPECT_EQ(InFlight(), 2u);
  EXPECT_EQ(tracker_.Stats().stream_ended, 49u);
  tracker_.StreamEnded(7);
  tracker_.StreamEnded(9);
  EXPECT_EQ(tracker_.Stats().leases, 2u);
  EXPECT_TRUE(tracker_.End("other", kAsker));
  EXPECT_TRUE(tracker_.End("free", kAsker));
}

}  // namespace
}  // namespace kvroute
