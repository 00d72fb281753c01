#include "router/prompt/render/render_call.h"

#include <array>

#include "router/prompt/json_text.h"
#include "router/prompt/render/anthropic_chat.h"

namespace kvroute {
namespace {

constexpr std::array kChatPaths = {RenderPath::kChatRender, RenderPath::kTokenize};
constexpr std::array kCompletionsPaths = {RenderPath::kCompletionsRender, RenderPath::kTokenize,
                                          RenderPath::kTrtllmTokenize};
constexpr std::array kResponsesPaths = {RenderPath::kResponsesRender};
constexpr std::array kTextPaths = {RenderPath::kTokenize, RenderPath::kTrtllmTokenize};

// An object as it grows; values that are empty are left out.
class RawObject {
 public:
  explicit RawObject(std::string* out) : out_(*out) { out_ = "{"; }

  void Add(std::string_view name, std::string_view raw) {
    if (raw.empty()) return;
    if (out_.size() > 1) out_ += ',';
    out_ += '"';
    out_ += name;
    out_ += "\":";
    out_ += raw;
  }
  void AddText(std::string_view name, std::string_view text) {
    std::string raw;
    AppendJsonString(text, &raw);
    Add(name, raw);
  }
  void End() { out_ += '}'; }

 private:
  std::string& out_;
};

// The body as it came, with another model.
void TakeVerbatim(const RequestBody& body, std::string_view text, std::string_view model,
                  std::string* json) {
  std::string raw_model;
  AppendJsonString(model, &raw_model);
  json->clear();
  json->reserve(text.size() + raw_model.size() + 16);
  if (!body.raw_model.empty()) {
    const auto at = static_cast<size_t>(body.raw_model.data() - text.data());
    *json += text.substr(0, at);
    *json += raw_model;
    *json += text.substr(at + body.raw_model.size());
    return;
  }
  const size_t open = text.find('{');
  *json += text.substr(0, open + 1);
  *json += "\"model\":" + raw_model + ",";
  *json += text.substr(open + 1);
}

void ChatOfAnthropic(const RequestBody& body, const AnthropicChat& chat, std::string_view model,
                     bool for_tokenize, std::string* json) {
  RawObject object(json);
  object.AddText("model", model);
  object.Add("messages", chat.messages);
  object.Add("tools", chat.tools);
  object.Add("chat_template_kwargs", body.raw_chat_template_kwargs);
  if (!for_tokenize) {
    if (body.max_output_tokens.has_value()) {
      object.Add("max_tokens", std::to_string(*body.max_output_tokens));
    }
    object.Add("reasoning_effort", chat.reasoning_effort);
  }
  object.End();
}

void TokenizeChat(const RequestBody& body, std::string_view model, std::string* json) {
  RawObject object(json);
  object.AddText("model", model);
  object.Add("messages", body.raw_prompt);
  object.Add("tools", body.raw_tools);
  object.Add("add_generation_prompt", body.raw_add_generation_prompt);
  object.Add("continue_final_message", body.raw_continue_final_message);
  object.Add("add_special_tokens", body.raw_add_special_tokens);
  object.Add("chat_template", body.raw_chat_template);
  object.Add("chat_template_kwargs", body.raw_chat_template_kwargs);
  object.Add("mm_processor_kwargs", body.raw_mm_processor_kwargs);
  object.End();
}

}  // namespace

std::string_view UrlPathOf(RenderPath path) {
  switch (path) {
    case RenderPath::kChatRender:
      return "/v1/chat/completions/render";
    case RenderPath::kCompletionsRender:
      return "/v1/completions/render";
    case RenderPath::kResponsesRender:
      return "/v1/responses/render";
    case RenderPath::kTokenize:
      return "/tokenize";
    case RenderPath::kTrtllmTokenize:
      return "/_internal/tokenize";
  }
  return "";
}

absl::Span<const RenderPath> RenderPathsOf(Api api) {
  switch (api) {
    case Api::kChat:
    case Api::kMessages:
      return kChatPaths;
    case Api::kCompletions:
      return kCompletionsPaths;
    case Api::kResponses:
      return kResponsesPaths;
    case Api::kSglangGenerate:
      return kTextPaths;
    default:
      return {};
  }
}

bool MakeRenderCall(RenderPath path, const RequestBody& body, std::string_view text,
                    std::string_view model, std::string* json, std::string* detail) {
  const bool tokenize = RenderedByOf(path) == RenderedBy::kTokenize;
  if (body.api == Api::kMessages) {
    AnthropicChat chat;
    if (!MakeAnthropicChat(body, &chat, detail)) return false;
    ChatOfAnthropic(body, chat, model, tokenize, json);
    return true;
  }
  if (!tokenize) {
    TakeVerbatim(body, text, model, json);
    return true;
  }
  if (!body.raw_truncate_prompt_tokens.empty()) {
    *detail = "truncate_prompt_tokens: tokenize does not take it";
    return false;
  }
  if (body.api == Api::kChat) {
    if (!body.raw_documents.empty()) {
      *detail = "documents: tokenize does not take them";
      return false;
    }
    TokenizeChat(body, model, json);
    return true;
  }
  RawObject object(json);
  object.AddText("model", model);
  object.Add("prompt", body.raw_longest);
  // TensorRT-LLM refuses fields that it does not know.
  if (path == RenderPath::kTokenize) object.Add("add_special_tokens", body.raw_add_special_tokens);
  object.End();
  return true;
}

}  // namespace kvroute
