#include "router/prompt/render/http_renderer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>

#include "router/prompt/json_text.h"
#include "test/support/fake_render_transport.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::string_view kRenderPath = "/v1/chat/completions/render";
constexpr char kGenerateRequest[] = R"({"request_id":"r","token_ids":[1,2,3],"features":null})";

// Renderers a and b of model "m", played by the test.
class HttpRendererTest : public testing::Test {
 protected:
  struct Played {
    bool has_render = true;
    bool is_down = false;
    bool hangs = false;
    int status = 200;
    std::string reply = kGenerateRequest;
  };

  explicit HttpRendererTest(HttpRendererOptions options = {})
      : transport_(&clock_, [this](const auto& call) { return Play(call); }),
        renderer_(std::in_place, options, &transport_, &clock_) {
    played_["http://a"];
    played_["http://b"];
  }

  RenderTransport::Reply Play(const RenderTransport::Call& call) {
    const std::string host = call.url.substr(0, call.url.find('/', 7));
    const std::string path = call.url.substr(host.size());
    const Played& played = played_[host];
    if (played.is_down) return {.failure = RenderFailure::kUnreachable, .detail = "refused"};
    if (played.hangs) return {};
    if (path.ends_with("/render") && !played.has_render) {
      return {.status = 404, .body = R"({"detail":"Not Found"})"};
    }
    if (path == "/_internal/tokenize") return {.status = 404};
    if (call.json == "{}") return {.status = 400, .body = R"({"error":{}})"};
    if (!slow_content_.empty() && call.json.find(slow_content_) != std::string::npos) return {};
    if (path == "/tokenize") return {.status = 200, .body = R"({"count":2,"tokens":[7,8]})"};
    return {.status = played.status, .body = played.reply};
  }

  void Serve(std::vector<std::string> hosts = {"http://a", "http://b"}) {
    std::vector<RendererSpec> specs;
    for (std::string& host : hosts) specs.push_back({"m", std::move(host)});
    renderer_->SetRenderers(std::move(specs));
    transport_.Pump();
  }

  RenderTicket Start(std::string_view json, std::string_view path = "/v1/chat/completions",
                     std::string_view model = "m") {
    const PaddedText text(json);
    RequestBody body;
    ParseRequestBody({path, ""}, text, &body);
    EXPECT_TRUE(body.needs_render()) << body.detail;
    if (const auto known = renderer_->Recall(body, text, model)) {
      ++told_;
      prompt_ = *known;
      return {};
    }
    return renderer_->Start(body, text, model, clock_.Monotonic() + milliseconds(400),
                            [this](RenderedPrompt prompt) {
                              ++told_;
                              prompt_ = std::move(prompt);
                            });
  }
  // One render to its end; each has another body.
  RenderedPrompt Render(std::string_view path = "/v1/chat/completions") {
    const int before = told_;
    Start(Chat(std::to_string(++bodies_)), path);
    EXPECT_EQ(told_, before) << "told inside Start";
    transport_.Pump();
    if (told_ == before) transport_.Advance(milliseconds(400));
    EXPECT_EQ(told_, before + 1);
    return prompt_;
  }
  static std::string Chat(std::string_view content) {
    return R"({"model":"adapter","messages":[{"role":"user","content":")" + std::string(content) +
           "\"}]}";
  }
  RendererReport ReportOf(std::string_view url) {
    for (RendererReport& report : renderer_->Report()) {
      if (report.spec.url == url) return report;
    }
    return {};
  }

  FakeClock clock_;
  RenderedPrompt prompt_;  // before the renderer, whose end tells what is under way
  int told_ = 0;
  int bodies_ = 0;
  std::map<std::string, Played> played_;
  std::string slow_content_;  // prompts with it are never answered
  FakeRenderTransport transport_;
  std::optional<HttpRenderer> renderer_;
};

TEST_F(HttpRendererTest, TheBodyGoesOutAsItCameWithTheBaseModel) {
  Serve();
  Start(R"({ "model" : "adapter", "messages":[{"role":"user","content":"\u00e9"}], "x":1})");
  transport_.Pump();
  ASSERT_TRUE(prompt_.ok()) << prompt_.detail;
  EXPECT_THAT(prompt_.token_ids, ElementsAre(1u, 2u, 3u));
  EXPECT_EQ(prompt_.by, RenderedBy::kRender);
  ASSERT_THAT(transport_.CallsTo(kRenderPath), SizeIs(1));
  EXPECT_EQ(transport_.CallsTo(kRenderPath)[0].json,
            R"({ "model" : "m", "messages":[{"role":"user","content":"\u00e9"}], "x":1})");
}

TEST_F(HttpRendererTest, RenderersTakeTurns) {
  Serve();
  std::map<std::string, int> asked;
  for (int i = 0; i < 6; ++i) Render();
  for (const auto& call : transport_.CallsTo(kRenderPath)) ++asked[call.url];
  EXPECT_EQ(asked["http://a" + std::string(kRenderPath)], 3);
  EXPECT_EQ(asked["http://b" + std::string(kRenderPath)], 3);
}

TEST_F(HttpRendererTest, ProbedAtStartAndNotAtTheFirstRequest) {
  played_["http://a"].has_render = false;
  Serve({"http://a"});
  EXPECT_THAT(transport_.calls, SizeIs(kRenderPathCount));
  EXPECT_EQ(ReportOf("http://a").state, RendererHealth::State::kReady);
  const RenderedPrompt prompt = Render();
  EXPECT_EQ(prompt.by, RenderedBy::kTokenize);
  EXPECT_THAT(prompt.token_ids, ElementsAre(7u, 8u));
  EXPECT_THAT(transport_.CallsTo(kRenderPath), SizeIs(0));
}

TEST_F(HttpRendererTest, A404TurnsToTokenizeWithinTheRequest) {
  Serve({"http://a"});
  EXPECT_EQ(Render().by, RenderedBy::kRender);
  // A new renderer, asked before its probe has an answer.
  played_["http://c"].has_render = false;
  renderer_->SetRenderers({{"m", "http://c"}});
  EXPECT_EQ(Render().by, RenderedBy::kTokenize);
  EXPECT_EQ(renderer_->Stats().failed[static_cast<size_t>(RenderFailure::kUnsupported)], 0u);
}

TEST_F(HttpRendererTest, A404OfTheModelIsNoFallback) {
  played_["http://a"].status = 404;
  played_["http://a"].reply = R"({"error":{"message":"The model `m` does not exist."}})";
  Serve({"http://a"});
  EXPECT_EQ(Render().failure, RenderFailure::kRefused);
  EXPECT_TRUE(ReportOf("http://a").can[static_cast<size_t>(RenderPath::kChatRender)]);
}

TEST_F(HttpRendererTest, AnotherRendererIsAskedWhenOneFails) {
  Serve();
  played_["http://a"].is_down = true;
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(Render().ok());
  EXPECT_EQ(ReportOf("http://a").state, RendererHealth::State::kLeftAlone);
  EXPECT_GT(renderer_->Stats().second_attempts, 0u);
  const size_t before = transport_.calls.size();
  for (int i = 0; i < 8; ++i) Render();
  EXPECT_EQ(transport_.calls.size(), before + 8) << "nobody asks it";
}

TEST_F(HttpRendererTest, LeftAloneUntilAProbeIsAnswered) {
  Serve({"http://a"});
  played_["http://a"].hangs = true;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Render().failure, RenderFailure::kDeadline);
  EXPECT_EQ(Render().failure, RenderFailure::kNoRenderer);
  transport_.Advance(seconds(20));
  EXPECT_EQ(Render().failure, RenderFailure::kNoRenderer) << "probes hang too";
  played_["http://a"].hangs = false;
  transport_.Advance(seconds(40));
  EXPECT_TRUE(Render().ok());
}

TEST_F(HttpRendererTest, LongPromptsAreLateAndNobodysFault) {
  Serve({"http://a"});
  slow_content_ = "long";
  for (int i = 0; i < 10; ++i) {
    Start(Chat("long " + std::to_string(i)));
    transport_.Advance(milliseconds(100));
    EXPECT_TRUE(Render().ok());
    transport_.Advance(milliseconds(400));
    EXPECT_EQ(prompt_.failure, RenderFailure::kDeadline);
  }
  EXPECT_EQ(ReportOf("http://a").state, RendererHealth::State::kReady);
}

TEST_F(HttpRendererTest, WhatRenderersMayAnswer) {
  Serve({"http://a"});
  Played& a = played_["http://a"];
  const auto render = [&](int status, std::string reply) {
    a.status = status;
    a.reply = std::move(reply);
    renderer_->SetRenderers({});  // forgets what failed before
    Serve({"http://a"});
    return Render();
  };
  EXPECT_EQ(render(400, R"({"error":{"message":"bad"}})").failure, RenderFailure::kRefused);
  EXPECT_THAT(prompt_.detail, HasSubstr("answered 400: {\"error\":{\"message\":\"bad\"}}"));
  EXPECT_EQ(render(500, "").failure, RenderFailure::kServerError);
  EXPECT_EQ(render(429, "").failure, RenderFailure::kServerError);
  EXPECT_EQ(render(301, "").failure, RenderFailure::kServerError);
  EXPECT_EQ(render(200, "<html>").failure, RenderFailure::kBadReply);
  EXPECT_EQ(render(200, "").failure, RenderFailure::kBadReply);
  EXPECT_EQ(render(200, "{}").failure, RenderFailure::kBadReply);
  EXPECT_EQ(render(200, R"({"token_ids":[]})").failure, RenderFailure::kBadReply);
  EXPECT_EQ(render(200, R"({"token_ids":[1,-1]})").failure, RenderFailure::kBadReply);
  EXPECT_EQ(render(200, R"({"token_ids":[1,2)").failure, RenderFailure::kBadReply);
  EXPECT_EQ(render(200, std::string(limits::kMaxRenderReplyBytes + 1, ' ')).failure,
            RenderFailure::kTooLarge);
  const std::string large = R"({"features":{"kwargs_data":{"image":[")" +
                            std::string(5 << 20, 'A') +
                            R"("]},"mm_hashes":{"image":["h"]},)"
                            R"("mm_placeholders":{"image":[{"offset":1,"length":2}]}},)"
                            R"("token_ids":[1,2,3],"cache_salt":"s"})";
  ASSERT_TRUE(render(200, large).ok()) << prompt_.detail;
  ASSERT_THAT(prompt_.inputs, SizeIs(1));
  EXPECT_EQ(prompt_.inputs[0].identifier, "h");
  EXPECT_EQ(prompt_.cache_salt, "s");
  EXPECT_THAT(render(200, R"([{"token_ids":[1]},{"input_ids":[4,5]}])").token_ids,
              ElementsAre(4u, 5u));
}

TEST_F(HttpRendererTest, CancelledIsNeverTold) {
  played_["http://a"].hangs = true;
  Serve({"http://a"});
  const RenderTicket ticket = Start(Chat("x"));
  EXPECT_TRUE(renderer_->Cancel(ticket));
  EXPECT_FALSE(renderer_->Cancel(ticket));
  transport_.Advance(seconds(1));
  EXPECT_EQ(told_, 0);
  EXPECT_EQ(renderer_->Stats().under_way, 0u);
  EXPECT_EQ(ReportOf("http://a").under_way, 0u);
  // Also before an answer that was known at once is told.
  const RenderTicket other = Start(Chat("x"), "/v1/chat/completions", "unknown");
  EXPECT_TRUE(renderer_->Cancel(other));
  transport_.Pump();
  EXPECT_EQ(told_, 0);
}

TEST_F(HttpRendererTest, WithoutRenderersOrCallsItSaysSo) {
  EXPECT_EQ(Render().failure, RenderFailure::kNoRenderer);
  Serve();
  Start(Chat("x"), "/v1/chat/completions", "other");
  transport_.Pump();
  EXPECT_EQ(prompt_.failure, RenderFailure::kNoRenderer);
  EXPECT_THAT(prompt_.detail, HasSubstr("\"other\""));
  played_["http://a"].has_render = false;
  Serve({"http://a"});
  renderer_->SetRenderers({});
  Serve({"http://a"});
  const int before = told_;
  Start(R"({"input":"x"})", "/v1/responses");
  transport_.Pump();
  EXPECT_EQ(told_, before + 1);
  EXPECT_EQ(prompt_.failure, RenderFailure::kUnsupported);
}

TEST_F(HttpRendererTest, RenderersOfAnyModelServeThoseWithoutTheirOwn) {
  played_["http://any"].reply = R"({"token_ids":[9]})";
  renderer_->SetRenderers({{"", "http://any"}, {"m", "http://a"}});
  transport_.Pump();
  EXPECT_THAT(Render().token_ids, ElementsAre(1u, 2u, 3u));
  Start(Chat("x"), "/v1/chat/completions", "other");
  transport_.Pump();
  EXPECT_THAT(prompt_.token_ids, ElementsAre(9u));
}

TEST_F(HttpRendererTest, TheEndTellsWhatIsUnderWay) {
  Serve({"http://a"});
  played_["http://a"].hangs = true;
  Start(Chat("x"));
  renderer_.reset();
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(prompt_.failure, RenderFailure::kOff);
  transport_.Advance(seconds(3));  // what it still runs finds nothing
  EXPECT_EQ(told_, 1);
}

TEST_F(HttpRendererTest, TheSameBodyIsNotRenderedTwice) {
  Serve({"http://a"});
  for (int i = 0; i < 3; ++i) {
    Start(Chat("same"));
    transport_.Pump();
    EXPECT_THAT(prompt_.token_ids, ElementsAre(1u, 2u, 3u));
  }
  EXPECT_EQ(prompt_.by, RenderedBy::kMemory);
  // The first answer from memory was checked.
  EXPECT_THAT(transport_.CallsTo(kRenderPath), SizeIs(2));
  EXPECT_EQ(renderer_->Stats().memory.checks, 1u);
  EXPECT_EQ(renderer_->Stats().memory.differences, 0u);
  transport_.Advance(RenderMemory::kGoodFor / milliseconds(1) * milliseconds(1));
  Start(Chat("same"));
  transport_.Pump();
  EXPECT_EQ(prompt_.by, RenderedBy::kRender) << "a template may print the date";
}

TEST_F(HttpRendererTest, ADifferenceTurnsTheMemoryOff) {
  Serve({"http://a"});
  Start(Chat("same"));
  transport_.Pump();
  played_["http://a"].reply = R"({"token_ids":[4]})";
  Start(Chat("same"));
  transport_.Pump();
  EXPECT_EQ(renderer_->Stats().memory.differences, 1u);
  EXPECT_TRUE(renderer_->Stats().memory.is_off);
  Start(Chat("same"));
  transport_.Pump();
  EXPECT_THAT(prompt_.token_ids, ElementsAre(4u));
  EXPECT_EQ(prompt_.by, RenderedBy::kRender);
}

class BoundedRendererTest : public HttpRendererTest {
 protected:
  BoundedRendererTest()
      : HttpRendererTest({.max_renders = 3, .max_renders_per_renderer = 2, .max_memory_bytes = 0}) {
  }
};

TEST_F(BoundedRendererTest, BeyondItsBoundsItIsBusy) {
  Serve();
  played_["http://a"].hangs = played_["http://b"].hangs = true;
  for (int i = 0; i < 3; ++i) Start(Chat(std::to_string(i)));
  Start(Chat("4"));
  transport_.Pump();
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(prompt_.failure, RenderFailure::kBusy);
  transport_.Advance(milliseconds(450));
  EXPECT_EQ(told_, 4);
  Serve({"http://a"});
  for (int i = 0; i < 3; ++i) Start(Chat(std::to_string(i)));
  transport_.Pump();
  EXPECT_EQ(prompt_.failure, RenderFailure::kBusy) << "one renderer has its own bound";
}

class BoundedBytesTest : public HttpRendererTest {
 protected:
  BoundedBytesTest() : HttpRendererTest({.max_render_bytes = 1'000, .max_memory_bytes = 0}) {}
};

TEST_F(BoundedBytesTest, WhatIsSentIsBoundedAndGivenBack) {
  Serve({"http://a"});
  played_["http://a"].hangs = true;
  const std::string body = Chat(std::string(2'000, 'x'));
  for (int i = 0; i < 3; ++i) {
    const RenderTicket ticket = Start(body);
    Start(body);
    transport_.Pump();
    EXPECT_EQ(prompt_.failure, RenderFailure::kBusy);
    EXPECT_EQ(told_, i + 1) << "of two the second is refused, each time";
    EXPECT_TRUE(renderer_->Cancel(ticket));
    transport_.Pump();
  }
}

}  // namespace
}  // namespace kvroute
