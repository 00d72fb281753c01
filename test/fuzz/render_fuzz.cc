#include <cstdint>
#include <string>
#include <string_view>

#include "indexer/base/check.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "router/prompt/render/render_call.h"
#include "router/prompt/render/render_reply.h"

// Whatever a renderer answers, tokens with inputs that lie in order within them, or a failure with
// one line of detail; whatever the body, its calls are made without a crash and name the model.
namespace kvroute {
namespace {

void CheckReply(RenderPath path, std::string_view reply) {
  const RenderedPrompt prompt = ReadRenderReply(path, reply);
  KVROUTE_CHECK(IsOneLine(prompt.detail));
  KVROUTE_CHECK(prompt.ok() == prompt.detail.empty());
  if (!prompt.ok()) return;
  KVROUTE_CHECK(!prompt.token_ids.empty() && prompt.token_ids.size() <= limits::kMaxPromptTokens);
  KVROUTE_CHECK(prompt.cache_salt.size() <= limits::kMaxNamespaceBytes);
  uint64_t last_end = 0;
  for (const RenderedPrompt::Input& input : prompt.inputs) {
    KVROUTE_CHECK(!input.identifier.empty() && input.offset_tokens >= last_end);
    last_end = uint64_t{input.offset_tokens} + input.length_tokens;
  }
  KVROUTE_CHECK(last_end <= prompt.token_ids.size());
}

void CheckCalls(std::string_view path, const PaddedText& text) {
  RequestBody body;
  ParseRequestBody({path, ""}, text, &body);
  if (!body.needs_render()) return;
  for (const RenderPath by : RenderPathsOf(body.api)) {
    std::string json, detail;
    if (MakeRenderCall(by, body, text.view(), "the-model", &json, &detail)) {
      KVROUTE_CHECK(json.find("\"the-model\"") != std::string::npos);
    } else {
      KVROUTE_CHECK(!detail.empty());
    }
  }
}

void FuzzOne(const uint8_t* data, size_t size) {
  if (size == 0) return;
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  CheckReply(static_cast<RenderPath>(data[0] % kRenderPathCount), rest);
  const PaddedText text(rest);
  for (const char* path : {"/v1/messages", "/v1/chat/completions", "/v1/completions"}) {
    CheckCalls(path, text);
  }
}

}  // namespace
}  // namespace kvroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kvroute::FuzzOne(data, size);
  return 0;
}
