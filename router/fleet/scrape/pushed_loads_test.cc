#include "router/fleet/scrape/pushed_loads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "indexer/base/mutex.h"
#include "router/fleet/scrape/scraper.h"
#include "test/support/fake_http_server.h"
#include "test/support/fleet_fixture.h"
#include "test/support/http_asking.h"

namespace kvroute::testing_support {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

TEST(LoadEndpointTest, IsThatOfTheEventsFurtherOn) {
  EXPECT_EQ(LoadEndpoint("tcp://10.0.0.7:5557", 2), "tcp://10.0.0.7:5559");
  EXPECT_EQ(LoadEndpoint("tcp://[fd00::7]:5557", 2), "tcp://[fd00::7]:5559");
  EXPECT_EQ(LoadEndpoint("tcp://engine:65534", 1), "tcp://engine:65535");
  for (const char* none : {"", "tcp://engine", "tcp://engine:", "tcp://engine:x", "ipc:///tmp/x:1",
                           "tcp://engine:65535", "tcp://engine:0"}) {
    EXPECT_EQ(LoadEndpoint(none, 1), "") << none;
  }
}

class FakeLoadSource final : public LoadSource {
 public:
  absl::StatusOr<std::shared_ptr<const PushedLoad>> FollowLoad(
      const std::string& endpoint) override {
    MutexLock lock(&mutex_);
    if (refuses_) return absl::ResourceExhaustedError("max_open_files: none left");
    auto& load = loads_[endpoint];
    load = std::make_shared<PushedLoad>();
    return load;
  }
  void LeaveLoad(const PushedLoad* load) override {
    MutexLock lock(&mutex_);
    std::erase_if(loads_, [&](const auto& each) { return each.second.get() == load; });
  }
  const LoadSourceCounts& load_counts() const override { return counts_; }

  void Refuse(bool refuses) {
    MutexLock lock(&mutex_);
    refuses_ = refuses;
  }
  std::vector<std::string> Endpoints() const {
    MutexLock lock(&mutex_);
    std::vector<std::string> endpoints;
    for (const auto& [endpoint, load] : loads_) endpoints.push_back(endpoint);
    return endpoints;
  }
  void Say(const std::string& endpoint, uint32_t waiting, uint32_t running, Nanos at) {
    MutexLock lock(&mutex_);
    PushedLoad& load = *loads_.at(endpoint);
    load.waiting = waiting;
    load.running = running;
    load.used_tokens = 25;
    load.capacity_tokens = 100;
    load.at_ns = at.count();
  }

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<PushedLoad>> loads_ ABSL_GUARDED_BY(mutex_);
  bool refuses_ ABSL_GUARDED_BY(mutex_) = false;
  LoadSourceCounts counts_;
};

class PushedLoadsTest : public FleetFixture {
 protected:
  void Start() {
    clock_.Advance(std::chrono::seconds(1));  // 0 is no moment
    pushed_ = std::make_unique<PushedLoads>(client_.get(), &loads_said_, &fleet_,
                                            PushedLoadOptions{.port_offset = 100}, &clock_);
  }
  void Add(const WorkerSpec& spec) {
    EXPECT_TRUE(fleet_.Register(spec).ok());
    fleet_.AwaitPublished();
  }
  template <typename Condition>
  void Until(Condition condition) {
    while (!condition()) client_->RunAndWait([] {});
  }
  void UntilFollowed(const std::vector<std::string>& endpoints) {
    Until([&] { return loads_said_.Endpoints() == endpoints; });
  }
  TargetLoad& Load(const std::string& id, uint32_t rank = 0) {
    const auto snapshot = Settled();
    return *snapshot->targets[*snapshot->FindTarget(id, rank)].load;
  }

  FakeLoadSource loads_said_;
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient();
  std::unique_ptr<PushedLoads> pushed_;
};

TEST_F(PushedLoadsTest, EachRankSaysItsOwn) {
  Add(Spec("w", 5'000, 2));
  Start();
  UntilFollowed({"tcp://127.0.0.1:5100", "tcp://127.0.0.1:5101"});
  loads_said_.Say("tcp://127.0.0.1:5101", 2, 3, clock_.Monotonic());
  Until([&] { return Load("w", 1).engine.is_fresh.load(); });
  EXPECT_EQ(Load("w", 1).RequestsInFlight(), 5u);
  EXPECT_EQ(Load("w", 1).engine.kv_usage_millionths.load(), 250'000u);
  EXPECT_EQ(Load("w", 1).engine.at_ns.load(), clock_.Monotonic().count());
  EXPECT_FALSE(Load("w", 0).engine.is_fresh.load());
  Until([&] { return pushed_->counts().pushing == 1; });
}

TEST_F(PushedLoadsTest, OnlySglangsEnginesAreListenedTo) {
  WorkerSpec vllm = Spec("vllm", 5'000), sglang = Spec("sglang", 6'000);
  vllm.engine = EngineKind::kVllm;
  sglang.engine = EngineKind::kSglang;
  Add(vllm);
  Add(sglang);
  Start();
  UntilFollowed({"tcp://127.0.0.1:6100"});
}

TEST_F(PushedLoadsTest, OneThatFallsSilentSaysNothingOfNow) {
  Add(Spec("w", 5'000));
  Start();
  UntilFollowed({"tcp://127.0.0.1:5100"});
  loads_said_.Say("tcp://127.0.0.1:5100", 2, 3, clock_.Monotonic());
  Until([&] { return Load("w").engine.is_pushed.load(); });
  clock_.Advance(std::chrono::seconds(4));
  Until([&] { return !Load("w").engine.is_pushed.load(); });
  EXPECT_FALSE(Load("w").engine.is_fresh.load());
  EXPECT_EQ(Load("w").RequestsInFlight(), 0u) << "own counts alone";
  loads_said_.Say("tcp://127.0.0.1:5100", 0, 1, clock_.Monotonic());
  Until([&] { return Load("w").engine.is_fresh.load(); });
  EXPECT_EQ(Load("w").RequestsInFlight(), 1u);
}

TEST_F(PushedLoadsTest, WorkersComeAndGo) {
  Add(Spec("a", 5'000));
  Start();
  UntilFollowed({"tcp://127.0.0.1:5100"});
  loads_said_.Say("tcp://127.0.0.1:5100", 2, 3, clock_.Monotonic());
  Until([&] { return Load("a").engine.is_pushed.load(); });
  const auto snapshot = Settled();
  const std::shared_ptr<TargetLoad> load = snapshot->targets[0].load;
  Add(Spec("b", 6'000));
  UntilFollowed({"tcp://127.0.0.1:5100", "tcp://127.0.0.1:6100"});
  EXPECT_TRUE(fleet_.Deregister("a").ok());
  UntilFollowed({"tcp://127.0.0.1:6100"});
  EXPECT_FALSE(load->engine.is_fresh.load());
  pushed_.reset();
  EXPECT_THAT(loads_said_.Endpoints(), ElementsAre());
}

TEST_F(PushedLoadsTest, WhatCannotBeOpenedIsTriedAgain) {
  loads_said_.Refuse(true);
  Add(Spec("w", 5'000));
  Start();
  Until([&] { return pushed_->counts().refused == 1; });
  loads_said_.Refuse(false);
  clock_.Advance(std::chrono::seconds(6));
  UntilFollowed({"tcp://127.0.0.1:5100"});
  Until([&] { return pushed_->counts().refused == 0; });
}

// Its page says 7 and 8, itself 2 and 3: which is newer.
TEST_F(PushedLoadsTest, WhatIsPushedOutranksWhatIsScraped) {
  FakeHttpServer server([](FakeHttpExchange* exchange) {
    exchange->Reply(200, "sglang:num_queue_reqs 7\nsglang:num_running_reqs 8\n");
  });
  WorkerSpec spec = Spec("w", 5'000);
  spec.address = "http://127.0.0.1:" + std::to_string(server.port());
  Add(spec);
  ScrapeOptions options;
  options.interval = milliseconds(5);
  Scraper scraper(client_.get(), &fleet_, options);
  Until([&] { return Load("w").RequestsInFlight() == 15; });
  Start();
  UntilFollowed({"tcp://127.0.0.1:5100"});
  loads_said_.Say("tcp://127.0.0.1:5100", 2, 3, clock_.Monotonic());
  Until([&] { return Load("w").RequestsInFlight() == 5; });
  const uint64_t scrapes = scraper.counts().scrapes[0];
  Until([&] { return scraper.counts().scrapes[0] > scrapes + 3; });
  EXPECT_EQ(Load("w").RequestsInFlight(), 5u);
  EXPECT_EQ(Load("w").engine.health.load(), EngineHealth::kAnswers) << "the scrape says that";
  clock_.Advance(std::chrono::seconds(4));
  Until([&] { return Load("w").RequestsInFlight() == 15; });
}

}  // namespace
}  // namespace kvroute::testing_support
