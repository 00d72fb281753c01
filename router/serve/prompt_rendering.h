#ifndef KVROUTE_ROUTER_SERVE_PROMPT_RENDERING_H_
#define KVROUTE_ROUTER_SERVE_PROMPT_RENDERING_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/clock.h"
#include "router/config/serve_config.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/http/http_client.h"
#include "router/prompt/render/http_renderer.h"
#include "router/prompt/render/http_transport.h"

namespace kvroute {

// Who renders: those of the configuration, and for models without one the model's own workers, if
// prompts.ask_engines says so. A worker whose address is neither http://, https:// nor host:port is
// not asked.
std::vector<RendererSpec> RenderersOf(const PromptsConfig& config, const FleetSnapshot& fleet);

// The renderer of the process, and what it is made of. At its end renders under way end as kOff,
// then it waits until the client's thread has nothing more of it.
//
// Thread safety: Follow from one thread; what it hands out says for itself.
class PromptRendering {
 public:
  // `client`, `client_networks` (see HttpTransport) and `clock` must outlive it.
  PromptRendering(const PromptsConfig& config, HttpClient* client,
                  const NetworkList* client_networks, const Clock* clock)
      : config_(config),
        client_(client),
        transport_(client, client_networks),
        renderer_(std::make_unique<HttpRenderer>(config.http, &transport_, clock)) {}
  ~PromptRendering();
  PromptRendering(const PromptRendering&) = delete;
  PromptRendering& operator=(const PromptRendering&) = delete;

  // Takes the renderers of a fleet; to be called whenever it may have changed. Cheap while it has
  // not.
  void Follow(const FleetSnapshot& fleet);

  HttpRenderer* renderer() { return renderer_.get(); }

 private:
  const PromptsConfig config_;
  uint64_t version_ = UINT64_MAX;  // of the fleet last followed
  HttpClient* const client_;
  HttpTransport transport_;
  std::unique_ptr<HttpRenderer> renderer_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_PROMPT_RENDERING_H_
