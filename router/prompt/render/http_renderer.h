#ifndef KVROUTE_ROUTER_PROMPT_RENDER_HTTP_RENDERER_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_HTTP_RENDERER_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/clock.h"
#include "indexer/base/latency_histogram.h"
#include "indexer/base/limits.h"
#include "router/prompt/render/render_call.h"
#include "router/prompt/render/render_memory.h"
#include "router/prompt/render/render_transport.h"
#include "router/prompt/render/renderer_health.h"
#include "router/prompt/renderer.h"

namespace kvroute {

struct HttpRendererOptions {
  std::chrono::milliseconds probe_timeout{2'000};
  size_t max_renders = limits::kMaxRenders;
  size_t max_renders_per_renderer = limits::kMaxRendersPerRenderer;
  size_t max_render_bytes = limits::kMaxRenderBytes;
  size_t max_memory_bytes = limits::kMaxRenderMemoryBytes;  // of what is remembered; 0: nothing
};

// Who renders for a model.
struct RendererSpec {
  std::string model;             // empty: any
  std::string url;               // "http://10.0.0.7:8000", without a path
  bool named_by_client = false;  // and not by the operator

  auto operator<=>(const RendererSpec&) const = default;
};

struct RendererReport {
  RendererSpec spec = {};
  RendererHealth::State state = RendererHealth::State::kProbing;
  std::array<bool, kRenderPathCount> can{};  // known to have the call
  size_t under_way = 0;
  uint64_t answers = 0;
  uint64_t failures = 0;
  std::string last_failure = {};  // one line; empty: none yet
};

struct HttpRendererStats {
  size_t under_way = 0;
  size_t bytes = 0;  // that were sent for them
  std::array<uint64_t, kRenderedByNames.size()> rendered{};
  std::array<uint64_t, kRenderFailureNames.size()> failed{};
  uint64_t cancelled = 0;
  uint64_t second_attempts = 0;
  uint64_t fallbacks = 0;  // tokenize used because there was no render call
  RenderMemoryStats memory;
};

// Renders over HTTP: round robin over the renderers of a model, by the best call that each has,
// once more by another if one fails, within the deadline. A renderer is probed before it is used
// and every minute; one that fails is left alone for a while (RendererHealth).
//
// Thread safety: every method from any thread; no callback runs under a lock. Ownership: the
// transport and the clock must outlive it, and what the transport still runs afterwards finds
// nothing. The destructor ends what is under way as kOff.
class HttpRenderer final : public PromptRenderer {
 public:
  HttpRenderer(const HttpRendererOptions& options, RenderTransport* transport, const Clock* clock);
  ~HttpRenderer() override;
  HttpRenderer(const HttpRenderer&) = delete;
  HttpRenderer& operator=(const HttpRenderer&) = delete;

  // Replaces the renderers. Those that stay keep what is known of them.
  void SetRenderers(std::vector<RendererSpec> specs);

  std::shared_ptr<const RenderedPrompt> Recall(const RequestBody& body, const PaddedText& text,
                                               std::string_view model) override;
  RenderTicket Start(const RequestBody& body, const PaddedText& text, std::string_view model,
                     Nanos deadline, Done done) override;
  bool Cancel(RenderTicket ticket) override;

  HttpRendererStats Stats() const;
  std::vector<RendererReport> Report() const;
  const LatencyHistogram& latency() const;  // of renders that gave tokens, memory's left out

 private:
  class Core;

  const std::shared_ptr<Core> core_;  // what is under way holds it too
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_HTTP_RENDERER_H_
