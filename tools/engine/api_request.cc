#include "tools/engine/api_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "tools/engine/chat_template.h"
#include "tools/engine/tokenizer.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

// of values in values; what is deeper is refused before anything recurses into it
constexpr size_t kMaxDepth = 64;

bool IsDeep(std::string_view text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char byte = text[i];
    if (quoted) {
      if (byte == '\\') ++i;
      quoted = byte != '"';
    } else if (byte == '"') {
      quoted = true;
    } else if (byte == '[' || byte == '{') {
      if (++depth > kMaxDepth) return true;
    } else if ((byte == ']' || byte == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

absl::StatusOr<Json> ParseBody(std::string_view text) {
  if (IsDeep(text)) return InvalidArgument("body: values are nested deeper than {}", kMaxDepth);
  Json body = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (body.is_discarded()) return InvalidArgument("body: not JSON");
  if (!body.is_object()) return InvalidArgument("body: not a JSON object");
  return body;
}

// nullptr: absent or null.
const Json* Find(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

absl::Status ReadText(const Json& object, const char* field, std::string* text) {
  const Json* const found = Find(object, field);
  if (found == nullptr) return absl::OkStatus();
  if (!found->is_string()) return InvalidArgument("{}: not text", field);
  *text = found->get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadBool(const Json& object, const char* field, bool* value) {
  const Json* const found = Find(object, field);
  if (found == nullptr) return absl::OkStatus();
  if (!found->is_boolean()) return InvalidArgument("{}: neither true nor false", field);
  *value = found->get<bool>();
  return absl::OkStatus();
}

absl::Status ReadCount(const Json& object, const char* field, std::optional<uint32_t>* value) {
  const Json* const found = Find(object, field);
  if (found == nullptr) return absl::OkStatus();
  if (!found->is_number_unsigned() || found->get<uint64_t>() < 1 ||
      found->get<uint64_t>() > limits::kMaxPromptTokens) {
    return InvalidArgument("{}: not a number from 1 to {}", field, limits::kMaxPromptTokens);
  }
  *value = found->get<uint32_t>();
  return absl::OkStatus();
}

absl::Status ReadIds(const Json& list, const char* field, std::vector<TokenId>* ids) {
  ids->reserve(list.size());
  for (const Json& id : list) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > UINT32_MAX) {
      return InvalidArgument("{}: not all are token ids", field);
    }
    ids->push_back(id.get<TokenId>());
  }
  return absl::OkStatus();
}

// A text as vLLM and SGLang tokenize it for completions: with the token that begins it.
std::vector<TokenId> IdsOf(const std::string& text, bool add_special_tokens) {
  std::vector<TokenId> ids;
  if (add_special_tokens) ids.push_back(static_cast<TokenId>(SpecialToken::kBeginOfText));
  Tokenizer::Append(text, &ids);
  return ids;
}

// One of the four forms: a text, texts, ids, lists of ids.
absl::Status ReadPrompts(const Json& object, const char* field, ApiRequest* request) {
  const Json* const prompt = Find(object, field);
  if (prompt == nullptr) return InvalidArgument("{}: is missing", field);
  request->inside_text = true;
  if (prompt->is_string()) {
    request->prompts.push_back(IdsOf(prompt->get_ref<const std::string&>(), true));
    return absl::OkStatus();
  }
  if (!prompt->is_array() || prompt->empty()) {
    return InvalidArgument("{}: neither text nor token ids", field);
  }
  if (prompt->front().is_number()) return ReadIds(*prompt, field, &request->prompts.emplace_back());
  for (const Json& one : *prompt) {
    if (one.is_string()) {
      request->prompts.push_back(IdsOf(one.get_ref<const std::string&>(), true));
    } else if (one.is_array()) {
      KVROUTE_RETURN_IF_ERROR(ReadIds(one, field, &request->prompts.emplace_back()));
    } else {
      return InvalidArgument("{}: neither text nor token ids", field);
    }
  }
  return absl::OkStatus();
}

absl::Status ReadModel(const Json& body, const ServedModels& models, ApiRequest* request) {
  KVROUTE_RETURN_IF_ERROR(ReadText(body, "model", &request->model));
  if (request->model.empty()) request->model = models.base;  // as both engines do
  if (!models.Has(request->model)) {
    return Error(absl::StatusCode::kNotFound, "The model `{}` does not exist.", request->model);
  }
  if (request->model != models.base) request->lora_name = request->model;
  return absl::OkStatus();
}

absl::Status ReadStreaming(const Json& body, ApiRequest* request) {
  KVROUTE_RETURN_IF_ERROR(ReadBool(body, "stream", &request->stream));
  const Json* const options = Find(body, "stream_options");
  if (options == nullptr) return absl::OkStatus();
  if (!options->is_object()) return InvalidArgument("stream_options: not an object");
  request->stream_options = options->dump();
  KVROUTE_RETURN_IF_ERROR(ReadBool(*options, "include_usage", &request->include_usage));
  return ReadBool(*options, "continuous_usage_stats", &request->continuous_usage);
}

absl::Status ReadChat(const Json& body, ApiRequest* request) {
  const absl::StatusOr<std::string> text = RenderChat(body);
  if (!text.ok()) return text.status();
  request->prompts.push_back(IdsOf(*text, false));
  KVROUTE_RETURN_IF_ERROR(ReadCount(body, "max_tokens", &request->max_tokens));
  return ReadCount(body, "max_completion_tokens", &request->max_tokens);
}

absl::Status ReadSglangGenerate(const Json& body, ApiRequest* request) {
  const bool by_ids = Find(body, "input_ids") != nullptr;
  KVROUTE_RETURN_IF_ERROR(ReadPrompts(body, by_ids ? "input_ids" : "text", request));
  KVROUTE_RETURN_IF_ERROR(ReadText(body, "extra_key", &request->cache_salt));
  const Json* const sampling = Find(body, "sampling_params");
  if (sampling == nullptr || !sampling->is_object()) return absl::OkStatus();
  return ReadCount(*sampling, "max_new_tokens", &request->max_tokens);
}

absl::Status ReadGenerate(const Json& body, ApiRequest* request) {
  const Json* const ids = Find(body, "token_ids");
  if (ids == nullptr || !ids->is_array()) return InvalidArgument("token_ids: not a list");
  KVROUTE_RETURN_IF_ERROR(ReadIds(*ids, "token_ids", &request->prompts.emplace_back()));
  const Json* const sampling = Find(body, "sampling_params");
  if (sampling == nullptr || !sampling->is_object()) return absl::OkStatus();
  return ReadCount(*sampling, "max_tokens", &request->max_tokens);
}

absl::Status ReadPromptOf(const Json& body, ApiRequest* request) {
  switch (request->api) {
    case EngineCall::kChat:
      return ReadChat(body, request);
    case EngineCall::kCompletions:
      KVROUTE_RETURN_IF_ERROR(ReadPrompts(body, "prompt", request));
      return ReadCount(body, "max_tokens", &request->max_tokens);
    case EngineCall::kGenerate:
      return ReadGenerate(body, request);
    case EngineCall::kSglangGenerate:
      return ReadSglangGenerate(body, request);
  }
  return absl::OkStatus();
}

absl::Status CheckLengths(const ApiRequest& request, const ServedModels& models) {
  for (const std::vector<TokenId>& prompt : request.prompts) {
    if (prompt.empty()) return InvalidArgument("prompt: is empty");
    const uint64_t all = prompt.size() + uint64_t{request.max_tokens.value_or(1)};
    if (all <= models.max_model_tokens) continue;
    return InvalidArgument(
        "This model's maximum context length is {} tokens. However, you requested {} tokens ({} in "
        "the prompt).",
        models.max_model_tokens, all, prompt.size());
  }
  return absl::OkStatus();
}

}  // namespace

bool ServedModels::Has(std::string_view model) const {
  return model == base || std::find(adapters.begin(), adapters.end(), model) != adapters.end();
}

absl::StatusOr<ApiRequest> ReadApiRequest(EngineCall api, std::string_view text,
                                          const ServedModels& models) {
  const absl::StatusOr<Json> body = ParseBody(text);
  if (!body.ok()) return body.status();
  ApiRequest request{.api = api};
  std::optional<uint32_t> choices;
  KVROUTE_RETURN_IF_ERROR(ReadModel(*body, models, &request));
  KVROUTE_RETURN_IF_ERROR(ReadText(*body, "cache_salt", &request.cache_salt));
  KVROUTE_RETURN_IF_ERROR(ReadStreaming(*body, &request));
  KVROUTE_RETURN_IF_ERROR(ReadBool(*body, "ignore_eos", &request.ignore_eos));
  KVROUTE_RETURN_IF_ERROR(ReadCount(*body, "n", &choices));
  if (choices.value_or(1) != 1) return InvalidArgument("n: only 1 is simulated");
  KVROUTE_RETURN_IF_ERROR(ReadPromptOf(*body, &request));
  KVROUTE_RETURN_IF_ERROR(CheckLengths(request, models));
  return request;
}

absl::StatusOr<TokenizeRequest> ReadTokenizeRequest(std::string_view text,
                                                    const ServedModels& models) {
  const absl::StatusOr<Json> body = ParseBody(text);
  if (!body.ok()) return body.status();
  ApiRequest asked;
  KVROUTE_RETURN_IF_ERROR(ReadModel(*body, models, &asked));
  const Json* const prompt = Find(*body, "prompt");
  const Json* const messages = Find(*body, "messages");
  if ((prompt == nullptr) == (messages == nullptr)) {
    return InvalidArgument("prompt: exactly one of prompt and messages must be given");
  }
  TokenizeRequest request;
  bool special = messages == nullptr;
  KVROUTE_RETURN_IF_ERROR(ReadBool(*body, "add_special_tokens", &special));
  if (messages != nullptr) {
    const absl::StatusOr<std::string> rendered = RenderChat(*body);
    if (!rendered.ok()) return rendered.status();
    request.prompts.push_back(IdsOf(*rendered, special));
    return request;
  }
  request.is_list = prompt->is_array();
  if (prompt->is_string()) {
    request.prompts.push_back(IdsOf(prompt->get_ref<const std::string&>(), special));
    return request;
  }
  if (!request.is_list || prompt->empty()) {
    return InvalidArgument("prompt: neither text nor a list of texts");
  }
  for (const Json& one : *prompt) {
    if (!one.is_string()) return InvalidArgument("prompt: neither text nor a list of texts");
    request.prompts.push_back(IdsOf(one.get_ref<const std::string&>(), special));
  }
  return request;
}

}  // namespace kvroute
