#ifndef KVROUTE_ROUTER_PROMPT_RENDER_RENDER_REPLY_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_RENDER_REPLY_H_

#include <string_view>

#include "router/prompt/render/render_call.h"
#include "router/prompt/renderer.h"

namespace kvroute {

// Reads what a call answered with status 200: vLLM's GenerateRequest or a list of them, SGLang's
// form of it, or the tokens of a tokenize call. Of several prompts the longest is taken.
RenderedPrompt ReadRenderReply(RenderPath path, std::string_view reply);

// What a status other than 200 means.
RenderFailure FailureOfStatus(int status, std::string_view reply);
// Whether a status says that there is no such call, not that there is no such model.
bool SaysNoSuchCall(int status, std::string_view reply);

// A failed render with its detail as one line.
RenderedPrompt FailedRender(RenderFailure failure, std::string_view detail);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_RENDER_REPLY_H_
