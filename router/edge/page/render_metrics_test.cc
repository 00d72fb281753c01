#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "router/edge/page/metrics_page.h"
#include "router/edge/page/status_page.h"
#include "test/support/fake_render_transport.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

// One renderer without render calls, asked for two prompts that are equal and for one that it
// refuses.
class RenderMetricsTest : public testing::Test {
 protected:
  RenderMetricsTest()
      : transport_(&clock_, [](const RenderTransport::Call& call) { return Play(call); }),
        renderer_({}, &transport_, &clock_) {
    renderer_.SetRenderers({{"m", "http://a"}});
    transport_.Pump();
    for (const char* content : {"x", "x", "bad"}) {
      const PaddedText text(R"({"messages":[{"role":"user","content":")" + std::string(content) +
                            "\"}]}");
      RequestBody body;
      ParseRequestBody({"/v1/chat/completions", ""}, text, &body);
      if (renderer_.Recall(body, text, "m") != nullptr) continue;
      renderer_.Start(body, text, "m", clock_.Monotonic() + std::chrono::seconds(1),
                      [](const RenderedPrompt&) {});
      transport_.Pump();
    }
  }

  static RenderTransport::Reply Play(const RenderTransport::Call& call) {
    if (!call.url.ends_with("/tokenize")) return {.status = 404};
    if (call.json == "{}" || call.json.find("bad") != std::string::npos) return {.status = 400};
    return {.status = 200, .body = R"({"tokens":[1,2]})"};
  }

  FakeClock clock_;
  FakeRenderTransport transport_;
  HttpRenderer renderer_;
};

TEST_F(RenderMetricsTest, ThePageHasWhatHappened) {
  Exposition out;
  AddRenderMetrics(renderer_, &out);
  const std::string page = out.Text();
  for (const char* line :
       {"kvroute_renderers{state=\"ready\"} 1\n", "kvroute_renderers_without_render 1\n",
        "kvroute_renders_total{by=\"tokenize\"} 1\n", "kvroute_renders_total{by=\"memory\"} 1\n",
        "kvroute_render_failures_total{reason=\"refused\"} 1\n",
        "kvroute_render_memory_lookups_total{result=\"found\"} 1\n",
        "kvroute_render_memory_checks_total 1\n", "kvroute_render_memory_differences_total 0\n",
        "kvroute_renders_under_way 0\n", "kvroute_render_duration_seconds_count 1\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST_F(RenderMetricsTest, TheStatusNamesTheCallsOfEach) {
  StatusSources sources;
  sources.fleet = std::make_shared<FleetSnapshot>();
  sources.renderers = renderer_.Report();
  const std::string status = StatusJson(sources);
  EXPECT_THAT(status, HasSubstr("\"url\": \"http://a\""));
  EXPECT_THAT(status, HasSubstr("\"state\": \"ready\""));
  EXPECT_THAT(status, HasSubstr("\"tokenize\""));
  EXPECT_THAT(status, testing::Not(HasSubstr("chat_render")));
}

}  // namespace
}  // namespace kvroute
