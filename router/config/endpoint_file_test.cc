#include "router/config/endpoint_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

absl::StatusOr<EndpointFile> Read(const std::string& text) {
  return ReadEndpointFile(text, "engines.yaml", {.model = "m"});
}

TEST(EndpointFileTest, EachEntryIsAWorker) {
  for (const char* text :
       {"endpoints:\n- {name: a, address: 10.0.0.7, port: \"8000\", labels: "
        "{llm-d.ai/engine-type: sglang}}\n- {name: b, namespace: ns, address: 'fd00::1', port: "
        "'8001'}\n",
        R"({"endpoints":[{"name":"a","address":"10.0.0.7","port":"8000","labels":
           {"llm-d.ai/engine-type":"sglang"}},
           {"name":"b","namespace":"ns","address":"fd00::1","port":"8001"}]})"}) {
    const auto file = Read(text);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_THAT(file->skipped, IsEmpty());
    ASSERT_THAT(file->workers, SizeIs(2));
    const WorkerSpec& first = file->workers[0].spec;
    EXPECT_EQ(first.worker_id, "default/a");
    EXPECT_EQ(first.address, "10.0.0.7:8000");
    EXPECT_EQ(first.event_endpoint, "tcp://10.0.0.7:5557");
    EXPECT_EQ(first.engine, EngineKind::kSglang);
    EXPECT_EQ(file->workers[1].spec.worker_id, "ns/b");
    EXPECT_EQ(file->workers[1].spec.address, "[fd00::1]:8001");
    EXPECT_TRUE(ValidateWorker(file->workers[1].spec, WorkerSource::kFile).ok());
  }
}

TEST(EndpointFileTest, LabelsSayWhereAnEnginesEventsAre) {
  const auto file = Read(
      "endpoints:\n- {name: a, address: 10.0.0.7, port: '80', labels: {kvroute.io/model: other, "
      "kvroute.io/event-port: '6000', kvroute.io/replay-port: '6100', "
      "kvroute.io/data-parallel-size: '2'}}\n"
      "- {name: b, address: 10.0.0.8, port: '80', labels: {kvroute.io/event-port: '65536'}}\n"
      "- {name: c, address: 10.0.0.8, port: '80', labels: {kvroute.io/data-parallel-size: '0'}}\n");
  ASSERT_TRUE(file.ok());
  ASSERT_THAT(file->workers, SizeIs(1));
  const WorkerSpec& spec = file->workers[0].spec;
  EXPECT_EQ(spec.model, "other");
  EXPECT_EQ(spec.event_endpoint, "tcp://10.0.0.7:6000");
  EXPECT_EQ(spec.replay_endpoint, "tcp://10.0.0.7:6100");
  EXPECT_EQ(spec.data_parallel_size, 2u);
  EXPECT_THAT(spec.rank_overrides, IsEmpty());
  EXPECT_THAT(file->skipped, ElementsAre(HasSubstr("kvroute.io/event-port: \"65536\" is no number"),
                                         HasSubstr("kvroute.io/data-parallel-size: \"0\"")));
}

TEST(EndpointFileTest, ABadEntryIsSkippedWithItsPlace) {
  const auto file = Read(
      "endpoints:\n- {name: good, address: 10.0.0.7, port: '80'}\n"
      "- {address: 10.0.0.7, port: '80'}\n- {name: x, address: host, port: '80'}\n"
      "- {name: y, address: 10.0.0.7, port: '0'}\n- {name: good, address: 10.0.0.8, port: '80'}\n"
      "- 7\n- {name: [], address: 10.0.0.7, port: '80'}\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->workers, SizeIs(1));
  EXPECT_THAT(file->skipped,
              ElementsAre(HasSubstr("engines.yaml:3: name: is missing"),
                          HasSubstr("engines.yaml:4: address: "), HasSubstr("port: \"0\""),
                          HasSubstr("is there twice"), HasSubstr("instead of a map"),
                          HasSubstr("name: is missing")));
}

TEST(EndpointFileTest, TheLabelIsTheRoleAndWhoOnlyEncodesIsNoWorkerAndNoMistake) {
  const auto file = Read(
      "endpoints:\n- {name: p, address: 10.0.0.7, port: '80', labels: {llm-d.ai/role: prefill}}\n"
      "- {name: e, address: 10.0.0.8, port: '80', labels: {llm-d.ai/role: encode}}\n");
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->workers.size(), 1u);
  EXPECT_EQ(file->workers[0].spec.role, WorkerRole::kPrefill);
  EXPECT_THAT(file->skipped, IsEmpty());
}

TEST(EndpointFileTest, WhatIsNoSuchFileIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("engines: []\n"), std::string("endpoints: 7\n"),
        std::string("endpoints: {a: b}\n"), std::string("{"), std::string("- a\n"),
        "endpoints: [] # " + std::string(limits::kMaxEndpointFileBytes, 'x') + "\n"}) {
    EXPECT_FALSE(Read(text).ok()) << text.substr(0, 40);
  }
  EXPECT_TRUE(Read("endpoints: []\n").ok());
}

}  // namespace
}  // namespace kvroute
