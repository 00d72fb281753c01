// The renderer over real HTTP, against a server that plays an engine in all its moods.
#include "router/prompt/render/http_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "router/prompt/render/http_renderer.h"
#include "test/support/fake_http_server.h"
#include "test/support/http_asking.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing_support::FakeHttpExchange;
using testing_support::FakeHttpServer;

enum class Mood { kWell, kSlow, kNever, kHalf, kGarbage, kHuge, kHtml };

class HttpTransportTest : public testing::Test {
 protected:
  HttpTransportTest() : server_([this](FakeHttpExchange* exchange) { Answer(exchange); }) {
    renderer_.SetRenderers({{"m", server_.Url("")}});
  }

  void Answer(FakeHttpExchange* exchange) {
    if (exchange->target != "/v1/chat/completions/render") return exchange->Reply(404, "{}");
    if (exchange->body == "{}") return exchange->Reply(400, R"({"error":{}})");
    switch (mood_) {
      case Mood::kWell:
        return exchange->Reply(200, R"({"token_ids":[1,2,3]})", "application/json");
      case Mood::kSlow:  // a byte, and then nothing
        exchange->BeginChunked();
        exchange->Chunk("{");
        return exchange->AwaitClosed();
      case Mood::kNever:
        return exchange->AwaitClosed();
      case Mood::kHalf:
        exchange->Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"token_ids\":[1,");
        return exchange->Close();
      case Mood::kGarbage:
        exchange->Send("\x01\x02\x03 no http at all\r\n\r\n");
        return exchange->Close();
      case Mood::kHuge:
        exchange->BeginChunked();
        for (int i = 0; i < 64 && exchange->Chunk(std::string(1 << 20, ' ')); ++i) {
        }
        return exchange->Close();
      case Mood::kHtml:
        return exchange->Reply(200, "<html>welcome</html>", "text/html");
    }
  }

  RenderedPrompt Render(Mood mood, milliseconds patience) {
    mood_ = mood;
    const PaddedText text(R"({"messages":[{"role":"user","content":")" + std::to_string(++bodies_) +
                          R"("}]})");
    RequestBody body;
    ParseRequestBody({"/v1/chat/completions", ""}, text, &body);
    std::promise<RenderedPrompt> told;
    renderer_.Start(body, text, "m", Clock::Real().Monotonic() + patience,
                    [&told](RenderedPrompt prompt) { told.set_value(std::move(prompt)); });
    return told.get_future().get();
  }

  std::atomic<Mood> mood_ = Mood::kWell;
  int bodies_ = 0;
  FakeHttpServer server_;
  const std::unique_ptr<HttpClient> client_ = testing_support::StartedHttpClient();
  HttpTransport transport_{client_.get()};
  HttpRenderer renderer_{{}, &transport_, &Clock::Real()};
};

constexpr milliseconds kPatience{20'000};  // for what is answered
constexpr milliseconds kShort{150};        // for what never is

TEST_F(HttpTransportTest, RendersOverHttp) {
  for (int i = 0; i < 20; ++i) {
    const RenderedPrompt prompt = Render(Mood::kWell, kPatience);
    ASSERT_TRUE(prompt.ok()) << prompt.detail;
    EXPECT_THAT(prompt.token_ids, ElementsAre(1u, 2u, 3u));
  }
  EXPECT_LE(server_.connections(), 1 + static_cast<int>(kRenderPathCount)) << "they are kept";
}

TEST_F(HttpTransportTest, WhateverItDoesTheRenderEnds) {
  const std::pair<Mood, RenderFailure> moods[] = {
      {Mood::kNever, RenderFailure::kDeadline},   {Mood::kSlow, RenderFailure::kDeadline},
      {Mood::kHalf, RenderFailure::kUnreachable}, {Mood::kGarbage, RenderFailure::kBadReply},
      {Mood::kHuge, RenderFailure::kTooLarge},    {Mood::kHtml, RenderFailure::kBadReply}};
  for (const auto& [mood, failure] : moods) {
    const bool ends = failure != RenderFailure::kDeadline;
    const RenderedPrompt prompt = Render(mood, ends ? kPatience : kShort);
    EXPECT_EQ(kRenderFailureNames[prompt.failure], kRenderFailureNames[failure]) << prompt.detail;
    EXPECT_TRUE(Render(Mood::kWell, kPatience).ok()) << "and the next is as good as ever";
  }
}

TEST_F(HttpTransportTest, TheClientMayEndFirst) {
  auto told = std::make_shared<std::promise<RenderedPrompt>>();
  auto client = testing_support::StartedHttpClient();
  HttpTransport transport(client.get());
  HttpRenderer renderer({}, &transport, &Clock::Real());
  renderer.SetRenderers({{"m", server_.Url("")}});
  mood_ = Mood::kNever;
  const PaddedText text(R"({"messages":[{"role":"user","content":"x"}]})");
  RequestBody body;
  ParseRequestBody({"/v1/chat/completions", ""}, text, &body);
  renderer.Start(body, text, "m", Clock::Real().Monotonic() + kPatience,
                 [told](RenderedPrompt prompt) { told->set_value(std::move(prompt)); });
  client.reset();
  EXPECT_EQ(told->get_future().get().failure, RenderFailure::kUnreachable);
}

}  // namespace
}  // namespace kvroute
