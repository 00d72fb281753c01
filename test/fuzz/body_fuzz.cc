#include <cstdint>
#include <string>
#include <string_view>

#include "indexer/base/check.h"
#include "indexer/base/text.h"
#include "router/prompt/json_text.h"
#include "router/prompt/request_body.h"

// Whatever the body, of every API: no crash; a reason with one line of detail, or a prompt that
// lies within the body; and what is unescaped reads back as it was.
namespace kvroute {
namespace {

constexpr std::string_view kPaths[] = {
    "/v1/completions", "/v1/chat/completions",   "/v1/responses", "/v1/messages",
    "/v1/embeddings",  "/inference/v1/generate", "/generate",     "/x"};

void CheckViews(const RequestBody& body, std::string_view text) {
  for (const std::string_view raw : {body.raw_model, body.raw_prompt, body.raw_longest,
                                     body.raw_system, body.raw_tools, body.raw_chat_template}) {
    if (raw.empty()) continue;
    KVROUTE_CHECK(raw.data() >= text.data() &&
                  raw.data() + raw.size() <= text.data() + text.size());
  }
}

void FuzzOne(const uint8_t* data, size_t size) {
  if (size == 0) return;
  const std::string_view path = kPaths[data[0] % std::size(kPaths)];
  const PaddedText text({reinterpret_cast<const char*>(data + 1), size - 1});
  static auto* const reader = new RequestBodyReader();
  static auto* const body = new RequestBody();
  reader->Read({path, ""}, text, body);
  KVROUTE_CHECK(IsOneLine(body->detail));
  KVROUTE_CHECK((body->unscored == Unscored::kNo) == body->detail.empty());
  CheckViews(*body, text.view());
  if (body->unscored != Unscored::kNo) {
    KVROUTE_CHECK(body->token_ids.empty() && body->multimodal.empty());
    return;
  }
  KVROUTE_CHECK(body->has_tokens() != body->needs_render());
  KVROUTE_CHECK(body->has_tokens() || body->raw_longest.size() > 2);
  KVROUTE_CHECK(IsValidUtf8(text.view()) && IsValidUtf8(body->model));
  std::string raw, again;
  AppendJsonString(body->model, &raw);
  KVROUTE_CHECK(UnescapeJsonString(raw, &again) && again == body->model);
}

}  // namespace
}  // namespace kvroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kvroute::FuzzOne(data, size);
  return 0;
}
