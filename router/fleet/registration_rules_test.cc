#include "router/fleet/registration_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/base/error.h"
#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::AllOf;
using testing::HasSubstr;

WorkerSpec At(const std::string& event_endpoint, const std::string& replay_endpoint = "",
              const std::string& address = "http://10.0.0.7:8000") {
  WorkerSpec spec;
  spec.worker_id = "w";
  spec.address = address;
  spec.model = "m";
  spec.event_endpoint = event_endpoint;
  spec.replay_endpoint = replay_endpoint;
  return spec;
}

RegistrationRules Rules(const std::string& networks, const std::string& names = "") {
  return {*NetworkList::Parse(networks), *RegistrationRules::ParseNames(names)};
}

TEST(RegistrationRules, EveryPlaceMustBeInANetwork) {
  const RegistrationRules rules = Rules("10.0.0.0/8");
  EXPECT_TRUE(rules.Check(At("tcp://10.0.0.7:5557", "tcp://10.0.0.7:5657")).ok());
  EXPECT_THAT(MessageOf(rules.Check(At("tcp://192.168.0.1:5557"))),
              HasSubstr("event_endpoint: \"tcp://192.168.0.1:5557\" is not in "
                        "registration.networks: 10.0.0.0/8"));
  EXPECT_THAT(MessageOf(rules.Check(At("tcp://10.0.0.7:1", "tcp://[::1]:2"))),
              HasSubstr("replay_endpoint: \"tcp://[::1]:2\" is not in"));
  EXPECT_THAT(MessageOf(rules.Check(At("tcp://10.0.0.7:1", "", "http://169.254.169.254:80/x"))),
              HasSubstr("address: \"http://169.254.169.254:80/x\" is not in"));
  WorkerSpec spec = At("tcp://10.0.0.7:1");
  spec.rank_overrides = {{.rank = 0, .event_endpoint = "tcp://11.0.0.7:1"}};
  EXPECT_THAT(MessageOf(rules.Check(spec)), HasSubstr("rank_overrides.event_endpoint"));
}

TEST(RegistrationRules, SocketsOfThisMachineAreWhereLoopbackIs) {
  EXPECT_THAT(MessageOf(Rules("10.0.0.0/8").Check(At("ipc:///run/docker.sock"))),
              AllOf(HasSubstr("event_endpoint: \"ipc:///run/docker.sock\" is this machine's")));
  EXPECT_TRUE(Rules("10.0.0.0/8, 127.0.0.0/8").Check(At("ipc:///run/engine")).ok());
}

TEST(RegistrationRules, NamesMayBeBoundToSuffixes) {
  const RegistrationRules rules = Rules("10.0.0.0/8", ".engines.svc, one");
  EXPECT_TRUE(rules.Check(At("tcp://a.Engines.svc:5557")).ok());
  EXPECT_TRUE(rules.Check(At("tcp://one:5557")).ok());
  EXPECT_THAT(MessageOf(rules.Check(At("tcp://engines.svc.evil.org:5557"))),
              HasSubstr("ends in none of registration.names: .engines.svc, one"));
  EXPECT_FALSE(rules.Check(At("tcp://notone:5557")).ok());
  EXPECT_TRUE(Rules("10.0.0.0/8").Check(At("tcp://any.name:5557")).ok());  // until it is resolved
}

TEST(RegistrationRules, AnAddressThatNobodyAsksMayBeAnything) {
  EXPECT_TRUE(Rules("10.0.0.0/8").Check(At("tcp://10.0.0.7:1", "", "simulated://w0")).ok());
  EXPECT_TRUE(Rules("10.0.0.0/8").Check(At("tcp://10.0.0.7:1", "", "instance-7")).ok());
}

TEST(RegistrationRules, AreForTheApiAlone) {
  FakeClock clock;
  PrefixIndex index;
  FakeSource source(&index);
  LoadTracker loads({}, &clock);
  Fleet fleet({.registration = Rules("10.0.0.0/8")}, &source, &loads);
  const WorkerSpec spec = At("tcp://127.0.0.1:5557");
  EXPECT_EQ(fleet.Register(spec).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(fleet.Snapshot()->targets.empty());
  const std::vector<WorkerSpec> configured = {spec};
  EXPECT_TRUE(fleet.ApplyConfig(configured).ok());
}

}  // namespace
}  // namespace kvroute
