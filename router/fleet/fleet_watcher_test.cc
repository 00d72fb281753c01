#include "router/fleet/fleet_watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> IdsOf(const FleetNews& news) {
  std::vector<std::string> ids;
  for (const auto& worker : news.workers) ids.push_back(worker->spec.worker_id);
  return ids;
}

class FleetWatcherTest : public FleetFixture {
 protected:
  static WorkerSpec Worker(const std::string& id, const std::string& model = "m") {
    WorkerSpec spec;
    spec.worker_id = id;
    spec.address = "http://" + id;
    spec.model = model;
    spec.event_endpoint = absl::StrCat("inproc://", id);
    return spec;
  }
  void Add(const std::string& id, const std::string& model = "m") {
    ASSERT_TRUE(fleet_.Register(Worker(id, model)).ok());
  }
  // What `watcher` knows now, beginning with what it knew.
  void Follow(FleetWatcher* watcher, std::set<std::string>* known) {
    for (auto news = watcher->Next(); news; news = watcher->Next()) {
      if (news->snapshot != WatchSnapshot::kNo && !in_snapshot_) known->clear();
      in_snapshot_ = news->more;
      for (const std::string& id : IdsOf(*news)) known->insert(id);
      for (const std::string& id : news->removed) known->erase(id);
      if (!news->resume_token.empty()) token_ = news->resume_token;
      last_ = news->snapshot;
    }
  }

  bool in_snapshot_ = false;
  std::string token_;
  WatchSnapshot last_ = WatchSnapshot::kNo;
};

TEST_F(FleetWatcherTest, AllWorkersThenEachChange) {
  Add("a");
  FleetWatcher watcher(&fleet_, {});
  ASSERT_TRUE(watcher.Begin("").ok());
  auto news = watcher.Next();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->snapshot, WatchSnapshot::kFirst);
  EXPECT_THAT(IdsOf(*news), ElementsAre("a"));
  EXPECT_FALSE(news->more);
  EXPECT_FALSE(watcher.Next()) << "nothing has changed";
  Add("b");
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  news = watcher.Next();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->snapshot, WatchSnapshot::kNo);
  EXPECT_THAT(IdsOf(*news), ElementsAre("b", "a"));
  EXPECT_TRUE(news->workers[1]->draining);
  ASSERT_TRUE(fleet_.Deregister("a").ok());
  news = watcher.Next();
  ASSERT_TRUE(news);
  EXPECT_THAT(news->removed, ElementsAre("a"));
  EXPECT_THAT(IdsOf(*news), IsEmpty());
  EXPECT_FALSE(watcher.Next());
}

TEST_F(FleetWatcherTest, AnEmptyFleetIsToldToo) {
  FleetWatcher watcher(&fleet_, {});
  ASSERT_TRUE(watcher.Begin("").ok());
  const auto news = watcher.Next();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->snapshot, WatchSnapshot::kFirst);
  EXPECT_NE(news->resume_token, "");
}

TEST_F(FleetWatcherTest, ATokenGoesOnBehindWhatWasTold) {
  Add("a");
  std::set<std::string> known;
  {
    FleetWatcher watcher(&fleet_, {});
    ASSERT_TRUE(watcher.Begin("").ok());
    Follow(&watcher, &known);
  }
  Add("b");
  ASSERT_TRUE(fleet_.Deregister("a").ok());
  FleetWatcher watcher(&fleet_, {});
  ASSERT_TRUE(watcher.Begin(token_).ok());
  Follow(&watcher, &known);
  EXPECT_EQ(last_, WatchSnapshot::kNo);
  EXPECT_THAT(known, ElementsAre("b"));
  FleetWatcher again(&fleet_, {});
  ASSERT_TRUE(again.Begin(token_).ok());
  const auto news = again.Next();
  ASSERT_TRUE(news) << "that nothing has changed is told once";
  EXPECT_THAT(IdsOf(*news), IsEmpty());
  EXPECT_EQ(news->resume_token, token_);
}

TEST_F(FleetWatcherTest, ATokenOfAnotherStartGetsAllWorkers) {
  Add("a");
  for (const char* token : {"1234-1", "ffffffffffffffff-ffffffffffffffff"}) {
    FleetWatcher watcher(&fleet_, {});
    ASSERT_TRUE(watcher.Begin(token).ok());
    const auto news = watcher.Next();
    ASSERT_TRUE(news);
    EXPECT_EQ(news->snapshot, WatchSnapshot::kOtherStart);
    EXPECT_THAT(IdsOf(*news), ElementsAre("a"));
  }
}

TEST_F(FleetWatcherTest, ATokenThatIsNoneIsRefused) {
  for (const char* token : {"x", "1", "1-", "-1", "1-1-1", "1-x"}) {
    FleetWatcher watcher(&fleet_, {});
    EXPECT_THAT(std::string(MessageOf(watcher.Begin(token))), HasSubstr("resume_token: none"))
        << token;
  }
}

TEST_F(FleetWatcherTest, WhoFallsBehindGetsAllWorkersAnew) {
  Add("a");
  FleetWatcher watcher(&fleet_, {});
  ASSERT_TRUE(watcher.Begin("").ok());
  std::set<std::string> known;
  Follow(&watcher, &known);
  Add("b");
  for (size_t i = 0; i <= limits::kMaxFleetHistory; ++i) {
    ASSERT_TRUE(fleet_.SetDraining("a", i % 2 == 0).ok());
  }
  ASSERT_TRUE(fleet_.Deregister("a").ok());
  const auto news = watcher.Next();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->snapshot, WatchSnapshot::kFellBehind);
  EXPECT_THAT(IdsOf(*news), ElementsAre("b"));
}

TEST_F(FleetWatcherTest, WhatIsChangedOftenIsToldOnce) {
  Add("a");
  FleetWatcher watcher(&fleet_, {});
  ASSERT_TRUE(watcher.Begin("").ok());
  ASSERT_TRUE(watcher.Next());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(fleet_.SetDraining("a", i % 2 == 0).ok());
  const auto news = watcher.Next();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->workers.size(), 1u);
  EXPECT_FALSE(watcher.Next());
}

TEST_F(FleetWatcherTest, ALargeFleetComesInPiecesThatFitTogether) {
  Fleet fleet({}, &source_, &loads_);
  std::vector<OwnedWorker> workers;
  constexpr size_t kWorkers = 2 * FleetWatcher::kWorkersAtOnce + 7;
  for (size_t i = 0; i < kWorkers; ++i) workers.push_back({Worker(absl::StrCat("w", i))});
  ASSERT_TRUE(fleet.Replace(WorkerSource::kFile, workers).empty());
  FleetWatcher watcher(&fleet, {});
  ASSERT_TRUE(watcher.Begin("").ok());
  auto news = watcher.Next();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->workers.size(), FleetWatcher::kWorkersAtOnce);
  EXPECT_TRUE(news->more);
  EXPECT_EQ(news->resume_token, "") << "who stops here has not heard of all";
  ASSERT_TRUE(fleet.Register(Worker("x")).ok());  // not of the snapshot that is being told
  std::set<std::string> known;
  for (const std::string& id : IdsOf(*news)) known.insert(id);
  in_snapshot_ = true;
  Follow(&watcher, &known);
  EXPECT_EQ(known.size(), kWorkers + 1);
}

TEST_F(FleetWatcherTest, OfAFilterOnlyThoseAreToldAndWhoLeavesItIsGone) {
  Add("a");
  Add("b", "n");
  FleetWatcher watcher(&fleet_, {.model = "m"});
  ASSERT_TRUE(watcher.Begin("").ok());
  std::set<std::string> known;
  Follow(&watcher, &known);
  EXPECT_THAT(known, ElementsAre("a"));
  Add("b", "m");
  ASSERT_TRUE(fleet_.Register(Worker("a", "n")).ok());
  Follow(&watcher, &known);
  EXPECT_THAT(known, ElementsAre("b"));
}

}  // namespace
}  // namespace kvroute
