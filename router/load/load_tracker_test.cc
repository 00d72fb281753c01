#include "router/load/load_tracker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

struct Load {
  uint32_t requests;
  uint64_t uncached;
  uint64_t output;
  bool operator==(const Load&) const = default;
};
void PrintTo(const Load& load, std::ostream* out) {
  *out << load.requests << " requests, " << load.uncached << " uncached, " << load.output
       << " output";
}

Load Read(const TargetLoad& load) {
  return {load.requests_in_flight, load.uncached_tokens_outstanding, load.output_tokens_expected};
}

class LoadTrackerTest : public testing::Test {
 protected:
  FakeClock clock_;
  LoadTracker tracker_{{.lease_timeout = milliseconds(5'000), .max_leases = 100}, &clock_};
  std::shared_ptr<TargetLoad> a_ = std::make_shared<TargetLoad>();
  std::shared_ptr<TargetLoad> b_ = std::make_shared<TargetLoad>();
};

TEST_F(LoadTrackerTest, ALeaseIsCreditedAtOnceAndEndsOnce) {
  ASSERT_TRUE(tracker_.Begin("r1", a_, {.uncached_tokens = 700, .output_tokens = 50}).ok());
  ASSERT_TRUE(tracker_.Begin("r2", a_, {.uncached_tokens = 30}).ok());
  EXPECT_EQ(Read(*a_), (Load{2, 730, 50}));

  EXPECT_TRUE(tracker_.Prefilled("r1"));
  EXPECT_EQ(Read(*a_), (Load{2, 30, 50}));
  EXPECT_TRUE(tracker_.Prefilled("r1"));
  EXPECT_EQ(Read(*a_), (Load{2, 30, 50}));

  EXPECT_TRUE(tracker_.End("r1"));
  EXPECT_EQ(Read(*a_), (Load{1, 30, 0}));
  EXPECT_FALSE(tracker_.End("r1"));
  EXPECT_FALSE(tracker_.Prefilled("r1"));
  EXPECT_TRUE(tracker_.End("r2"));
  EXPECT_EQ(Read(*a_), (Load{0, 0, 0}));
  EXPECT_EQ(tracker_.Stats().leases, 0u);
  EXPECT_EQ(tracker_.Stats().begun, 2u);
  EXPECT_EQ(tracker_.Stats().ended, 2u);
}

TEST_F(LoadTrackerTest, AnIdInUseIsRefusedAndFreeAgainAfterItsEnd) {
  ASSERT_TRUE(tracker_.Begin("r", a_, {1, 1}).ok());
  const absl::Status second = tracker_.Begin("r", b_, {1, 1});
  EXPECT_EQ(second.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.message()), HasSubstr("\"r\""));
  EXPECT_EQ(Read(*b_), (Load{0, 0, 0}));
  EXPECT_EQ(tracker_.Stats().leases, 1u);
  ASSERT_TRUE(tracker_.End("r"));
  EXPECT_TRUE(tracker_.Begin("r", b_, {1, 1}).ok());
}

TEST_F(LoadTrackerTest, AtTheLimitTheOldestLeaseGivesWay) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(tracker_.Begin(absl::StrCat(i), a_, {1, 0}).ok());
  EXPECT_TRUE(tracker_.Begin("one more", b_, {1, 0}).ok());
  EXPECT_EQ(Read(*a_), (Load{99, 99, 0}));
  EXPECT_EQ(Read(*b_), (Load{1, 1, 0}));
  EXPECT_EQ(tracker_.Stats().leases, 100u);
  EXPECT_EQ(tracker_.Stats().evicted, 1u);
  EXPECT_FALSE(tracker_.End("0"));
  EXPECT_TRUE(tracker_.End("1"));
  EXPECT_TRUE(tracker_.End("one more"));
}

TEST_F(LoadTrackerTest, ALeaseEndsByItsTimeLimit) {
  ASSERT_TRUE(tracker_.Begin("old", a_, {10, 1}).ok());
  clock_.Advance(milliseconds(3'000));
  ASSERT_TRUE(tracker_.Begin("young", a_, {20, 2}).ok());
  clock_.Advance(milliseconds(1'999));
  EXPECT_EQ(tracker_.Sweep(), 0u);
  clock_.Advance(milliseconds(1));
  EXPECT_EQ(tracker_.Sweep(), 1u);
  EXPECT_EQ(Read(*a_), (Load{1, 20, 2}));
  EXPECT_FALSE(tracker_.End("old"));
  EXPECT_TRUE(tracker_.End("young"));
  EXPECT_EQ(tracker_.Stats().expired, 1u);
}

TEST_F(LoadTrackerTest, SweepsAreDueOnceASecond) {
  tracker_.SweepIfDue();
  ASSERT_TRUE(tracker_.Begin("r", a_, {10, 1}).ok());
  clock_.Advance(milliseconds(5'000));
  tracker_.SweepIfDue();
  EXPECT_EQ(Read(*a_), (Load{0, 0, 0}));

  ASSERT_TRUE(tracker_.Begin("s", a_, {10, 1}).ok());
  clock_.Advance(milliseconds(999));
  tracker_.SweepIfDue();
  EXPECT_EQ(tracker_.Stats().leases, 1u);
}

// Many expire at once and none is swept: what begins afterwards ends them, each a few at most.
TEST_F(LoadTrackerTest, WhatBeginsEndsAFewOfTheExpired) {
  for (int i = 0; i < 90; ++i) ASSERT_TRUE(tracker_.Begin(absl::StrCat(i), a_, {1, 1}).ok());
  clock_.Advance(milliseconds(5'000));
  for (uint64_t i = 1; i <= 200; ++i) {
    const uint64_t before = tracker_.Stats().expired;
    ASSERT_TRUE(tracker_.Begin(absl::StrCat("new ", i), b_, {1, 1}).ok());
    EXPECT_LE(tracker_.Stats().expired - before, 2u);
    ASSERT_EQ(tracker_.Stats().leases, 90 + 1 - tracker_.Stats().expired);
    EXPECT_EQ(Read(*b_), (Load{1, 1, 1}));
    ASSERT_TRUE(tracker_.End(absl::StrCat("new ", i)));
  }
  EXPECT_EQ(tracker_.Stats().expired, 90u);
  EXPECT_EQ(Read(*a_), (Load{0, 0, 0}));
}

TEST_F(LoadTrackerTest, DropEndsTheLeasesOfOneTarget) {
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(tracker_.Begin(absl::StrCat(i), i % 4 == 0 ? a_ : b_, {1, 1}).ok());
  tracker_.Drop(a_.get());
  EXPECT_EQ(Read(*a_), (Load{0, 0, 0}));
  EXPECT_EQ(Read(*b_), (Load{30, 30, 30}));
  EXPECT_EQ(tracker_.Stats().leases, 30u);
  EXPECT_EQ(tracker_.Stats().dropped, 10u);
  EXPECT_FALSE(tracker_.End("0"));
  EXPECT_TRUE(tracker_.End("1"));
}

TEST_F(LoadTrackerTest, MadeIdsCannotBeForeseen) {
  std::string one, next;
  size_t alike = 0;
  for (int i = 0; i < 100; ++i) {
    LoadTracker::MakeRequestId(&one);
    LoadTracker::MakeRequestId(&next);
    ASSERT_EQ(one.size(), next.size());
    ASSERT_LE(one.size(), limits::kMaxRequestIdBytes);
    for (size_t at = 4; at < one.size(); ++at) alike += one[at] == next[at] ? 1 : 0;
  }
  // Of 3,200 pairs of hexadecimal digits one in 16 is alike; a number that counts has nearly all.
  EXPECT_LT(alike, 600u);
}

// Each thread begins, prefills and ends leases of its own ids while others drop and sweep; when all
// is ended nothing may be left on any target.
TEST_F(LoadTrackerTest, ConcurrentUseLeavesNoLoadBehind) {
  LoadTracker tracker({.lease_timeout = milliseconds(50), .max_leases = 10'000}, &clock_);
  std::vector<std::shared_ptr<TargetLoad>> targets;
  for (int i = 0; i < 4; ++i) targets.push_back(std::make_shared<TargetLoad>());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      for (int i = 0; i < 5'000; ++i) {
        const std::string id = absl::StrCat(t, "/", i);
        ASSERT_TRUE(tracker.Begin(id, targets[random() % 4], {random() % 1'000, 7}).ok());
        if (random() % 2 == 0) tracker.Prefilled(id);
        if (random() % 3 != 0) tracker.End(id);
        if (random() % 500 == 0) tracker.Drop(targets[random() % 4].get());
        if (random() % 100 == 0) clock_.Advance(milliseconds(1));
        tracker.SweepIfDue();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  clock_.Advance(milliseconds(50));
  tracker.Sweep();
  const LoadTrackerStats stats = tracker.Stats();
  EXPECT_EQ(stats.leases, 0u);
  EXPECT_EQ(stats.begun, 20'000u);
  EXPECT_EQ(stats.ended + stats.expired + stats.dropped, 20'000u);
  for (const auto& target : targets) EXPECT_EQ(Read(*target), (Load{0, 0, 0}));
}

}  // namespace
}  // namespace kvroute
