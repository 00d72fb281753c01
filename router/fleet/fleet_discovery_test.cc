// Workers that nobody named: engines that connected to a listener.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/text.h"
#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using FleetDiscoveryTest = FleetFixture;

TEST_F(FleetDiscoveryTest, DiscoveredStreamsBecomeWorkers) {
  source_.SetCallbacks([&](const DiscoveredStream& d) { return fleet_.AddDiscovered(d); }, {});
  ASSERT_TRUE(fleet_.Register(Spec("10.0.0.9:8000", 100)).ok());
  source_.Discover("10.0.0.7:8000", "m");
  EXPECT_TRUE(source_.Discover("10.0.0.9:8000", "m"));
  EXPECT_FALSE(source_.Discover("10.0.0.9:8000", "m"));  // under both of its names already
  EXPECT_THAT(Ids(), ElementsAre("10.0.0.7:8000/0", "10.0.0.9:8000/0", "10.0.0.9:8000@m/0"));
  const auto stream = Settled()->targets[0].stream;
  EXPECT_EQ(Settled()->targets[0].worker->source, WorkerSource::kDiscovered);
  ASSERT_TRUE(fleet_.SetDraining("10.0.0.7:8000", true).ok());
  EXPECT_EQ(Settled()->targets[0].stream, stream);
  ASSERT_TRUE(fleet_.Deregister("10.0.0.7:8000").ok());
  EXPECT_THAT(Ids(), ElementsAre("10.0.0.9:8000/0", "10.0.0.9:8000@m/0"));
}

TEST_F(FleetDiscoveryTest, ADiscoveredWorkerWhoseStreamExpiredIsGone) {
  source_.SetCallbacks([&](const DiscoveredStream& d) { return fleet_.AddDiscovered(d); },
                       [&](StreamId stream) { fleet_.RemoveExpired(stream); });
  ASSERT_TRUE(fleet_.Register(Spec("a", 100)).ok());
  source_.Discover("b", "m");
  source_.Discover("c", "m");
  const std::shared_ptr<const FleetSnapshot> before = Settled();
  ASSERT_THAT(Ids(), ElementsAre("a/0", "b/0", "c/0"));
  source_.Expire(before->targets[1].stream->id);
  EXPECT_THAT(Ids(), ElementsAre("a/0", "c/0"));
  source_.Expire(before->targets[1].stream->id);  // it was deregistered meanwhile, say
  source_.Expire(before->targets[0].stream->id);  // registered: not the listener's to take away
  EXPECT_THAT(Ids(), ElementsAre("a/0", "c/0"));
  EXPECT_EQ(fleet_.Deregister("b").code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(source_.Discover("b", "m"));
  EXPECT_THAT(Ids(), ElementsAre("a/0", "b/0", "c/0"));
}

// Changes of the fleet, made from a copy of it, while streams come and expire.
TEST_F(FleetDiscoveryTest, WorkersThatExpireDuringAChangeDoNotComeBack) {
  source_.SetCallbacks([&](const DiscoveredStream& d) { return fleet_.AddDiscovered(d); },
                       [&](StreamId stream) { fleet_.RemoveExpired(stream); });
  std::atomic<bool> done{false};
  std::thread changes([&] {
    for (bool draining = true; !done; draining = !draining) {
      fleet_.SetDraining("b", draining).IgnoreError();
      fleet_.Deregister("b").IgnoreError();
    }
  });
  for (int i = 0; i < 500; ++i) {
    source_.Discover("b", "m");
    const std::shared_ptr<const FleetSnapshot> snapshot = Settled();
    if (!snapshot->targets.empty()) source_.Expire(snapshot->targets[0].stream->id);
    EXPECT_TRUE(Settled()->targets.empty());
  }
  done = true;
  changes.join();
}

TEST_F(FleetDiscoveryTest, TheLeasesOfAWorkerThatExpiredEnd) {
  source_.SetCallbacks([&](const DiscoveredStream& d) { return fleet_.AddDiscovered(d); },
                       [&](StreamId stream) { fleet_.RemoveExpired(stream); });
  source_.Discover("b", "m");
  const FleetTarget target = Settled()->targets.at(0);
  ASSERT_TRUE(loads_.Begin("r", target.load, {5, 0}).ok());
  source_.Expire(target.stream->id);
  EXPECT_THAT(Ids(), IsEmpty());
  EXPECT_EQ(loads_.Stats().dropped, 1u);
  EXPECT_EQ(target.load->requests_in_flight, 0u);
}

// What an engine calls itself reaches every answer, label and log line.
TEST_F(FleetDiscoveryTest, ANameThatNoRegistrationMayHaveIsNoWorker) {
  source_.SetCallbacks([&](const DiscoveredStream& d) { return fleet_.AddDiscovered(d); }, {});
  const std::pair<std::string, std::string> names[] = {
      {"a\xff", "m"},
      {"a", "m\xc3"},
      {"a\n", "m"},
      {"a", "m\x1b[31m"},
      {std::string("a\0b", 3), "m"},
      {"a", "caf\xc3\xa9"},
      {"", "m"},
      {"a", ""},
      {std::string(limits::kMaxWorkerIdBytes + 1, 'a'), "m"},
      {"a", std::string(limits::kMaxModelBytes + 1, 'm')}};
  for (const auto& [host, model] : names) EXPECT_FALSE(source_.Discover(host, model)) << host;
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(FleetDiscoveryTest, WhateverTopicsSayNamesAreText) {
  source_.SetCallbacks([&](const DiscoveredStream& d) { return fleet_.AddDiscovered(d); }, {});
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const auto any = [&] {
    std::string name(1 + random() % 12, 0);
    for (char& byte : name)
      byte = static_cast<char>(random() % 3 == 0 ? random() : 'a' + random() % 26);
    return name;
  };
  for (int i = 0; i < 2'000; ++i) source_.Discover(any(), any());
  const auto snapshot = Settled();
  EXPECT_FALSE(snapshot->targets.empty());
  for (const FleetTarget& target : snapshot->targets) {
    const WorkerSpec& spec = target.worker->spec;
    for (const std::string& text : {spec.worker_id, spec.address, spec.model, spec.topic}) {
      EXPECT_EQ(OneLine(text), text);
    }
  }
}

}  // namespace
}  // namespace kvroute
