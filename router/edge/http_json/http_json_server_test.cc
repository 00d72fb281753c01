#include "router/edge/http_json/http_json_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "test/support/http_client.h"
#include "test/support/routing_fixture.h"

namespace kvroute {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

struct Reply {
  int status = 0;
  std::string head;
  std::string body;
  Json json() const { return Json::parse(body, nullptr, false); }
};

class HttpJsonServerTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }
  void Start(HttpJsonOptions options) {
    options.listen = "127.0.0.1:0";
    options.body_limit_bytes = 1'000'000;
    auto server = HttpJsonServer::Start(options, &routing_.fleet_, &routing_.router_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  Reply Ask(std::string_view method, std::string_view path, const std::string& body = "",
            const std::string& type = "application/json") const {
    const std::string raw = testing_support::SendRaw(
        server_->port(), std::string(method) + " " + std::string(path) +
                             " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " + type +
                             "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                             body);
    Reply reply;
    const size_t end = raw.find("\r\n\r\n");
    if (end == raw.npos || raw.size() < 12) return reply;
    reply.status = std::stoi(raw.substr(9, 3));
    reply.head = raw.substr(0, end);
    reply.body = raw.substr(end + 4);
    return reply;
  }
  Reply Get(std::string_view path) const { return Ask("GET", path); }
  Reply Post(std::string_view path, const Json& body) const {
    return Ask("POST", path, body.dump());
  }
  // Registers at Dynamo's /register, and has the rank's stream connected.
  void AddRank(uint64_t instance, uint32_t rank, uint32_t block_size,
               const std::string& group = "default") {
    const Reply reply = Post("/register", {{"instance_id", instance},
                                           {"endpoint", NewEndpoint()},
                                           {"model_name", "m"},
                                           {"routing_group", group},
                                           {"block_size", block_size},
                                           {"dp_rank", rank}});
    ASSERT_EQ(reply.status, 201) << reply.body;
    EXPECT_EQ(reply.json(), Json({{"status", "ok"}}));
    Connect(InstanceRank{std::to_string(instance), group, "m", rank}.WorkerId());
  }
  void Connect(const std::string& worker) {
    const auto stream = routing_.source_.stream(worker, 0);
    stream->trust = Trust::kExact;
    stream->reason = TrustReason::kReplayComplete;
    stream->connected = true;
  }
  std::string NewEndpoint() { return "tcp://127.0.0.1:" + std::to_string(20'000 + ++endpoints_); }
  std::vector<int64_t> LocalHashes(const std::vector<TokenId>& tokens, size_t block_size) {
    std::vector<int64_t> hashes;
    for (size_t i = 0; i + block_size <= tokens.size(); i += block_size) {
      hashes.push_back(static_cast<int64_t>(
          HashBlock(absl::MakeConstSpan(tokens).subspan(i, block_size), MakeNamespaceSeed("", ""))
              .value()));
    }
    return hashes;
  }

  RoutingFixture routing_;
  std::unique_ptr<HttpJsonServer> server_;
  int endpoints_ = 0;
};

// The four golden vectors, from Dynamo's tests.
TEST_F(HttpJsonServerTest, DynamoGoldenOneByHashWithTwoInstancesAndTwoTiers) {
  AddRank(7, 0, 4);
  AddRank(8, 0, 4);
  const std::vector<TokenId> tokens = Tokens(12, 11);
  routing_.Store("7", Tokens(8, 11));
  routing_.Store("8", Tokens(8, 11));
  routing_.Store("7", tokens, 4, 0, 2, Tier::kCpu);
  const Reply reply =
      Post("/query_by_hash", {{"block_hashes", LocalHashes(tokens, 4)}, {"model_name", "m"}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.head, HasSubstr("Content-Type: application/json"));
  EXPECT_EQ(reply.json(), Json::parse(R"({
    "scores": {"7": {"0": 8}, "8": {"0": 8}}, "frequencies": [],
    "instances": {"7": {"longest_matched": 12, "gpu": 8, "dp": {"0": 8}, "cpu": 12, "disk": 12},
                  "8": {"longest_matched": 8, "gpu": 8, "dp": {"0": 8}, "cpu": 8, "disk": 8}}})"));
}

TEST_F(HttpJsonServerTest, DynamoGoldenTwoRanksAndThreeTiers) {
  AddRank(7, 0, 16);
  AddRank(7, 1, 16);
  const std::vector<TokenId> tokens = Tokens(80);
  routing_.Store("7", Tokens(32), 16);
  routing_.Store("7", Tokens(48), 16, 0, 2, Tier::kCpu);
  routing_.Store("7", tokens, 16, 0, 3, Tier::kDisk);
  routing_.Store("7.dp1", Tokens(16), 16);
  routing_.Store("7.dp1", Tokens(32), 16, 0, 1, Tier::kDisk);
  const Json reply = Post("/query", {{"token_ids", tokens}, {"model_name", "m"}}).json();
  EXPECT_EQ(reply["instances"]["7"],
            Json::parse(R"({"longest_matched": 80, "gpu": 32, "dp": {"0": 32, "1": 16},
                            "cpu": 48, "disk": 80})"));
  EXPECT_EQ(reply["scores"]["7"], Json::parse(R"({"0": 32, "1": 16})"));
}

TEST_F(HttpJsonServerTest, DynamoGoldenThreeAParentInAnotherTier) {
  AddRank(7, 0, 4);
  const std::vector<TokenId> tokens = {10, 11, 12, 13, 20, 21, 22, 23};
  routing_.Store("7", {10, 11, 12, 13});
  routing_.Store("7", tokens, 4, 0, 1, Tier::kCpu);
  const Json reply = Post("/query", {{"token_ids", tokens}, {"model_name", "m"}}).json();
  EXPECT_EQ(reply["instances"]["7"]["gpu"], 4);
  EXPECT_EQ(reply["instances"]["7"]["cpu"], 8);
  EXPECT_EQ(reply["instances"]["7"]["disk"], 8);
}

TEST_F(HttpJsonServerTest, DynamoGoldenFourLocalsAreTheSameNumbersEverywhere) {
  AddRank(7, 0, 4);
  routing_.Store("7", Tokens(8));
  const Json expected = Json::parse(R"({"scores": {"7": {"0": 8}}, "frequencies": [], "instances":
    {"7": {"longest_matched": 8, "gpu": 8, "dp": {"0": 8}, "cpu": 8, "disk": 8}}})");
  EXPECT_EQ(Post("/query", {{"token_ids", Tokens(8)}, {"model_name", "m"}}).json(), expected);
  for (const char* hashes : {"[-3803038269031200164,-1669731304162740404]",
                             "[14643705804678351452,16777012769546811212]"}) {
    EXPECT_EQ(Ask("POST", "/query_by_hash",
                  std::string(R"({"model_name":"m","block_hashes":)") + hashes + "}")
                  .json(),
              expected);
  }
}

TEST_F(HttpJsonServerTest, ANamespaceIsPartOfTheQuestion) {
  AddRank(7, 0, 4);
  routing_.Store("7", Tokens(8), 4, 0, 0, Tier::kGpu, MakeNamespaceSeed("poet", "s"));
  Json ask = {{"token_ids", Tokens(8)}, {"model_name", "m"}};
  EXPECT_EQ(Post("/query", ask).json()["instances"].size(), 0u);
  ask["lora_name"] = "poet";
  ask["cache_salt"] = "s";
  EXPECT_EQ(Post("/query", ask).json()["instances"]["7"]["gpu"], 8);
  EXPECT_EQ(Post("/query_by_hash", {{"block_hashes", {1}}, {"model_name", "m"}, {"cache_salt", ""}})
                .status,
            400);
}

TEST_F(HttpJsonServerTest, DynamoGroupsKeepEqualPromptsApart) {
  AddRank(7, 0, 4);
  AddRank(8, 0, 4, "blue");
  routing_.Store("8@blue", Tokens(8));
  Json ask = {{"token_ids", Tokens(8)}, {"model_name", "m"}};
  EXPECT_EQ(Post("/query", ask).json()["instances"].size(), 0u);
  ask["routing_group"] = "blue";
  EXPECT_EQ(Post("/query", ask).json()["instances"]["8"]["gpu"], 8);
  ask["routing_group"] = "green";
  const Reply none = Post("/query", ask);
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(none.json(), Json({{"error", "no indexer for model=m routing_group=green"}}));
}

TEST_F(HttpJsonServerTest, DynamoRegistersListsAndUnregisters) {
  AddRank(7, 0, 16);
  AddRank(7, 2, 16);
  routing_.source_.stream("7.dp2", 0)->connected = false;
  const Json listed = Get("/workers?model_name=m&routing_group=default").json();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0]["instance_id"], 7);
  EXPECT_EQ(listed[0]["status"], "failed") << "the worst of its ranks";
  EXPECT_EQ(listed[0]["block_size"], 16);
  EXPECT_EQ(listed[0]["endpoints"]["2"], "tcp://127.0.0.1:20002");
  EXPECT_EQ(listed[0]["listeners"]["0"]["status"], "active");
  EXPECT_TRUE(listed[0]["listeners"]["2"].contains("last_error"));
  EXPECT_EQ(Get("/workers?model_name=x").body, "[]\n");
  const Json removal = {{"instance_id", 7}, {"model_name", "m"}};
  Json rank = removal;
  rank["routing_group"] = "default";
  rank["dp_rank"] = 2;
  EXPECT_EQ(Post("/unregister", rank).status, 200);
  EXPECT_EQ(Get("/workers").json()[0]["endpoints"].size(), 1u);
  EXPECT_EQ(Post("/unregister", removal).status, 200);
  EXPECT_EQ(Get("/workers").body, "[]\n");
  EXPECT_EQ(Post("/unregister", removal).status, 404);
}

TEST_F(HttpJsonServerTest, DynamoRefusesConflictingRegistrations) {
  AddRank(7, 0, 16);
  const auto register_as = [&](const Json& changes) {
    Json body = {{"instance_id", 9},
                 {"endpoint", NewEndpoint()},
                 {"model_name", "m"},
                 {"block_size", 16},
                 {"dp_rank", 0}};
    body.update(changes);
    return Post("/register", body);
  };
  EXPECT_EQ(register_as({{"instance_id", 7}}).status, 409) << "registered";
  EXPECT_EQ(register_as({{"instance_id", 7}, {"model_name", "other"}}).status, 409) << "elsewhere";
  EXPECT_EQ(register_as({{"block_size", 32}}).status, 409) << "another block size";
  const Reply bad = register_as({{"endpoint", "nowhere"}});
  EXPECT_EQ(bad.status, 400);
  EXPECT_TRUE(bad.json().contains("error"));
  EXPECT_EQ(register_as({{"block_size", 0}}).status, 400);
  EXPECT_EQ(register_as({{"additionalsalt", "x"}, {"tenant_id", "t"}}).status, 201)
      << "accepted and ignored";
}

TEST_F(HttpJsonServerTest, AWorkerOfTheConfigurationIsAnInstanceThatNobodyCanTakeAway) {
  WorkerSpec spec = RoutingFixture::Spec("w0", 2, 4);
  routing_.AddConfiguredWorkers({spec});
  routing_.Store("w0", Tokens(8), 4, 1);
  const Json reply = Post("/query", {{"token_ids", Tokens(8)}, {"model_name", "m"}}).json();
  const std::string key = std::to_string(InstanceNumber("w0"));
  EXPECT_EQ(reply["scores"][key], Json({{"1", 8}}));
  const Json listed = Get("/workers").json();
  EXPECT_EQ(listed[0]["instance_id"], InstanceNumber("w0"));
  EXPECT_EQ(listed[0]["worker_id"], "w0");
  EXPECT_EQ(Post("/unregister", {{"instance_id", "w0"}}).status, 400) << "Mooncake's form";
  EXPECT_EQ(routing_.fleet_.Snapshot()->targets.size(), 2u);
}

TEST_F(HttpJsonServerTest, DynamoSaysWhatIsWrongAsAxumDoes) {
  AddRank(7, 0, 4);
  EXPECT_EQ(Ask("POST", "/query", "{").status, 400);
  EXPECT_EQ(Ask("POST", "/query", "[]").status, 400);
  EXPECT_EQ(Post("/query", {{"model_name", "m"}}).status, 422);
  EXPECT_EQ(Post("/query", {{"model_name", "m"}, {"token_ids", "x"}}).status, 422);
  EXPECT_EQ(Post("/query", {{"model_name", "m"}, {"token_ids", {-1}}}).status, 422);
  EXPECT_EQ(Post("/query", {{"model_name", 7}, {"token_ids", {1}}}).status, 422);
  EXPECT_EQ(Ask("POST", "/query", R"({"model_name":"m","token_ids":[1]})", "text/plain").status,
            415);
  EXPECT_EQ(Ask("POST", "/query", R"({"model_name":"m","token_ids":[1]})",
                "application/json; charset=utf-8")
                .status,
            200);
  EXPECT_EQ(Ask("POST", "/query", std::string(1'000'001, ' ')).status, 413);
  EXPECT_EQ(Get("/query").status, 405);
  EXPECT_EQ(Get("/nothing").status, 404);
}

TEST_F(HttpJsonServerTest, WhatIsTooLongIsNotSaidBack) {
  AddRank(7, 0, 4);
  const std::string name(500'000, 'x');
  const Reply query = Post("/query", {{"model_name", name}, {"token_ids", {1}}});
  EXPECT_EQ(query.status, 400);
  EXPECT_LT(query.body.size(), 1'000u);
  const Json group = {{"model_name", "m"}, {"routing_group", name}, {"token_ids", {1}}};
  EXPECT_LT(Post("/query", group).body.size(), 1'000u);
  const Reply tenant = Post("/query", {{"model", "m"}, {"tenant_id", name}, {"token_ids", {1}}});
  EXPECT_EQ(tenant.status, 400);
  EXPECT_LT(tenant.body.size(), 1'000u);
  EXPECT_LT(Post("/unregister", {{"instance_id", name}}).body.size(), 1'000u);
  EXPECT_LT(Post("/register",
                 {{"instance_id", 1}, {"endpoint", name}, {"model_name", name}, {"block_size", 4}})
                .body.size(),
            1'000u);
}

TEST_F(HttpJsonServerTest, DynamoOtherPaths) {
  AddRank(7, 0, 4);
  const Reply health = Get("/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.body, "");
  EXPECT_EQ(Get("/peers").json(), Json::array());
  EXPECT_EQ(Post("/deregister_peer", {{"url", "http://x"}}).status, 404);
  EXPECT_EQ(Post("/register_peer", {{"url", "http://x"}}).status, 501);
  EXPECT_EQ(Post("/reopen_logs", Json::object()).json(), Json({{"status", "ok"}}));
  EXPECT_TRUE(Get("/dump").json()["m:default"].contains("error"));
}

TEST_F(HttpJsonServerTest, MooncakeRegistersQueriesAndUnregisters) {
  const Json registration = {{"endpoint", "tcp://127.0.0.1:5557"},
                             {"type", "vLLM"},
                             {"modelname", "m"},
                             {"instance_id", "vllm-1"},
                             {"block_size", 4},
                             {"dp_rank", 0},
                             {"hash_profile", {{"strategy", "x"}, {"root_digest", "00"}}},
                             {"lora_name", nullptr}};
  const Reply registered = Post("/register", registration);
  ASSERT_EQ(registered.status, 200) << registered.body;
  EXPECT_EQ(registered.json(),
            Json({{"status", "registered successfully"}, {"instance_id", "vllm-1"}}));
  Connect("vllm-1");
  routing_.Store("vllm-1", Tokens(8));
  routing_.Store("vllm-1", Tokens(12), 4, 0, 2, Tier::kCpu);
  Json ask = {{"model", "m"}, {"token_ids", Tokens(12)}, {"block_size", 4}};
  EXPECT_EQ(Post("/query", ask).json(), Json::parse(R"({"instances": {"vllm-1":
    {"longest_matched": 12, "dp": {"0": 8}, "gpu": 8, "cpu": 4, "disk": 0}}})"));
  ask["instance_id"] = "vllm-2";
  EXPECT_EQ(Post("/query", ask).json(), Json::parse(R"({"instances": {}})"));
  ask.erase("instance_id");
  ask["block_size"] = 16;
  EXPECT_EQ(Post("/query", ask).json(), Json::parse(R"({"instances": {}})"));
  const Json services = Get("/services").json();
  EXPECT_EQ(services["count"], 1);
  EXPECT_EQ(services["services"][0]["InstanceID"], "vllm-1");
  EXPECT_EQ(services["services"][0]["Endpoint"], "tcp://127.0.0.1:5557");
  EXPECT_EQ(Post("/unregister", {{"instance_id", "vllm-1"}, {"tenant_id", "default"}}).json(),
            Json::parse(R"({"status": "unregistered successfully",
                            "removed_instances": ["vllm-1|default|0"]})"));
  EXPECT_EQ(Post("/unregister", {{"instance_id", "vllm-1"}}).status, 404);
}

TEST_F(HttpJsonServerTest, MooncakeAnswersByTenantWhenSetTo) {
  Start({.mooncake_reply = MooncakeReply::kTenant});
  ASSERT_EQ(Post("/register", {{"endpoint", NewEndpoint()},
                               {"modelname", "m"},
                               {"instance_id", "a"},
                               {"block_size", 4},
                               {"tenant_id", "t"}})
                .status,
            200);
  Connect("a@t");
  routing_.Store("a@t", Tokens(4));
  EXPECT_EQ(Post("/query", {{"model", "m"}, {"token_ids", Tokens(4)}, {"tenant_id", "t"}}).json(),
            Json::parse(R"({"t": {"a": {"longest_matched": 4, "GPU": 4, "DP": {"0": 4}, "CPU": 0,
                                        "DISK": 0}}})"));
}

TEST_F(HttpJsonServerTest, MooncakeSpeaksMsgpackToWhoSpeaksIt) {
  ASSERT_EQ(Post("/register", {{"endpoint", NewEndpoint()},
                               {"modelname", "m"},
                               {"instance_id", "a"},
                               {"block_size", 4}})
                .status,
            200);
  Connect("a");
  routing_.Store("a", Tokens(8));
  std::string ids;
  for (const char id : {1, 2, 3, 4, 5, 6, 7, 8}) ids += std::string{id, 0, 0, 0};
  const Json ask = {{"model", "m"}, {"token_ids", Json::binary({ids.begin(), ids.end()})}};
  std::string body;
  Json::to_msgpack(ask, body);
  const Reply reply = Ask("POST", "/query", body, "application/msgpack");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.head, HasSubstr("Content-Type: application/msgpack"));
  EXPECT_EQ(Json::from_msgpack(reply.body)["instances"]["a"]["longest_matched"], 8);
  const Reply broken = Ask("POST", "/query", "\xc1", "application/msgpack");
  EXPECT_EQ(broken.status, 400);
}

TEST_F(HttpJsonServerTest, MooncakeSaysWhatIsWrongInItsOwnWords) {
  const auto refused = [&](const char* path, const Json& body) { return Post(path, body); };
  const Reply missing = refused("/query", {{"model", "m"}});
  EXPECT_EQ(missing.status, 400);
  EXPECT_EQ(missing.json()["reason"], "missing");
  EXPECT_EQ(missing.json()["field"], "token_ids");
  const Json index = refused("/query", {{"model", "m"}, {"token_ids", {1, -1}}}).json();
  EXPECT_EQ(index["reason"], "out_of_range");
  EXPECT_EQ(index["index"], 1);
  EXPECT_EQ(refused("/query", {{"model", "m"}, {"token_ids", 1}}).json()["reason"], "not_array");
  EXPECT_EQ(refused("/query", {{"model", 1}, {"token_ids", {1}}}).json()["reason"], "invalid_type");
  const Reply broken = Ask("POST", "/query", "{");
  EXPECT_EQ(broken.status, 400);
  EXPECT_EQ(broken.body, "Invalid JSON");
  EXPECT_EQ(Get("/register").body, "Method not allowed");
  EXPECT_EQ(refused("/query_by_hash", {{"model", "m"}, {"seq_hashes", {1}}}).json()["reason"],
            "unsupported");
  const Json registration = {
      {"endpoint", "nowhere"}, {"modelname", "m"}, {"instance_id", "a"}, {"block_size", 4}};
  EXPECT_EQ(refused("/register", registration).json()["reason"], "invalid_registration");
  Json store = registration;
  store["type"] = "Mooncake";
  EXPECT_EQ(refused("/register", store).json()["reason"], "unsupported");
}

TEST_F(HttpJsonServerTest, RegistrationCanBeSwitchedOff) {
  Start({.allow_registration = false});
  const Json body = {
      {"instance_id", 1}, {"endpoint", NewEndpoint()}, {"model_name", "m"}, {"block_size", 4}};
  EXPECT_EQ(Post("/register", body).status, 403);
  EXPECT_EQ(Post("/unregister", body).status, 403);
  EXPECT_TRUE(routing_.fleet_.Snapshot()->targets.empty());
}

TEST(InstancesTest, IdsOfWorkersAreReadBack) {
  EXPECT_EQ((InstanceRank{"a", "default", "m", 0}.WorkerId()), "a");
  EXPECT_EQ((InstanceRank{"a", "t", "m", 3}.WorkerId()), "a@t.dp3");
  EXPECT_EQ(InstanceNumber("18446744073709551615"), UINT64_MAX);
  EXPECT_NE(InstanceNumber("007"), 7u) << "two instances must not share a number";
  EXPECT_NE(InstanceNumber("w0"), InstanceNumber("w1"));
}

}  // namespace
}  // namespace kvroute
