#include "router/serve/prompt_rendering.h"

#include <algorithm>
#include <utility>

namespace kvroute {
namespace {

// "http://host:port" of a worker's address; empty: it is no address of HTTP.
std::string UrlOf(std::string_view address) {
  std::string_view rest = address;
  std::string_view scheme = "http://";
  if (const size_t at = address.find("://"); at != std::string_view::npos) {
    scheme = address.substr(0, at + 3);
    rest = address.substr(at + 3);
    if (scheme != "http://" && scheme != "https://") return {};
  }
  rest = rest.substr(0, rest.find('/'));
  const bool has_port = rest.find(':') != std::string_view::npos;
  if (rest.empty() || (address.find("://") == std::string_view::npos && !has_port)) return {};
  return std::string(scheme) + std::string(rest);
}

bool HasOwn(const PromptsConfig& config, std::string_view model) {
  return std::any_of(config.renderers.begin(), config.renderers.end(),
                     [&](const RendererSpec& renderer) {
                       return renderer.model.empty() || renderer.model == model;
                     });
}

}  // namespace

std::vector<RendererSpec> RenderersOf(const PromptsConfig& config, const FleetSnapshot& fleet) {
  std::vector<RendererSpec> specs = config.renderers;
  if (!config.ask_engines) return specs;
  for (const ModelTargets& model : fleet.models) {
    if (HasOwn(config, model.model)) continue;
    const FleetWorker* last = nullptr;
    for (uint32_t i = model.begin; i < model.end; ++i) {
      const FleetWorker* const worker = fleet.targets[i].worker.get();
      if (std::exchange(last, worker) == worker) continue;  // another rank of it
      std::string url = UrlOf(worker->spec.address);
      if (!url.empty())
        specs.push_back({model.model, std::move(url), IsNamedByClient(worker->source)});
    }
  }
  return specs;
}

// A reply or a timer of the renderer's may be at work, about to send another call.
PromptRendering::~PromptRendering() {
  renderer_.reset();
  client_->RunAndWait([] {});
}

void PromptRendering::Follow(const FleetSnapshot& fleet) {
  if (std::exchange(version_, fleet.version) == fleet.version) return;
  renderer_->SetRenderers(RenderersOf(config_, fleet));
}

}  // namespace kvroute
