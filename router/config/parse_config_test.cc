#include "router/config/parse_config.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

struct BadConfig {
  const char* text;
  const char* error;
};

class BadConfigTest : public testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, IsRefusedInOneLineWithPlaceFieldValueAndLimit) {
  const auto config = ParseConfig(GetParam().text, "k.yaml", {});
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(MessageOf(config.status()), GetParam().error);
  EXPECT_EQ(MessageOf(config.status()).find('\n'), std::string_view::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Errors, BadConfigTest,
    testing::Values(
        BadConfig{"grpc: {listen: [", "config k.yaml:1: end of sequence flow not found"},
        BadConfig{"grcp:\n  listen: x:1\n",
                  "config k.yaml:1: grcp: there is no such field; did you mean \"grpc\"?"},
        BadConfig{"grpc:\n  lisen: x:1\n",
                  "config k.yaml:2: grpc.lisen: there is no such field; did you mean \"listen\"?"},
        BadConfig{"log:\n  level: info\nlog:\n  level: info\n",
                  "config k.yaml:3: key \"log\" stands here twice"},
        BadConfig{"- a\n", "config k.yaml:1: a list where a map is expected"},
        BadConfig{"a: 1\n---\nb: 2\n", "config k.yaml: more than one document, there must be one"},
        BadConfig{"grpc: 5\n", "config k.yaml:1: grpc: a value where a map is expected"},
        BadConfig{"workers: w0\n", "config k.yaml:1: workers: a value where a list is expected"},
        BadConfig{"workers:\n- w0\n",
                  "config k.yaml:2: workers[0]: a value where a map is expected"},
        BadConfig{"grpc:\n  listen: {}\n",
                  "config k.yaml:2: grpc.listen: a map where text is expected"},
        BadConfig{"grpc:\n  listen:\n",
                  "config k.yaml:2: grpc.listen: nothing where text is expected"},
        BadConfig{
            "grpc:\n  listen: nowhere\n",
            "config k.yaml:2: grpc.listen: \"nowhere\" is not host:port, [IPv6]:port or :port "
            "with a port from 0 to 65535"},
        BadConfig{
            "http:\n  listen: 0.0.0.0:70000\n",
            "config k.yaml:2: http.listen: \"0.0.0.0:70000\" is not host:port, [IPv6]:port or "
            ":port with a port from 0 to 65535"},
        BadConfig{"\ngrpc:\n  max_threads: 1\n",
                  "config k.yaml:3: grpc.max_threads: 1 is out of range, 2 to 4096 threads"},
        BadConfig{"grpc:\n  max_threads: -1\n",
                  "config k.yaml:2: grpc.max_threads: \"-1\" is not a whole number from 2 to 4096 "
                  "threads"},
        BadConfig{"grpc:\n  max_threads: \"8\"\n",
                  "config k.yaml:2: grpc.max_threads: \"8\" is not a whole number from 2 to 4096 "
                  "threads"},
        BadConfig{"grpc:\n  max_threads: 99999999999999999999\n",
                  "config k.yaml:2: grpc.max_threads: \"99999999999999999999\" is not a whole "
                  "number from 2 to 4096 threads"},
        BadConfig{"grpc:\n  max_message: 1GB\n",
                  "config k.yaml:2: grpc.max_message: \"1GB\" is not a whole number from 1024 to "
                  "268435456 bytes"},
        BadConfig{"grpc:\n  max_message: 18014398509481984KiB\n",
                  "config k.yaml:2: grpc.max_message: \"18014398509481984KiB\" is not a whole "
                  "number from 1024 to 268435456 bytes"},
        BadConfig{"http:\n  per_stream_metrics: yes\n",
                  "config k.yaml:2: http.per_stream_metrics: \"yes\" is not true or false"},
        BadConfig{
            "readiness: {grace: 5}\n",
            "config k.yaml:1: readiness.grace: \"5\" is not a duration such as 500ms, 5s or 1m30s"},
        BadConfig{"readiness: {grace: 48h}\n",
                  "config k.yaml:1: readiness.grace: 48h is out of range, 0 to 24h"},
        BadConfig{"readiness: {grace: -1s}\n",
                  "config k.yaml:1: readiness.grace: -1s is out of range, 0 to 24h"},
        BadConfig{"readiness: {grace: inf}\n",
                  "config k.yaml:1: readiness.grace: inf is out of range, 0 to 24h"},
        BadConfig{"routing: {policy: best}\n",
                  "config k.yaml:1: routing.policy: \"best\" is not one of work, lmetric, "
                  "lpwl, prefix, least_loaded, round_robin, random"},
        BadConfig{"ingest:\n  reconnect_min: 1m\n  reconnect_max: 1s\n",
                  "config k.yaml:2: ingest.reconnect_min: 1m is above reconnect_max, 1s"},
        BadConfig{"grpc:\n  tls:\n    certificate_file: a\n",
                  "config k.yaml:3: grpc.tls.certificate_file: certificate_file and key_file must "
                  "both be given or both be empty"},
        BadConfig{"grpc:\n  tls: {client_ca_file: ca}\n",
                  "config k.yaml:2: grpc.tls.client_ca_file: needs certificate_file and key_file "
                  "as well"},
        BadConfig{"workers:\n- event_endpoint: tcp://h:1\n",
                  "config k.yaml:2: workers[0].worker_id: is missing; config k.yaml:2: "
                  "workers[0].address: is missing; config k.yaml:2: workers[0].model: is missing"},
        BadConfig{"workers:\n- {worker_id: a, addres: x, model: m, event_endpoint: 'tcp://h:1'}\n",
                  "config k.yaml:2: workers[0].addres: there is no such field; did you mean "
                  "\"address\"?"},
        BadConfig{"workers:\n- {worker_id: a, address: x, model: m}\n",
                  "config k.yaml:2: workers[0].event_endpoint: is missing"},
        BadConfig{
            "workers:\n- {worker_id: a, address: x, model: m, event_endpoint: 'tcp://h:1', curve: "
            "{server_public_key_file: /nonexistent}}\n",
            "config k.yaml:2: workers[0].curve.server_public_key_file: /nonexistent: No such "
            "file or directory"},
        BadConfig{"workers:\n- &w {worker_id: a, address: x, model: m, event_endpoint: "
                  "'tcp://h:1'}\n- *w\n",
                  "config k.yaml:3: workers[1]: worker_id \"a\" is that of workers[0] as well"},
        BadConfig{"workers:\n- &w {worker_id: a, address: x, model: m, event_endpoint: "
                  "'tcp://h:1'}\n- <<: *w\n  worker_id: b\n",
                  "config k.yaml:3: workers[1]: event_endpoint \"tcp://h:1\" is that of workers[0] "
                  "as well"},
        BadConfig{"listeners:\n- topic: kv@\n",
                  "config k.yaml:2: listeners[0].endpoint: is missing"}));

TEST(ParseConfigTest, AllErrorsAreToldAtOnceOneLineEach) {
  const auto config = ParseConfig(
      "grpc:\n  lisen: x:1\n  max_threads: 1\nhttp: {threads: many}\nworkers:\n"
      "- {worker_id: a, addres: x, modle: m, event_endpoint: 'tcp://h:1'}\n- 7\n",
      "k.yaml", {});
  EXPECT_THAT(
      ErrorsOf(config.status()),
      testing::ElementsAre(
          "config k.yaml:3: grpc.max_threads: 1 is out of range, 2 to 4096 threads",
          "config k.yaml:2: grpc.lisen: there is no such field; did you mean \"listen\"?",
          "config k.yaml:4: http.threads: \"many\" is not a whole number from 1 to 64 threads",
          "config k.yaml:6: workers[0].addres: there is no such field; did you mean \"address\"?",
          "config k.yaml:6: workers[0].modle: there is no such field; did you mean \"model\"?",
          "config k.yaml:7: workers[1]: a value where a map is expected"));
}

TEST(ParseConfigTest, ErrorsAreBoundedInNumber) {
  std::string text = "workers:\n";
  for (int i = 0; i < 1'000; ++i) text += "- 7\n";
  EXPECT_EQ(ErrorsOf(ParseConfig(text, "k.yaml", {}).status()).size(), 50u);
}

TEST(ParseConfigTest, MergeKeysSayWhatSeveralItemsShare) {
  const auto config = ParseConfig(
      "workers:\n- &w {worker_id: a, address: x, model: m, event_endpoint: 'tcp://h:1'}\n"
      "- {<<: *w, worker_id: b, event_endpoint: 'tcp://h:2'}\n"
      "- {<<: [{model: n}, *w], worker_id: c, event_endpoint: 'tcp://h:3'}\n",
      "k.yaml", {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->workers.at(1).spec.worker_id, "b");
  EXPECT_EQ(config->workers.at(1).spec.model, "m");
  EXPECT_EQ(config->workers.at(2).spec.model, "n") << "the earlier of a list";
}

TEST(ParseConfigTest, NothingMeansDefaults) {
  for (const char* text : {"", "# only a comment\n", "workers:\n", "grpc:\nlog: {}\n"}) {
    const auto config = ParseConfig(text, "k.yaml", {});
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(PrintConfig(*config), PrintConfig(ServeConfig{}));
  }
}

TEST(ParseConfigTest, ReadsEveryKindOfValue) {
  const auto config = ParseConfig(R"(
grpc: {listen: "127.0.0.1:0", max_message: 8MiB}
http: {per_stream_metrics: false}
routing: {policy: prefix, lease_timeout: 1m30s}
ingest: {lanes: 4, reconnect_min: 250ms}
log: {level: debug, format: json}
listeners:
- {endpoint: "tcp://*:5557", engine: sglang, replay_port: 5559}
workers:
- worker_id: w0
  address: http://10.0.0.7:8000
  model: llama
  block_size_tokens: 16
  event_endpoint: tcp://10.0.0.7:5557
  replay_endpoint: tcp://10.0.0.7:6557
  data_parallel_size: 2
  rank_overrides: [{rank: 1, event_endpoint: "tcp://10.0.0.8:5557"}]
  copies: set
  labels: [{key: zone, value: x}, {key: pool}]
  served_names: [{name: alias}]
  adapters: [{name: lora}]
  draining: true
)",
                                  "k.yaml", {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->grpc.max_message_bytes, size_t{8} << 20);
  EXPECT_FALSE(config->http.per_stream_metrics);
  EXPECT_EQ(config->routing.policy, PolicyKind::kPrefix);
  EXPECT_EQ(config->routing.lease_timeout, milliseconds(90'000));
  EXPECT_EQ(config->ingest.zmq.lanes, 4);
  EXPECT_EQ(config->ingest.zmq.reconnect_min, milliseconds(250));
  EXPECT_EQ(config->log.format, "json");
  ASSERT_EQ(config->listeners.size(), 1u);
  EXPECT_EQ(config->listeners[0].config.engine, EngineKind::kSglang);
  ASSERT_EQ(config->workers.size(), 1u);
  const WorkerConfig& worker = config->workers[0];
  EXPECT_EQ(worker.spec.rank_overrides.at(0).event_endpoint, "tcp://10.0.0.8:5557");
  EXPECT_EQ(worker.spec.copies, CopyMode::kSet);
  EXPECT_EQ(worker.spec.labels, (std::map<std::string, std::string>{{"zone", "x"}, {"pool", ""}}));
  EXPECT_EQ(worker.spec.served_names, std::vector<std::string>{"alias"});
  EXPECT_EQ(worker.spec.adapters, std::vector<std::string>{"lora"});
  EXPECT_TRUE(worker.draining);
}

TEST(ParseConfigTest, ALabelNamedTwiceIsRefused) {
  const auto config = ParseConfig(
      "workers:\n- {worker_id: a, address: x, model: m, event_endpoint: tcp://h:1,\n"
      "   labels: [{key: z, value: x}, {key: z, value: y}]}\n",
      "k.yaml", {});
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("a key is named twice"));
}

TEST(ParseConfigTest, CurveKeysComeFromFilesThatMustHoldOneKeyEach) {
  const std::string path = testing::TempDir() + "curve_" + std::to_string(getpid());
  const auto load = [&path] {
    return ParseConfig(
        "workers:\n- worker_id: a\n  address: x\n  model: m\n  event_endpoint: tcp://h:1\n"
        "  curve:\n    server_public_key_file: " +
            path + "\n    client_public_key_file: " + path +
            "\n    client_secret_key_file: " + path + "\n",
        "k.yaml", {});
  };
  const std::string key(40, 'k');
  std::ofstream(path) << key << "\n";
  const auto good = load();
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->workers[0].spec.curve.client_secret, key);
  EXPECT_THAT(PrintConfig(*good), testing::Not(HasSubstr(key)));
  const std::string listener =
      "listeners:\n- endpoint: tcp://*:1\n  curve: {server_secret_key_file: " + path + "}\n";
  const auto listening = ParseConfig(listener, "k.yaml", {});
  ASSERT_TRUE(listening.ok()) << listening.status();
  EXPECT_EQ(listening->listeners[0].config.curve_server_secret, key);
  EXPECT_THAT(PrintConfig(*listening), testing::Not(HasSubstr(key)));
  std::ofstream(path) << "short";
  EXPECT_THAT(std::string(MessageOf(ParseConfig(listener, "k.yaml", {}).status())),
              HasSubstr("k.yaml:2: listeners[0].curve.server_secret_key_file: "));
  EXPECT_THAT(std::string(MessageOf(load().status())), HasSubstr("5 characters, a Z85 key has 40"));
  std::remove(path.c_str());
}

TEST(ParseConfigTest, TheCommandLineOutranksTheFileAndNamesItsFlag) {
  ConfigOverrides flags;
  flags.SetField("--policy", "routing.policy", "random");
  ASSERT_TRUE(
      flags.AddWorker("id=w1,address=x,model=m,events=tcp://h:5557,ranks=2,block_size=16").ok());
  const auto config = ParseConfig(
      "routing: {policy: prefix}\nworkers:\n- {worker_id: w0, address: x, model: m, "
      "event_endpoint: "
      "'tcp://h:1'}\n",
      "k.yaml", flags);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->routing.policy, PolicyKind::kRandom);
  ASSERT_EQ(config->workers.size(), 2u);
  EXPECT_EQ(config->workers[1].spec.worker_id, "w1");
  EXPECT_EQ(config->workers[1].spec.data_parallel_size, 2u);
  EXPECT_EQ(config->workers[1].spec.block_size_tokens, 16u);

  ConfigOverrides wrong;
  wrong.SetField("--policy", "routing.policy", "best");
  EXPECT_THAT(std::string(MessageOf(ParseConfig("", "", wrong).status())),
              StartsWith("--policy: routing.policy: \"best\" is not one of work"));
  ConfigOverrides typo;
  ASSERT_TRUE(typo.AddWorker("id=w1,address=x,adress=x,model=m,events=tcp://h:1").ok());
  EXPECT_EQ(MessageOf(ParseConfig("", "", typo).status()),
            "--worker: workers[0].adress: there is no such field; did you mean \"address\"?");
  EXPECT_EQ(MessageOf(ConfigOverrides().AddWorker("w0")), "--worker: \"w0\" is not key=value");
  EXPECT_EQ(MessageOf(ConfigOverrides().AddWorker("id=a,id=b")),
            "--worker: worker_id is given twice");
}

TEST(ParseConfigTest, TheSizeOfAFileIsBounded) {
  EXPECT_THAT(
      std::string(MessageOf(
          ParseConfig(std::string(limits::kMaxConfigBytes + 1, ' '), "k.yaml", {}).status())),
      HasSubstr("the limit is 16777216"));
}

// A list that is not there is another thing than an empty one: see LiveConfig.
TEST(ParseConfigTest, WhetherTheFileItselfNamesWorkersIsKept) {
  ConfigOverrides flags;
  ASSERT_TRUE(flags.AddWorker("id=w1,address=x,model=m,events=tcp://h:5557").ok());
  for (const char* text : {"", "workers:\n", "log: {level: info}\n"}) {
    EXPECT_EQ(ParseConfig(text, "k.yaml", flags)->workers_in_file, std::nullopt) << text;
  }
  EXPECT_EQ(ParseConfig("workers: []\n", "k.yaml", flags)->workers_in_file, 0u);
  const std::string one =
      "workers: [{worker_id: a, address: x, model: m, event_endpoint: 'tcp://h:1'}]";
  EXPECT_EQ(ParseConfig(one, "k.yaml", flags)->workers_in_file, 1u);
  EXPECT_EQ(ParseConfig(one, "k.yaml", flags)->workers.size(), 2u);
}

}  // namespace
}  // namespace kvroute
