#include "router/fleet/discovery/pod_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvroute {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

KubeObject Pod(const std::string& name, const std::string& ip = "10.0.0.1") {
  KubeObject pod;
  pod.name = name;
  pod.uid = "uid-" + name;
  pod.ip = ip;
  pod.ready = true;
  return pod;
}

class PodSetTest : public testing::Test {
 protected:
  PodSetTest() { pods_.SetPorts({8000}); }

  void Change(KubeObject pod) { pods_.Change(KubeChange::kModified, std::move(pod), now_); }
  // "id", or "id!" of one that is not ready.
  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const OwnedWorker& worker : pods_.Workers(now_)) {
      ids.push_back(worker.spec.worker_id + (worker.not_ready ? "!" : ""));
    }
    return ids;
  }

  PodSet pods_{"ns", {.model = "m"}, seconds(60)};
  Nanos now_ = seconds(1'000);
};

TEST_F(PodSetTest, APodThatIsReadyIsAWorkerWithARankForEachPort) {
  pods_.SetPorts({8000, 8001});
  Change(Pod("a", "10.0.0.7"));
  const std::vector<OwnedWorker> workers = pods_.Workers(now_);
  ASSERT_EQ(workers.size(), 1u);
  const WorkerSpec& spec = workers[0].spec;
  EXPECT_EQ(spec.worker_id, "ns/a");
  EXPECT_EQ(spec.instance, "uid-a");
  EXPECT_EQ(spec.data_parallel_size, 2u);
  EXPECT_EQ(spec.AddressOf(0), "10.0.0.7:8000");
  EXPECT_EQ(spec.AddressOf(1), "10.0.0.7:8001");
  EXPECT_EQ(StreamConfigOf(spec, 1).event_endpoint, "tcp://10.0.0.7:5558");
  EXPECT_EQ(StreamConfigOf(spec, 1).replay_endpoint, "");
  EXPECT_TRUE(ValidateWorker(spec, WorkerSource::kKubernetes).ok());
}

TEST_F(PodSetTest, Ipv6AddressesStandInBrackets) {
  Change(Pod("a", "fd00::7"));
  const WorkerSpec spec = pods_.Workers(now_)[0].spec;
  EXPECT_EQ(spec.address, "[fd00::7]:8000");
  EXPECT_EQ(spec.event_endpoint, "tcp://[fd00::7]:5557");
  EXPECT_TRUE(ValidateWorker(spec, WorkerSource::kKubernetes).ok());
}

TEST_F(PodSetTest, WhoIsNotUpIsNoWorker) {
  KubeObject starting = Pod("starting");
  starting.ready = false;
  KubeObject without_ip = Pod("without-ip", "");
  KubeObject terminating = Pod("terminating");
  terminating.terminating = true;
  KubeObject finished = Pod("finished");
  finished.finished = true;
  KubeObject encode = Pod("encode");
  encode.role = "encode";
  KubeObject misspelt = Pod("misspelt");
  misspelt.role = "Decode";
  for (const KubeObject& pod : {starting, without_ip, terminating, finished, encode, misspelt}) {
    Change(pod);
  }
  EXPECT_THAT(Ids(), IsEmpty());
  KubeObject decode = Pod("decode");
  decode.role = "decode";
  Change(decode);
  EXPECT_THAT(Ids(), ElementsAre("ns/decode"));
}

TEST_F(PodSetTest, TheLabelSaysWhichHalfOfTheWorkIsAPods) {
  const std::pair<const char*, WorkerRole> roles[] = {{"", WorkerRole::kDecode},
                                                      {"decode", WorkerRole::kDecode},
                                                      {"prefill", WorkerRole::kPrefill},
                                                      {"encode-prefill", WorkerRole::kPrefill},
                                                      {"both", WorkerRole::kBoth},
                                                      {"prefill-decode", WorkerRole::kBoth},
                                                      {"encode-prefill-decode", WorkerRole::kBoth}};
  for (const auto& [label, role] : roles) {
    KubeObject pod = Pod("pod");
    pod.role = label;
    Change(pod);
    const std::vector<OwnedWorker> workers = pods_.Workers(now_);
    ASSERT_EQ(workers.size(), 1u) << label;
    EXPECT_EQ(workers[0].spec.role, role) << label;
  }
}

TEST_F(PodSetTest, OneThatIsReadyNoLongerStaysForTheGrace) {
  Change(Pod("a"));
  Change(Pod("b", "10.0.0.2"));
  KubeObject not_ready = Pod("a");
  not_ready.ready = false;
  Change(not_ready);
  EXPECT_THAT(Ids(), ElementsAre("ns/b", "ns/a!"));
  EXPECT_EQ(pods_.NextEnd(now_), now_ + seconds(60));
  now_ += seconds(59);
  Change(not_ready);  // does not begin anew
  EXPECT_THAT(Ids(), ElementsAre("ns/b", "ns/a!"));
  now_ += seconds(1);
  EXPECT_THAT(Ids(), ElementsAre("ns/b"));
  EXPECT_EQ(pods_.NextEnd(now_), std::nullopt);
  Change(Pod("a"));
  EXPECT_THAT(Ids(), ElementsAre("ns/a", "ns/b"));
}

TEST_F(PodSetTest, AnotherPodOfTheNameOrAtAnotherAddressHasNoGrace) {
  for (const bool other_uid : {true, false}) {
    Change(Pod("a"));
    KubeObject other = Pod("a", other_uid ? "10.0.0.1" : "10.0.0.9");
    if (other_uid) other.uid = "other";
    other.ready = false;
    Change(other);
    EXPECT_THAT(Ids(), IsEmpty());
  }
}

TEST_F(PodSetTest, WhatIsDeletedOrNotListedIsGone) {
  Change(Pod("a"));
  Change(Pod("b"));
  pods_.Change(KubeChange::kDeleted, Pod("a"), now_);
  EXPECT_THAT(Ids(), ElementsAre("ns/b"));
  pods_.ReplaceAll({Pod("c")}, now_);
  EXPECT_THAT(Ids(), ElementsAre("ns/c"));
}

// A list after a lost connection: the time that a pod was not ready goes on.
TEST_F(PodSetTest, AListKeepsWhatWasKnownOfEach) {
  Change(Pod("a"));
  KubeObject not_ready = Pod("a");
  not_ready.ready = false;
  pods_.ReplaceAll({not_ready}, now_);
  EXPECT_THAT(Ids(), ElementsAre("ns/a!"));
  now_ += seconds(60);
  pods_.ReplaceAll({not_ready}, now_);
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(PodSetTest, ActivePortsCloseTheOthers) {
  pods_.SetPorts({8000, 8001, 8002});
  KubeObject pod = Pod("a");
  pod.active_ports = "8001, 9999,x";
  Change(pod);
  const WorkerSpec spec = pods_.Workers(now_)[0].spec;
  EXPECT_EQ(spec.data_parallel_size, 2u);  // ranks behind the last one are not there
  EXPECT_TRUE(spec.FindOverride(0)->closed);
  EXPECT_EQ(spec.AddressOf(1), "10.0.0.1:8001");
  pod.active_ports = "";
  Change(pod);
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(PodSetTest, TheEngineTypeIsItsDialect) {
  for (const auto& [label, kind] :
       {std::pair{"vllm", EngineKind::kVllm}, std::pair{"sglang", EngineKind::kSglang},
        std::pair{"trtllm-serve", EngineKind::kTrtllm},
        std::pair{"something", EngineKind::kAuto}}) {
    KubeObject pod = Pod("a");
    pod.engine = label;
    Change(pod);
    EXPECT_EQ(pods_.Workers(now_)[0].spec.engine, kind);
  }
}

}  // namespace
}  // namespace kvroute
