#include "router/fleet/discovery/event_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

WorkerSpec Found(uint32_t ranks = 1) {
  WorkerSpec spec;
  spec.worker_id = "w";
  spec.address = "10.0.0.7:8000";
  spec.model = std::string("m");
  spec.event_endpoint = "tcp://10.0.0.7:5557";
  spec.replay_endpoint = "tcp://10.0.0.7:5657";
  spec.data_parallel_size = ranks;
  return spec;
}

TEST(EventSourcesTest, AreReadInTheOrderOfRanks) {
  const auto sources = ReadEventSources(
      R"([{"data_parallel_rank":1,"endpoint":"tcp://10.0.0.7:31002","replay_endpoint":null,"topic":""},)"
      R"({"data_parallel_rank":0,"endpoint":"tcp://*:31001","replay_endpoint":"tcp://*:31003"}])");
  ASSERT_TRUE(sources.ok()) << sources.status();
  EXPECT_THAT(*sources, ElementsAre(RankPublisher{0, "tcp://*:31001", "tcp://*:31003"},
                                    RankPublisher{1, "tcp://10.0.0.7:31002", ""}));
  EXPECT_THAT(*ReadEventSources("[]"), IsEmpty());
}

TEST(EventSourcesTest, WhatIsNoneIsRefused) {
  for (const char* text : {"", "{}", "<html>", "[1]", "[{}]", R"([{"endpoint":7}])",
                           R"([{"endpoint":"ipc:///tmp/x"}])",
                           R"([{"endpoint":"tcp://a-name:5557"}])", R"([{"endpoint":"tcp://*:0"}])",
                           R"([{"endpoint":"tcp://*:99999"}])", R"([{"endpoint":"tcp://*"}])",
                           R"([{"endpoint":"tcp://*:1","replay_endpoint":"inproc://x"}])",
                           R"([{"endpoint":"tcp://*:1","data_parallel_rank":99999999}])",
                           R"([{"endpoint":"tcp://*:1"},{"endpoint":"tcp://*:2"}])"}) {
    EXPECT_FALSE(ReadEventSources(text).ok()) << text;
  }
  std::string many = "[";
  for (size_t i = 0; i <= limits::kMaxDataParallelSize; ++i) {
    absl::StrAppend(&many, i == 0 ? "" : ",",
                    "{\"endpoint\":\"tcp://*:1\",\"data_parallel_rank\":", i, "}");
  }
  EXPECT_FALSE(ReadEventSources(many + "]").ok());
}

TEST(EventSourcesTest, OutrankWhatWasSaidOfPorts) {
  WorkerSpec spec = Found();
  ASSERT_TRUE(TakeEventSources({{0, "tcp://*:31001", ""}}, &spec));
  EXPECT_EQ(spec.event_endpoint, "tcp://10.0.0.7:31001");
  EXPECT_EQ(spec.replay_endpoint, "") << "it has none";
  EXPECT_EQ(spec.data_parallel_size, 1u);
  EXPECT_FALSE(spec.first_rank.has_value());
  WorkerSpec v6 = Found();
  v6.event_endpoint = "tcp://[fd00::1]:5557";
  ASSERT_TRUE(TakeEventSources({{0, "tcp://[::]:4", "tcp://[fd00::2]:5"}}, &v6));
  EXPECT_EQ(v6.event_endpoint, "tcp://[fd00::1]:4");
  EXPECT_EQ(v6.replay_endpoint, "tcp://[fd00::2]:5");
}

TEST(EventSourcesTest, TellRanksBehindOneAddress) {
  WorkerSpec spec = Found();
  ASSERT_TRUE(TakeEventSources(
      {{8, "tcp://*:31001", ""}, {9, "tcp://10.0.0.8:31002", "tcp://*:31004"}}, &spec));
  EXPECT_EQ(spec.data_parallel_size, 2u);
  EXPECT_EQ(spec.first_rank, 8u);
  ASSERT_EQ(spec.rank_overrides.size(), 1u);
  EXPECT_EQ(spec.rank_overrides[0].event_endpoint, "tcp://10.0.0.8:31002");
  EXPECT_EQ(spec.rank_overrides[0].replay_endpoint, "tcp://10.0.0.7:31004");
  spec.event_endpoint = "tcp://10.0.0.7:1";
  EXPECT_TRUE(ValidateWorker(spec, WorkerSource::kKubernetes).ok());
}

TEST(EventSourcesTest, OfRanksWithAddressesOnlyAllAreTaken) {
  WorkerSpec spec = Found(2);
  spec.rank_overrides.push_back({.rank = 1, .address = "10.0.0.7:8001"});
  const WorkerSpec before = spec;
  EXPECT_FALSE(TakeEventSources({{0, "tcp://*:1", ""}}, &spec));
  EXPECT_FALSE(TakeEventSources({{0, "tcp://*:1", ""}, {2, "tcp://*:2", ""}}, &spec));
  EXPECT_FALSE(TakeEventSources({}, &spec));
  EXPECT_EQ(spec, before);
  ASSERT_TRUE(TakeEventSources({{0, "tcp://*:1", ""}, {1, "tcp://*:2", ""}}, &spec));
  EXPECT_EQ(spec.rank_overrides[0].address, "10.0.0.7:8001");
  EXPECT_EQ(spec.rank_overrides[0].event_endpoint, "tcp://10.0.0.7:2");
}

}  // namespace
}  // namespace kvroute
