#ifndef KVROUTE_ROUTER_PROMPT_RENDER_RENDER_POOL_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_RENDER_POOL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "router/prompt/render/http_renderer.h"
#include "router/prompt/render/render_call.h"
#include "router/prompt/render/render_transport.h"

namespace kvroute {

// The renderers, what is known of each, and which is next. A part of HttpRenderer.
//
// Thread safety: one thread at a time; its user holds a lock.
class RenderPool {
 public:
  // How many are probed at a time: all of a large fleet at once would be a burst of their own.
  static constexpr size_t kMaxProbes = 64;

  enum class Has : uint8_t { kUnknown, kYes, kNo };

  struct Renderer {
    RendererSpec spec;
    RendererHealth health;
    std::array<Has, kRenderPathCount> has{};
    size_t under_way = 0;
    size_t probes_out = 0;  // calls of its probe
    bool probe_failed = false;
    bool is_warned_of = false;  // that it has no render call
    uint64_t answers = 0;
    uint64_t failures = 0;
    std::string last_failure;
    Nanos last_answer_at{0};
  };

  // One renderer and the call it is to be asked by.
  struct Choice {
    RenderFailure failure = RenderFailure::kNo;  // else there is none
    std::shared_ptr<Renderer> renderer = {};
    RenderPath path = RenderPath::kTokenize;
    bool is_known = false;  // to have the call
    Nanos chosen_at{0};

    std::string Detail(std::string_view model) const;  // of the failure
  };

  explicit RenderPool(size_t max_under_way) : max_under_way_(max_under_way) {}

  // True: they are others than before.
  bool Set(std::vector<RendererSpec> specs);

  // The next renderer of a model (of those for any model, if it has none of its own), by the first
  // of the paths that it may have; it counts as one more call under way until OnEnd or GiveBack.
  // `without`: not this one.
  Choice Choose(std::string_view model, absl::Span<const RenderPath> paths, const Renderer* without,
                Nanos now);
  void GiveBack(const std::shared_ptr<Renderer>& renderer) { --renderer->under_way; }

  // What came of a call. True, once a renderer: it turned out to have no render call.
  bool OnEnd(const Choice& choice, const RenderedPrompt& prompt, bool is_cancelled, bool is_first,
             Nanos now);

  std::vector<std::shared_ptr<Renderer>> TakeProbes(Nanos now);
  struct ProbeEnd {
    bool is_last = false;         // of the renderer's probe
    bool says_no_render = false;  // once a renderer
  };
  ProbeEnd OnProbe(Renderer* renderer, RenderPath path, const RenderTransport::Reply& reply,
                   Nanos now);

  std::vector<RendererReport> Report() const;

 private:
  // The renderers of one model.
  struct Group {
    std::vector<std::shared_ptr<Renderer>> renderers;
    size_t next = 0;
  };

  const size_t max_under_way_;
  std::vector<std::shared_ptr<Renderer>> renderers_;  // sorted by model and URL
  std::map<std::string, Group, std::less<>> groups_;  // by model
  size_t probing_ = 0;                                // renderers with a probe out
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_RENDER_POOL_H_
