#include "router/serve/live_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "indexer/base/error.h"
#include "test/support/fake_clock.h"
#include "test/support/fake_source.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Worker(const std::string& id, int port, const std::string& more = "") {
  return absl::StrCat("- {worker_id: ", id,
                      ", address: x, model: m, event_endpoint: \"tcp://127.0.0.1:", port, "\"",
                      more, "}\n");
}

class LiveConfigTest : public testing::Test {
 protected:
  void Start(const std::string& text) {
    auto config = ParseConfig(text, "k.yaml", {});
    ASSERT_TRUE(config.ok()) << config.status();
    live_ = std::make_unique<LiveConfig>(*config, "k.yaml", ConfigOverrides(), &fleet_, &router_,
                                         &rights_, &clock_);
    ASSERT_TRUE(live_->ApplyInitial().ok());
  }

  std::vector<std::string> Workers() const {
    std::vector<std::string> workers;
    for (const FleetTarget& target : fleet_.Snapshot()->targets) {
      workers.push_back(target.worker->spec.worker_id +
                        (target.worker->draining ? " draining" : ""));
    }
    return workers;
  }

  FakeClock clock_;
  PrefixIndex index_;
  FakeSource source_{&index_};
  Rights rights_;
  LoadTracker loads_{{}, &clock_};
  Fleet fleet_{{}, &source_, &loads_};
  RoutingStats stats_;
  Router router_{{}, &index_, &fleet_, &loads_, &stats_, &clock_};
  std::unique_ptr<LiveConfig> live_;
};

TEST_F(LiveConfigTest, WorkersComeGoAndDrainWithTheFile) {
  Start("workers:\n" + Worker("a", 100) + Worker("b", 200));
  EXPECT_THAT(Workers(), ElementsAre("a", "b"));
  live_->Reload("workers:\n" + Worker("b", 200, ", draining: true") + Worker("c", 300));
  EXPECT_THAT(Workers(), ElementsAre("b draining", "c"));
  live_->Reload("workers:\n" + Worker("b", 200));
  EXPECT_THAT(Workers(), ElementsAre("b"));
  EXPECT_EQ(live_->report().applied, 2u);
}

TEST_F(LiveConfigTest, DrainingSetThroughTheApiSurvivesAnUnrelatedEdit) {
  Start("workers:\n" + Worker("a", 100));
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  live_->Reload("workers:\n" + Worker("a", 100) + Worker("b", 200));
  EXPECT_THAT(Workers(), ElementsAre("a draining", "b"));
}

TEST_F(LiveConfigTest, AFailedReloadKeepsTheOldConfigurationAndSaysSo) {
  Start("routing: {policy: prefix}\nworkers:\n" + Worker("a", 100));
  for (const std::string& bad :
       {std::string("workers: ["), std::string("routing: {policy: best}\n"),
        "workers:\n" + Worker("c", 100) + Worker("d", 100)}) {
    const uint64_t failed = live_->report().failed;
    live_->Reload(bad);
    EXPECT_EQ(live_->report().failed, failed + 1) << bad;
    EXPECT_THAT(Workers(), ElementsAre("a"));
    EXPECT_EQ(live_->config()->routing.policy, PolicyKind::kPrefix);
    EXPECT_FALSE(live_->report().last_error.empty());
  }
  live_->Reload(InvalidArgument("k.yaml: No such file or directory"));
  EXPECT_EQ(live_->report().last_error, "config k.yaml: No such file or directory");
  live_->Reload(std::string("routing: {policy: best}\n"));
  EXPECT_THAT(live_->report().last_error, HasSubstr("config k.yaml:1: routing.policy: \"best\""));
  live_->Reload("workers:\n" + Worker("a", 100));
  EXPECT_EQ(live_->report().last_error, "");
}

// A file that was cut off, say: whoever wants no workers writes so.
TEST_F(LiveConfigTest, AFileWithoutAListOfWorkersTakesNoneAway) {
  Start("log: {level: info}\nworkers:\n" + Worker("a", 100));
  for (const char* cut_off :
       {"", "# workers\n", "log: {level: info}\n", "workers:\n", "workers: ~"}) {
    live_->Reload(std::string(cut_off));
    EXPECT_EQ(live_->report().last_error,
              "config k.yaml: workers: there is no such list, and that in force names 1; write "
              "\"workers: []\" for none")
        << cut_off;
    EXPECT_THAT(Workers(), ElementsAre("a"));
  }
  live_->Reload(std::string("workers: []\n"));
  EXPECT_THAT(Workers(), testing::IsEmpty());
  live_->Reload(std::string("log: {level: info}\n"));
  EXPECT_EQ(live_->report().last_error, "") << "there is nothing to lose";
}

TEST_F(LiveConfigTest, RightsChangeWithTheFileAndDoNotVanishWithIt) {
  Start("rights: {certificates: [{name: a.svc, roles: route}]}\n");
  const auto may_route = [this](std::string_view name) {
    const std::vector<std::string_view> names = {name};
    return rights_.Check(Action::kRoute, rights_.Grant(names, {}), "test").ok();
  };
  EXPECT_TRUE(may_route("a.svc"));
  live_->Reload(std::string("rights: {certificates: [{name: b.svc, roles: route}]}\n"));
  EXPECT_FALSE(may_route("a.svc"));
  EXPECT_TRUE(may_route("b.svc"));
  live_->Reload(std::string("log: {level: info}\n"));
  EXPECT_THAT(live_->report().last_error, HasSubstr("rights: none is given any more"));
  EXPECT_FALSE(may_route("a.svc"));
}

TEST_F(LiveConfigTest, FieldsThatNeedARestartAreNamed) {
  Start("");
  live_->Reload(std::string("grpc: {listen: 'h:1'}\nrouting: {policy: random}\n"));
  EXPECT_THAT(live_->report().waiting_for_restart, ElementsAre("grpc.listen"));
  EXPECT_EQ(live_->config()->routing.policy, PolicyKind::kRandom);
  live_->Reload(std::string(""));
  EXPECT_THAT(live_->report().waiting_for_restart, testing::IsEmpty());
}

}  // namespace
}  // namespace kvroute
