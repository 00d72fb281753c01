#include "router/fleet/scrape/scraper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "indexer/base/mutex.h"
#include "test/support/fake_http_server.h"
#include "test/support/fleet_fixture.h"
#include "test/support/http_asking.h"

namespace kvroute::testing_support {
namespace {

using std::chrono::milliseconds;

TEST(ScrapeUrlTest, IsThatOfHostAndPort) {
  EXPECT_EQ(ScrapeUrl("10.0.0.7:8000", "/metrics"), "http://10.0.0.7:8000/metrics");
  EXPECT_EQ(ScrapeUrl("http://10.0.0.7:8000", "/metrics"), "http://10.0.0.7:8000/metrics");
  EXPECT_EQ(ScrapeUrl("https://host:1/v1", "/m"), "https://host:1/m");
  EXPECT_EQ(ScrapeUrl("[fd00::7]:8000", "/m"), "http://[fd00::7]:8000/m");
  for (const char* opaque : {"", "x", "pod-7", "http://host", "host:", ":80", "host:0",
                             "host:99999", "host:http", "fd00::7", "user@host:80", "inproc://x"}) {
    EXPECT_EQ(ScrapeUrl(opaque, "/m"), "") << opaque;
  }
}

class ScraperTest : public FleetFixture {
 protected:
  ~ScraperTest() override { scraper_.reset(); }

  void Start(milliseconds interval = milliseconds(5)) {
    scraper_ = std::make_unique<Scraper>(client_.get(), &fleet_,
                                         ScrapeOptions{.interval = interval,
                                                       .timeout = milliseconds(60'000),
                                                       .failures = 3,
                                                       .tls = {},
                                                       .token_file = {}});
  }
  WorkerSpec At(const FakeHttpServer& server, const std::string& id, int port,
                uint32_t ranks = 1) const {
    WorkerSpec spec = Spec(id, port, ranks);
    spec.address = "http://127.0.0.1:" + std::to_string(server.port());
    return spec;
  }
  const TargetLoad& Load(const std::string& id, uint32_t rank = 0) const {
    const auto snapshot = Settled();
    return *snapshot->targets[*snapshot->FindTarget(id, rank)].load;
  }
  template <typename Condition>
  void Until(Condition condition) {
    while (!condition()) client_->RunAndWait([] {});
  }
  void Says(std::string page, int status = 200) {
    MutexLock lock(&mutex_);
    page_ = std::move(page);
    status_ = status;
  }

  Mutex mutex_;
  std::string page_ ABSL_GUARDED_BY(mutex_) =
      "vllm:num_requests_waiting{engine=\"0\"} 2\n"
      "vllm:num_requests_running{engine=\"0\"} 3\n"
      "vllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n";
  int status_ ABSL_GUARDED_BY(mutex_) = 200;
  FakeHttpServer server_{[this](FakeHttpExchange* exchange) {
    std::string page;
    int status = 0;
    {
      MutexLock lock(&mutex_);
      page = page_;
      status = status_;
    }
    if (status == 0) return exchange->Reset();
    exchange->Reply(status, exchange->target == "/metrics" ? page : "");
  }};
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient();
  std::unique_ptr<Scraper> scraper_;
};

TEST_F(ScraperTest, WhatAnEngineSaysIsInItsTargetsLoad) {
  ASSERT_TRUE(fleet_.Register(At(server_, "w", 100)).ok());
  ASSERT_TRUE(fleet_.Register(Spec("opaque", 200)).ok());
  Start();
  const TargetLoad& load = Load("w");
  Until([&] { return load.engine.is_fresh.load(); });
  EXPECT_EQ(load.engine.health, EngineHealth::kAnswers);
  EXPECT_EQ(load.engine.waiting, 2u);
  EXPECT_EQ(load.engine.running, 3u);
  EXPECT_EQ(load.engine.kv_usage_millionths, 500'000u);
  EXPECT_NE(load.engine.at_ns, 0);
  EXPECT_EQ(load.RequestsInFlight(), 5u);
  EXPECT_EQ(Load("opaque").engine.health, EngineHealth::kNotAsked);
  EXPECT_EQ(scraper_->counts().engines, 1u);
}

// Own requests are known at once; those since the report come on top of it.
TEST_F(ScraperTest, RequestsInFlightAreTheMoreOfOwnAndReported) {
  TargetLoad load;
  load.requests_in_flight = 4;
  EXPECT_EQ(load.RequestsInFlight(), 4u);
  load.engine.waiting = 1;
  load.engine.running = 2;
  load.engine.begun_before = UINT32_MAX;  // it has come round since
  load.begun = 1;
  EXPECT_EQ(load.RequestsInFlight(), 4u) << "what is not fresh says nothing";
  load.engine.is_fresh = true;
  EXPECT_EQ(load.RequestsInFlight(), 5u);
}

TEST_F(ScraperTest, RanksBehindOneAddressAreToldApart) {
  Says("vllm:num_requests_running{engine=\"0\"} 1\nvllm:num_requests_running{engine=\"1\"} 9\n");
  ASSERT_TRUE(fleet_.Register(At(server_, "w", 100, 2)).ok());
  Start();
  Until([&] { return Load("w", 1).engine.is_fresh.load(); });
  EXPECT_EQ(Load("w", 0).engine.running, 1u);
  EXPECT_EQ(Load("w", 1).engine.running, 9u);
}

TEST_F(ScraperTest, AnEngineThatDoesNotAnswerIsKnownAndSoIsOneThatDoesAgain) {
  ASSERT_TRUE(fleet_.Register(At(server_, "w", 100)).ok());
  Start();
  const TargetLoad& load = Load("w");
  Until([&] { return load.engine.is_fresh.load(); });
  Says("", 0);
  Until([&] { return load.engine.health == EngineHealth::kDoesNotAnswer; });
  EXPECT_FALSE(load.engine.is_fresh);
  EXPECT_EQ(scraper_->counts().not_answering, 1u);
  Says("vllm:num_requests_running 1\n");
  Until([&] { return load.engine.health == EngineHealth::kAnswers && load.engine.is_fresh; });
  EXPECT_EQ(scraper_->counts().not_answering, 0u);
}

// However seldom engines are asked: requests that are picked for a dead one fail.
TEST_F(ScraperTest, WhoseEventsAreCutOffIsAskedAtOnceAndUntilItIsClear) {
  ASSERT_TRUE(fleet_.Register(At(server_, "w", 100)).ok());
  source_.stream("w", 0)->connected = true;
  Says("", 0);
  Start(std::chrono::hours(1));
  const TargetLoad& load = Load("w");
  client_->RunAndWait([] {});  // it has seen the fleet
  EXPECT_EQ(load.engine.health, EngineHealth::kNotAsked);
  source_.stream("w", 0)->connected = false;
  Until([&] { return load.engine.health == EngineHealth::kDoesNotAnswer; });
  Until([&] {
    return scraper_->counts().scrapes[static_cast<size_t>(ScrapeResult::kNoAnswer)] >= 3;
  });
}

TEST_F(ScraperTest, OneWhosePageIsNoneAnswersAllTheSame) {
  ASSERT_TRUE(fleet_.Register(At(server_, "w", 100)).ok());
  Start();
  const TargetLoad& load = Load("w");
  Until([&] { return load.engine.is_fresh.load(); });
  const auto no_load = [&] {
    return scraper_->counts().scrapes[static_cast<size_t>(ScrapeResult::kNoLoad)].load();
  };
  for (const int status : {200, 404, 500}) {
    Says("<html><body>not found</body></html>", status);
    const uint64_t before = no_load();
    Until([&] { return no_load() >= before + 2; });
    EXPECT_FALSE(load.engine.is_fresh);
    EXPECT_EQ(load.engine.health, EngineHealth::kAnswers);
  }
}

TEST_F(ScraperTest, ItFollowsTheFleet) {
  Start();
  ASSERT_TRUE(fleet_.Register(At(server_, "w", 100)).ok());
  Until([&] { return Load("w").engine.is_fresh.load(); });
  ASSERT_TRUE(fleet_.Deregister("w").ok());
  Until([&] { return scraper_->counts().engines == 0; });
}

TEST_F(ScraperTest, ASilentEngineIsNotWaitedForAtTheEnd) {
  FakeHttpServer silent([](FakeHttpExchange* exchange) { exchange->AwaitClosed(); });
  ASSERT_TRUE(fleet_.Register(At(silent, "w", 100)).ok());
  Start();
  Until([&] { return silent.connections() == 1; });
  scraper_.reset();
  EXPECT_EQ(client_->Stats().open, 0u);
}

}  // namespace
}  // namespace kvroute::testing_support
