#ifndef KVROUTE_ROUTER_PROMPT_RENDER_RENDER_CALL_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_RENDER_CALL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "indexer/base/enum_names.h"
#include "router/prompt/renderer.h"
#include "router/prompt/request_body.h"

namespace kvroute {

// The calls of engines and their renderers that give tokens. A name is a metric's label.
enum class RenderPath : uint8_t {
  kChatRender,         // vLLM, SGLang's renderer
  kCompletionsRender,  // the same
  kResponsesRender,    // vLLM
  kTokenize,           // vLLM, SGLang
  kTrtllmTokenize,     // TensorRT-LLM; text alone
};
inline constexpr auto kRenderPathNames = NamesUpTo<RenderPath::kTrtllmTokenize>(
    "chat_render", "completions_render", "responses_render", "tokenize", "trtllm_tokenize");
inline constexpr size_t kRenderPathCount = kRenderPathNames.size();

// "/v1/chat/completions/render"
std::string_view UrlPathOf(RenderPath path);
inline RenderedBy RenderedByOf(RenderPath path) {
  return path <= RenderPath::kResponsesRender ? RenderedBy::kRender : RenderedBy::kTokenize;
}

// By which calls the prompts of an API can be rendered, the best first; empty: by none.
absl::Span<const RenderPath> RenderPathsOf(Api api);

// Makes the JSON of a call. A render call takes the body as it came, but for its model; the others
// take what of it they know. False: it cannot be said in that call, and `detail` says why.
bool MakeRenderCall(RenderPath path, const RequestBody& body, std::string_view text,
                    std::string_view model, std::string* json, std::string* detail);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_RENDER_CALL_H_
