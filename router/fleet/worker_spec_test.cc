#include "router/fleet/worker_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

WorkerSpec Valid() {
  WorkerSpec spec;
  spec.worker_id = "w0";
  spec.address = "http://10.0.0.7:8000";
  spec.model = "m";
  spec.event_endpoint = "tcp://10.0.0.7:5557";
  return spec;
}

TEST(WorkerSpecTest, AUsualWorkerIsValid) {
  WorkerSpec spec = Valid();
  spec.replay_endpoint = "tcp://10.0.0.7:5657";
  spec.data_parallel_size = 8;
  EXPECT_TRUE(ValidateWorker(spec, WorkerSource::kConfig).ok())
      << ValidateWorker(spec, WorkerSource::kConfig);
}

struct BadCase {
  const char* name;
  std::function<void(WorkerSpec*)> spoil;
  const char* message;  // a part of it: the field, the value, the limit
};

class BadWorkerTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadWorkerTest, IsRefusedWithFieldValueAndLimit) {
  WorkerSpec spec = Valid();
  GetParam().spoil(&spec);
  const absl::Status status = ValidateWorker(spec, WorkerSource::kConfig);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

using W = WorkerSpec;
INSTANTIATE_TEST_SUITE_P(
    All, BadWorkerTest,
    testing::Values(
        BadCase{"no_id", [](W* w) { w->worker_id = ""; }, "worker_id: 0 bytes; must be 1 to 256"},
        BadCase{"long_id", [](W* w) { w->worker_id = std::string(257, 'x'); },
                "worker_id: 257 bytes"},
        BadCase{"id_with_newline", [](W* w) { w->worker_id = "a\nb"; },
                "worker_id: byte 1 is 0x0a"},
        BadCase{"id_not_ascii", [](W* w) { w->worker_id = "\xc3\xa4"; },
                "worker_id: byte 0 is 0xc3"},
        BadCase{"no_address", [](W* w) { w->address = ""; }, "address: 0 bytes"},
        BadCase{"no_model", [](W* w) { w->model = ""; }, "model: 0 bytes"},
        BadCase{"block_size", [](W* w) { w->block_size_tokens = (1u << 20) + 1; },
                "block_size_tokens: 1048577; the limit is 1048576"},
        BadCase{"no_ranks", [](W* w) { w->data_parallel_size = 0; },
                "data_parallel_size: 0; must be 1 to 1024"},
        BadCase{"many_ranks", [](W* w) { w->data_parallel_size = 1'025; },
                "data_parallel_size: 1025"},
        BadCase{"topic", [](W* w) { w->topic = std::string(1'025, 't'); },
                "topic: 1025 bytes; the limit is 1024"},
        BadCase{"topic_escape", [](W* w) { w->topic = "kv\x1b[31m"; },
                "topic: must be UTF-8 without control characters"},
        BadCase{"topic_not_utf8", [](W* w) { w->topic = "kv\xff"; },
                "topic: must be UTF-8 without control characters"},
        BadCase{"no_endpoint", [](W* w) { w->event_endpoint = ""; }, "event_endpoint: 0 bytes"},
        BadCase{"scheme", [](W* w) { w->event_endpoint = "http://a:1"; },
                "event_endpoint: \"http://a:1\" is not tcp://"},
        BadCase{"no_port", [](W* w) { w->event_endpoint = "tcp://a"; },
                "event_endpoint: \"tcp://a\""},
        BadCase{"port_0", [](W* w) { w->event_endpoint = "tcp://a:0"; }, "event_endpoint"},
        BadCase{"port_65536", [](W* w) { w->event_endpoint = "tcp://a:65536"; }, "event_endpoint"},
        BadCase{"labels",
                [](W* w) {
                  for (int i = 0; i < 17; ++i) w->labels[std::to_string(i)] = "";
                },
                "labels: 17 of them; the limit is 16"},
        BadCase{"label_key", [](W* w) { w->labels["a b"] = ""; },
                "labels: the key \"a b\" is not of A-Z"},
        BadCase{"no_label_key", [](W* w) { w->labels[""] = "x"; },
                "labels: 0 bytes; must be 1 to 63"},
        BadCase{"label_value", [](W* w) { w->labels["a"] = std::string(129, 'x'); },
                "labels: 129 bytes; must be 0 to 128"},
        BadCase{"label_text", [](W* w) { w->labels["a"] = "x\n"; }, "labels: byte 1 is 0x0a"},
        BadCase{"served_names", [](W* w) { w->served_names.assign(65, "x"); },
                "served_names: 65 names; the limit is 64"},
        BadCase{"served_name", [](W* w) { w->served_names = {""}; }, "served_names: 0 bytes"},
        BadCase{"adapters", [](W* w) { w->adapters.assign(1'025, "x"); },
                "adapters: 1025 names; the limit is 1024"},
        BadCase{"adapter", [](W* w) { w->adapters = {"a\x01"}; }, "adapters: byte 1 is 0x01"},
        BadCase{"bind_star", [](W* w) { w->event_endpoint = "tcp://*:5557"; },
                "is an address to bind"},
        BadCase{"bind_any", [](W* w) { w->event_endpoint = "tcp://0.0.0.0:5557"; },
                "is an address to bind"},
        BadCase{"nameless_ipc", [](W* w) { w->event_endpoint = "ipc://"; }, "has no name"},
        BadCase{"replay", [](W* w) { w->replay_endpoint = "udp://a:1"; },
                "replay_endpoint: \"udp://a:1\""},
        BadCase{"ipc_ranks",
                [](W* w) {
                  w->event_endpoint = "ipc:///tmp/a";
                  w->data_parallel_size = 2;
                },
                "cannot be offset to rank 1: name it in rank_overrides"},
        BadCase{"port_overflow",
                [](W* w) {
                  w->event_endpoint = "tcp://a:65535";
                  w->data_parallel_size = 2;
                },
                "beyond port 65535 at rank 1"},
        BadCase{"dp_on_replay",
                [](W* w) {
                  w->replay_endpoint = "tcp://10.0.0.7:5558";
                  w->data_parallel_size = 2;
                },
                "rank 1 would be at \"tcp://10.0.0.7:5558\""},
        BadCase{"override_rank",
                [](W* w) {
                  w->rank_overrides = {{1, "tcp://b:1", ""}};
                },
                "rank_overrides.rank: 1; data_parallel_size is 1"},
        BadCase{"override_twice",
                [](W* w) {
                  w->rank_overrides = {{0, "tcp://b:1", ""}, {0, "tcp://b:2", ""}};
                },
                "rank_overrides.rank: 0 is named twice"},
        BadCase{"override_empty",
                [](W* w) {
                  w->rank_overrides = {{0, "", ""}};
                },
                "rank_overrides.event_endpoint: 0 bytes"},
        BadCase{"override_replay",
                [](W* w) {
                  w->rank_overrides = {{0, "tcp://b:1", "x"}};
                },
                "rank_overrides.replay_endpoint: \"x\""},
        BadCase{"curve", [](W* w) { w->curve.server_public = "short"; },
                "curve.server_public: 5 characters; a Z85 key has 40"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(WorkerSpecTest, ATopicMayBeInAnyScript) {
  WorkerSpec spec = Valid();
  spec.topic = "kv@pod@mod\xc3\xa8le";
  EXPECT_TRUE(ValidateWorker(spec, WorkerSource::kConfig).ok());
}

// It has connected to kvroute: nothing but its endpoints is another matter.
TEST(WorkerSpecTest, OneThatWasDiscoveredNeedsNoEndpointAndIsCheckedLikeAllOthers) {
  WorkerSpec spec = Valid();
  spec.event_endpoint.clear();
  EXPECT_TRUE(ValidateWorker(spec, WorkerSource::kDiscovered).ok());
  for (std::string* name : {&spec.worker_id, &spec.address, &spec.model}) {
    for (const std::string& bad :
         {std::string(), std::string("a\n"), std::string("a\xff"), std::string(1'025, 'a')}) {
      const std::string good = std::exchange(*name, bad);
      EXPECT_FALSE(ValidateWorker(spec, WorkerSource::kDiscovered).ok());
      *name = good;
    }
  }
}

TEST(WorkerSpecTest, RanksFollowThePortRuleUnlessOverridden) {
  WorkerSpec spec = Valid();
  spec.replay_endpoint = "tcp://10.0.0.7:5657";
  spec.data_parallel_size = 3;
  spec.rank_overrides = {{1, "tcp://10.0.0.8:6000", ""}};
  ASSERT_TRUE(ValidateWorker(spec, WorkerSource::kConfig).ok());
  EXPECT_EQ(StreamConfigOf(spec, 0).event_endpoint, "tcp://10.0.0.7:5557");
  EXPECT_EQ(StreamConfigOf(spec, 1).event_endpoint, "tcp://10.0.0.8:6000");
  EXPECT_EQ(StreamConfigOf(spec, 1).replay_endpoint, "");
  EXPECT_EQ(StreamConfigOf(spec, 2).event_endpoint, "tcp://10.0.0.7:5559");
  EXPECT_EQ(StreamConfigOf(spec, 2).replay_endpoint, "tcp://10.0.0.7:5659");
  EXPECT_EQ(StreamConfigOf(spec, 2).rank, 2u);
}

TEST(WorkerSpecTest, RanksAreLearnedUnlessTheFirstIsNamed) {
  WorkerSpec spec = Valid();
  spec.data_parallel_size = 2;
  EXPECT_EQ(StreamConfigOf(spec, 1).published_rank, std::nullopt);
  spec.first_rank = 8;
  EXPECT_EQ(StreamConfigOf(spec, 0).published_rank, 8u);
  EXPECT_EQ(StreamConfigOf(spec, 1).published_rank, 9u);
  spec.first_rank = 65'534;
  EXPECT_TRUE(ValidateWorker(spec, WorkerSource::kConfig).ok());
  spec.first_rank = 65'535;
  EXPECT_EQ(MessageOf(ValidateWorker(spec, WorkerSource::kConfig)),
            "first_rank: 65535; of 2 ranks the first is at most 65534");
}

// Whatever is not of the rank itself is not in its subscription, or it would be ended and begun
// anew.
TEST(WorkerSpecTest, AnotherNumberOfRanksChangesNothingOfTheOthers) {
  WorkerSpec spec = Valid();
  const StreamConfig alone = StreamConfigOf(spec, 0);
  for (const uint32_t ranks : {2u, 3u, 1'000u}) {
    spec.data_parallel_size = ranks;
    EXPECT_EQ(StreamConfigOf(spec, 0), alone) << ranks;
  }
}

TEST(WorkerSpecTest, EndpointsAreOffsetAsTheEnginesDo) {
  EXPECT_EQ(*OffsetEndpoint("tcp://[fe80::1]:5557", 3), "tcp://[fe80::1]:5560");
  EXPECT_EQ(*OffsetEndpoint("inproc://kv", 2), "inproc://kv_dp2");
  EXPECT_EQ(*OffsetEndpoint("ipc:///tmp/kv", 0), "ipc:///tmp/kv");
  EXPECT_FALSE(OffsetEndpoint("ipc:///tmp/kv", 1).ok());
}

}  // namespace
}  // namespace kvroute
