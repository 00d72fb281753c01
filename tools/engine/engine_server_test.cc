#include "tools/engine/engine_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "test/support/http_client.h"

namespace kvroute {
namespace {

using ::testing::HasSubstr;
using testing_support::SendRaw;
using Json = nlohmann::json;

struct Reply {
  int status = 0;
  std::string head;
  std::string body;
  Json json() const { return Json::parse(body, nullptr, false); }
};

class EngineServerTest : public ::testing::Test {
 protected:
  // Two engines whose steps take no time that anybody would notice.
  void Start(WireStyle style = WireStyle::kVllmMap, double speedup = 1e6) {
    EngineHostOptions options{.style = style, .speedup = speedup, .streams = {{{}}, {{}}}};
    options.engine.block_size_tokens = 4;
    options.engine.capacity_blocks = 1'000;
    auto host = EngineHost::Start(options);
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    EngineApiOptions api{
        .names = {"e-0", "e-1"},
        .models = {.base = "m", .adapters = {"poet"}, .max_model_tokens = 3'000},
        .answer = {.natural_tokens = 8, .omit_zero_cached_tokens = style == WireStyle::kSglangMap}};
    auto server = EngineServer::Start(
        {.listen = {"127.0.0.1:0", "127.0.0.1:0"}, .max_body_bytes = 100'000}, api, host_.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  int port(size_t engine) const {
    const std::string address = server_->address(engine);
    return std::stoi(address.substr(address.rfind(':') + 1));
  }
  Reply Ask(std::string_view method, std::string_view path, const std::string& body = "",
            const std::string& headers = "", size_t engine = 0) const {
    const std::string raw = SendRaw(
        port(engine), std::string(method) + " " + std::string(path) +
                          " HTTP/1.1\r\nHost: e\r\nConnection: close\r\n" + headers +
                          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    Reply reply;
    const size_t end = raw.find("\r\n\r\n");
    if (end == raw.npos || raw.size() < 12) return reply;
    reply.status = std::stoi(raw.substr(9, 3));
    reply.head = raw.substr(0, end);
    reply.body = raw.substr(end + 4);
    if (reply.head.find("chunked") != reply.head.npos) reply.body = Unchunked(reply.body);
    return reply;
  }
  Reply Post(std::string_view path, const std::string& body,
             const std::string& headers = "") const {
    return Ask("POST", path, body, headers);
  }
  static std::string Unchunked(const std::string& chunked) {
    std::string body;
    for (size_t at = 0; at < chunked.size();) {
      const size_t length = std::stoul(chunked.substr(at), nullptr, 16);
      at = chunked.find("\r\n", at) + 2;
      body += chunked.substr(at, length);
      at += length + 2;
      if (length == 0) return body;
    }
    return body + "(cut)";
  }
  // What follows "data: " in each event.
  static std::vector<std::string> Events(const std::string& body) {
    std::vector<std::string> events;
    for (size_t at = 0; (at = body.find("data: ", at)) != body.npos;) {
      const size_t end = body.find("\n\n", at);
      events.push_back(body.substr(at + 6, end - at - 6));
      at = end;
    }
    return events;
  }

  std::unique_ptr<EngineHost> host_;
  std::unique_ptr<EngineServer> server_;
};

const char* const kChat = R"({"model":"m","messages":[{"role":"user","content":"Hello world"}]})";

TEST_F(EngineServerTest, AnswersAChatAndSaysWhatWasCached) {
  Start();
  const Reply first = Post("/v1/chat/completions", kChat);
  ASSERT_EQ(first.status, 200) << first.body;
  const Json one = first.json();
  EXPECT_EQ(one["object"], "chat.completion");
  EXPECT_EQ(one["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(one["usage"]["completion_tokens"], 9) << "eight words and the end of the turn";
  EXPECT_EQ(one["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  const uint64_t prompt = one["usage"]["prompt_tokens"];
  const Json again = Post("/v1/chat/completions", kChat).json();
  EXPECT_EQ(again["choices"][0]["message"]["content"], one["choices"][0]["message"]["content"]);
  EXPECT_EQ(again["usage"]["prompt_tokens_details"]["cached_tokens"], (prompt - 1) / 4 * 4);
}

TEST_F(EngineServerTest, ATurnSentBackIsCachedWithItsAnswer) {
  Start();
  const Json one = Post("/v1/chat/completions", kChat).json();
  Json body = Json::parse(kChat);
  body["messages"].push_back(one["choices"][0]["message"]);
  body["messages"].push_back({{"role", "user"}, {"content", "Go on"}});
  const Json two = Post("/v1/chat/completions", body.dump()).json();
  const uint64_t known =
      one["usage"]["total_tokens"].get<uint64_t>() - 1;  // the last is not computed
  EXPECT_EQ(two["usage"]["prompt_tokens_details"]["cached_tokens"], known / 4 * 4);
}

TEST_F(EngineServerTest, StreamsTheSameAnswerTokenByToken) {
  Start();
  const std::string whole =
      Post("/v1/chat/completions", kChat).json()["choices"][0]["message"]["content"];
  Json body = Json::parse(kChat);
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const Reply reply = Post("/v1/chat/completions", body.dump());
  EXPECT_THAT(reply.head, HasSubstr("text/event-stream"));
  const auto events = Events(reply.body);
  ASSERT_EQ(events.size(), 12u) << "the role, nine tokens, usage, the end";
  EXPECT_EQ(events.back(), "[DONE]");
  std::string text;
  for (size_t i = 0; i < 10; ++i) {
    const Json event = Json::parse(events[i]);
    text += event["choices"][0]["delta"]["content"];
    EXPECT_EQ(event["choices"][0]["finish_reason"], i == 9 ? Json("stop") : Json());
  }
  EXPECT_EQ(text, whole);
  const Json usage = Json::parse(events[10]);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["completion_tokens"], 9);
  EXPECT_GT(usage["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

TEST_F(EngineServerTest, CompletionsTakeTokenIdsAndSeveralPrompts) {
  Start();
  const Json two = Post("/v1/completions", R"({"prompt":[[1,2,3],[4,5]],"max_tokens":2})").json();
  ASSERT_EQ(two["choices"].size(), 2u);
  EXPECT_EQ(two["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(two["usage"]["prompt_tokens"], 5);
  EXPECT_EQ(two["usage"]["completion_tokens"], 4);
  const auto events = Events(
      Post("/v1/completions", R"({"prompt":[[1,2,3],[4,5]],"max_tokens":2,"stream":true})").body);
  EXPECT_EQ(events.size(), 5u);
  const Json long_one =
      Post("/v1/completions", R"({"prompt":"a","max_tokens":20,"ignore_eos":true})").json();
  EXPECT_EQ(long_one["usage"]["completion_tokens"], 20);
}

TEST_F(EngineServerTest, EachNamespaceHasItsOwnCache) {
  Start();
  const auto cached = [&](const char* more) {
    const std::string body = std::string(R"({"prompt":[1,2,3,4,5,6,7,8,9],"max_tokens":1)") + more;
    return Post("/v1/completions", body).json()["usage"]["prompt_tokens_details"]["cached_tokens"];
  };
  for (const char* more : {"}", R"(,"model":"poet"})", R"(,"cache_salt":"s"})",
                           R"(,"model":"poet","cache_salt":"s"})"}) {
    EXPECT_EQ(cached(more), 0) << more;
    EXPECT_EQ(cached(more), 8) << more;
  }
}

TEST_F(EngineServerTest, RendersAndTokenizesWhatItWouldCompute) {
  Start();
  const Json chat = Post("/v1/chat/completions", kChat).json();
  const Json rendered = Post("/v1/chat/completions/render", kChat).json();
  EXPECT_EQ(rendered["token_ids"].size(), chat["usage"]["prompt_tokens"]);
  EXPECT_TRUE(rendered["features"].is_null());
  EXPECT_EQ(Post("/tokenize", kChat).json()["tokens"], rendered["token_ids"]);
  const Json completions =
      Post("/v1/completions/render", R"({"prompt":["a","b"],"cache_salt":"s"})").json();
  ASSERT_EQ(completions.size(), 2u);
  EXPECT_EQ(completions[0]["cache_salt"], "s");
  EXPECT_EQ(Post("/simulate", R"({"render":false})").status, 200);
  EXPECT_EQ(Post("/v1/chat/completions/render", kChat).status, 404);
  EXPECT_EQ(Post("/tokenize", kChat).status, 200);
  EXPECT_EQ(Ask("POST", "/v1/chat/completions/render", kChat, "", 1).status, 200)
      << "the other engine's is its own matter";
}

TEST_F(EngineServerTest, TellsItsModelsItsMetricsAndItsSources) {
  Start();
  const Json models = Ask("GET", "/v1/models").json()["data"];
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0]["id"], "m");
  EXPECT_TRUE(models[0]["parent"].is_null());
  EXPECT_EQ(models[1]["id"], "poet");
  EXPECT_EQ(models[1]["parent"], "m");
  EXPECT_EQ(Post("/v1/chat/completions", kChat).status, 200);
  const std::string metrics = Ask("GET", "/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 0\n"));
  EXPECT_THAT(metrics,
              HasSubstr("vllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} 9\n"));
  EXPECT_THAT(metrics, HasSubstr("block_size=\"4\",num_gpu_blocks=\"1000\"} 1\n"));
  const Json sources = Ask("GET", "/kv_event_sources").json();
  EXPECT_EQ(sources[0]["endpoint"], host_->endpoints(0, 0).event);
  EXPECT_EQ(Ask("GET", "/health").status, 200);
}

TEST_F(EngineServerTest, SpeaksAsSglangWhenItIsOne) {
  Start(WireStyle::kSglangMap);
  EXPECT_THAT(Ask("GET", "/metrics").body, HasSubstr("sglang:num_queue_reqs"));
  const Json one =
      Post("/generate", R"({"input_ids":[1,2,3,4,5],"sampling_params":{"max_new_tokens":2}})")
          .json();
  EXPECT_EQ(one["meta_info"]["prompt_tokens"], 5);
  EXPECT_EQ(one["meta_info"]["cached_tokens"], 0);
  const Json chat = Post("/v1/completions", R"({"prompt":[7,7,7,7,7],"max_tokens":1})").json();
  EXPECT_TRUE(chat["usage"]["prompt_tokens_details"].is_null()) << "SGLang is silent about 0";
}

TEST_F(EngineServerTest, RefusesAsEnginesDo) {
  Start();
  EXPECT_EQ(Post("/v1/chat/completions", "{").status, 400);
  const Reply unknown =
      Post("/v1/chat/completions", R"({"model":"x","messages":[{"role":"user"}]})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json()["error"]["type"], "NotFoundError");
  EXPECT_EQ(Post("/v1/completions", R"({"prompt":[1],"max_tokens":3000})").status, 400);
  EXPECT_EQ(Post("/nothing", "{}").status, 404);
  EXPECT_EQ(Ask("GET", "/v1/completions").status, 405);
  EXPECT_EQ(Post("/v1/completions", std::string(100'001, ' ')).status, 413);
  EXPECT_EQ(Post("/v1/completions", R"({"prompt":[1]})", "X-data-parallel-rank: 1\r\n").status,
            400);
  EXPECT_EQ(Post("/v1/completions", R"({"prompt":[1]})", "X-data-parallel-rank: 0\r\n").status,
            200);
  EXPECT_EQ(Post("/simulate", R"({"mode":"odd"})").status, 400);
  EXPECT_EQ(Post("/simulate", R"({"slowdown":0})").status, 400);
}

TEST_F(EngineServerTest, NamesItselfAndWhereTheRequestWasSent) {
  Start();
  const Reply reply = Ask("POST", "/v1/completions", R"({"prompt":[1]})",
                          "x-gateway-destination-endpoint: 10.0.0.7:8000\r\n", 1);
  EXPECT_THAT(reply.head, HasSubstr("X-Simulated-Engine: e-1"));
  EXPECT_THAT(reply.head, HasSubstr("X-Received-Destination: 10.0.0.7:8000"));
}

TEST_F(EngineServerTest, FailsCutsAndHangsWhenToldAndRecovers) {
  Start();
  const std::string stream = R"({"prompt":[1],"max_tokens":5,"stream":true})";
  ASSERT_EQ(Post("/simulate", R"({"mode":"fail"})").status, 200);
  EXPECT_EQ(Post("/v1/completions", stream).status, 500);
  EXPECT_EQ(Ask("GET", "/health").status, 500);
  ASSERT_EQ(Post("/simulate", R"({"mode":"ok"})").status, 200);
  EXPECT_EQ(Post("/v1/completions", stream, "x-simulate: fail\r\n").status, 500);
  EXPECT_THAT(Post("/v1/completions", stream, "x-simulate: cut\r\n").body, HasSubstr("(cut)"));
  EXPECT_EQ(Post("/v1/completions", R"({"prompt":[1]})", "x-simulate: cut\r\n").status, 0);
  ASSERT_EQ(Post("/simulate", R"({"mode":"hang"})").status, 200);
  std::thread asker([&] { EXPECT_EQ(Post("/v1/completions", R"({"prompt":[1]})").status, 200); });
  while (server_->waiting() == 0) std::this_thread::yield();
  ASSERT_EQ(Post("/simulate", R"({"mode":"ok"})").status, 200);
  asker.join();
}

TEST_F(EngineServerTest, AClientThatLeavesTakesItsRequestAlong) {
  Start(WireStyle::kVllmMap, 1e-3);  // a step takes 10 s and more
  {
    const int fd = testing_support::SendAndKeep(
        port(0),
        "POST /v1/completions HTTP/1.1\r\nHost: e\r\nContent-Length: 14\r\n\r\n"
        R"({"prompt":[1]})");
    while (host_->counts(0, 0).running == 0) std::this_thread::yield();
    close(fd);
  }
  while (host_->counts(0, 0).aborted == 0) std::this_thread::yield();
  EXPECT_EQ(host_->counts(0, 0).running, 0u);
}

TEST_F(EngineServerTest, DiesAndComesBackEmpty) {
  Start();
  const std::string body = R"({"prompt":[1,2,3,4,5],"max_tokens":1})";
  const auto cached = [&] {
    return Post("/v1/completions", body).json()["usage"]["prompt_tokens_details"]["cached_tokens"];
  };
  EXPECT_EQ(cached(), 0);
  EXPECT_EQ(cached(), 4);
  ASSERT_EQ(Post("/simulate", R"({"die_for_ms":100})").status, 200);
  while (Ask("GET", "/health").status != 0) std::this_thread::yield();
  while (Ask("GET", "/health").status != 200) std::this_thread::yield();
  EXPECT_EQ(cached(), 0);
  EXPECT_EQ(Ask("GET", "/health", "", "", 1).status, 200) << "the other one was there all along";
}

}  // namespace
}  // namespace kvroute
