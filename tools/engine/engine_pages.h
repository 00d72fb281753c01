#ifndef KVROUTE_TOOLS_ENGINE_ENGINE_PAGES_H_
#define KVROUTE_TOOLS_ENGINE_ENGINE_PAGES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "tools/engine/api_request.h"
#include "tools/engine/engine_host.h"

// What engines answer beside their completions, as JSON or as a metrics page.
namespace kvroute {

int HttpStatusOf(const absl::Status& status);
// {"error":{"message","type","param","code"}}
std::string ErrorJson(int http_status, const absl::Status& status);

// /v1/models: the base model and its adapters, which name it as their parent.
std::string ModelsJson(const ServedModels& models, int64_t created_unix_s);
// One GenerateRequest; of completions a list of them.
std::string RenderJson(const ApiRequest& request, uint64_t number);
std::string TokenizeJson(const TokenizeRequest& request, const ServedModels& models);
// /kv_event_sources: where each rank publishes, a list as vLLM gives it.
std::string EventSourcesJson(const EngineHost& host, size_t engine);
// The names of the engine whose wire style the host speaks, one series a rank.
std::string MetricsText(const EngineHost& host, size_t engine, const ServedModels& models);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_ENGINE_PAGES_H_
