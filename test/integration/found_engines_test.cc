// The real `kvroute serve` finds its engines by itself, in Kubernetes and in a file, and asks them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "test/support/fake_http_server.h"
#include "test/support/fake_kube_api.h"
#include "test/support/http_client.h"
#include "test/support/server_process.h"

namespace kvroute::testing_support {
namespace {

using testing::HasSubstr;

class FoundEnginesTest : public testing::Test {
 protected:
  FoundEnginesTest() { std::filesystem::create_directories(folder_); }
  ~FoundEnginesTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / (name + ".new")) << text;
    std::filesystem::rename(folder_ / (name + ".new"), folder_ / name);
  }
  void Serve(const std::string& discovery) {
    Write("k.yaml", "discovery:\n" + discovery +
                        "  engines: {event_port: 9}\nscrape: {interval: 50ms}\n"
                        "readiness: {grace: 60s}\n");
    auto server = ServerProcess::Start({"--config", (folder_ / "k.yaml").string()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  // Until /status is so.
  nlohmann::json Until(const std::function<bool(const nlohmann::json&)>& is_so) const {
    nlohmann::json status;
    do {
      status = nlohmann::json::parse(HttpGet(server_->http_port(), "/status").body, nullptr, false);
    } while (!is_so(status));
    return status;
  }
  static auto Workers(size_t count) {
    return [count](const nlohmann::json& status) { return status["workers"].size() == count; };
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("found" + std::to_string(getpid()));
  FakeHttpServer engine_{[](FakeHttpExchange* exchange) {
    if (exchange->target == "/v1/models") {
      return exchange->Reply(200, R"({"data":[{"id":"base"},{"id":"lora","parent":"base"}]})");
    }
    exchange->Reply(200, "vllm:num_requests_waiting{engine=\"0\"} 2\n");
  }};
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(FoundEnginesTest, InKubernetesWithNothingTypedButTheSelector) {
  FakeKubeApi api;
  api.Set(FakeKubeApi::Fault::kDown);
  Serve("  kubernetes: {selector: app=vllm, namespace: ns, api_server: '" + api.Url() +
        "', ports: '" + std::to_string(engine_.port()) + "'}\n");
  const auto ready = HttpGet(server_->http_port(), "/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body, HasSubstr("pods: "));
  api.Put({.name = "a"});
  api.Set(FakeKubeApi::Fault::kNone);
  const nlohmann::json worker = Until(Workers(1))["workers"][0];
  EXPECT_EQ(worker["worker_id"], "ns/a");
  EXPECT_EQ(worker["source"], "kubernetes");
  EXPECT_EQ(worker["model"], "base");
  EXPECT_EQ(worker["adapters"][0], "lora");
  Until([](const nlohmann::json& status) {
    const nlohmann::json& engine = status["workers"][0]["streams"][0]["engine"];
    return engine.is_object() && engine["waiting"] == 2;
  });
  EXPECT_EQ(HttpGet(server_->http_port(), "/readyz").status, 200);
  EXPECT_THAT(HttpGet(server_->http_port(), "/metrics").body,
              HasSubstr("kvroute_discovery_up{finder=\"pods\"} 1\n"));
  api.Put({.name = "a", .ready = false});
  Until([](const nlohmann::json& status) { return status["workers"][0]["not_ready"] == true; });
  api.Delete("pods", "a");
  Until(Workers(0));
  EXPECT_EQ(server_->Terminate(), 0) << server_->Log();
}

TEST_F(FoundEnginesTest, InAFileThatIsWatched) {
  const std::string entry =
      "- {name: a, address: 127.0.0.1, port: '" + std::to_string(engine_.port()) + "'}\n";
  Write("engines.yaml", "endpoints:\n" + entry);
  Serve("  file: " + (folder_ / "engines.yaml").string() + "\n");
  EXPECT_EQ(Until(Workers(1))["workers"][0]["source"], "file");
  Until([](const nlohmann::json& now) {
    return now["waiting_for"].dump().find("file:") == std::string::npos;
  });
  Write("engines.yaml", "endpoints: 7\n");
  const nlohmann::json status =
      Until([](const nlohmann::json& now) { return now["found"]["finders"][0]["up"] == false; });
  EXPECT_EQ(status["workers"].size(), 1u) << "what is known stays";
  Write("engines.yaml", "endpoints: []\n");
  Until(Workers(0));
}

}  // namespace
}  // namespace kvroute::testing_support
