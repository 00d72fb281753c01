#include <array>

#include "router/edge/page/metrics_page.h"

namespace kvroute {
namespace {

double AsValue(uint64_t count) { return static_cast<double>(count); }

void AddRenderers(const HttpRenderer& renderer, Exposition* out) {
  std::array<uint64_t, kRendererStateNames.size()> states{};
  uint64_t without_render = 0;
  for (const RendererReport& report : renderer.Report()) {
    ++states[static_cast<size_t>(report.state)];
    if (report.state == RendererHealth::State::kReady &&
        !report.can[static_cast<size_t>(RenderPath::kChatRender)]) {
      ++without_render;
    }
  }
  for (size_t i = 0; i < states.size(); ++i) {
    const auto state = static_cast<RendererHealth::State>(i);
    out->Add(Metric::kRenderers, {kRendererStateNames[state]}, AsValue(states[i]));
  }
  out->Add(Metric::kRenderersWithoutRender, AsValue(without_render));
}

}  // namespace

void AddRenderMetrics(const HttpRenderer& renderer, Exposition* out) {
  AddRenderers(renderer, out);
  const HttpRendererStats stats = renderer.Stats();
  for (size_t i = 0; i < stats.rendered.size(); ++i) {
    out->Add(Metric::kRenders, {kRenderedByNames[static_cast<RenderedBy>(i)]},
             AsValue(stats.rendered[i]));
  }
  for (size_t i = 1; i < stats.failed.size(); ++i) {  // not "no"
    out->Add(Metric::kRenderFailures, {kRenderFailureNames[static_cast<RenderFailure>(i)]},
             AsValue(stats.failed[i]));
  }
  out->Add(Metric::kRendersCancelled, AsValue(stats.cancelled));
  out->Add(Metric::kRenderRetries, AsValue(stats.second_attempts));
  out->Add(Metric::kRendersUnderWay, AsValue(stats.under_way));
  out->AddHistogram(Metric::kRenderDuration, {}, renderer.latency().Read());
  out->Add(Metric::kRenderMemoryLookups, {"found"}, AsValue(stats.memory.found));
  out->Add(Metric::kRenderMemoryLookups, {"not_found"}, AsValue(stats.memory.not_found));
  out->Add(Metric::kRenderMemoryChecks, AsValue(stats.memory.checks));
  out->Add(Metric::kRenderMemoryDifferences, AsValue(stats.memory.differences));
  out->Add(Metric::kRenderMemoryBytes, AsValue(stats.memory.bytes));
}

}  // namespace kvroute
