#include "router/prompt/request_body.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "router/prompt/body_fields.h"
#include "router/prompt/json_text.h"
#include "router/prompt/multimodal_features.h"
#include "router/prompt/token_list.h"

namespace kvroute {
namespace {

constexpr auto kSuffixes = std::to_array<std::pair<std::string_view, Api>>({
    {"/v1/completions", Api::kCompletions},
    {"/v1/chat/completions", Api::kChat},
    {"/v1/responses", Api::kResponses},
    {"/v1/conversations", Api::kResponses},
    {"/v1/messages", Api::kMessages},
    {"/v1/messages/count_tokens", Api::kCountTokens},
    {"/v1/embeddings", Api::kEmbeddings},
    {"/inference/v1/generate", Api::kVllmGenerate},
    {"/generate", Api::kSglangGenerate},
});

// Bytes that begin what gzip and zstd make; no JSON begins so.
bool LooksCompressed(std::string_view text) {
  return text.starts_with("\x1f\x8b") || text.starts_with("\x28\xb5\x2f\xfd");
}

// What is read of one body, once its fields are known.
class BodyReading {
 public:
  BodyReading(BodyFields* fields, RequestBody* body) : fields_(*fields), body_(*body) {}

  // What is known of a body even if its prompt is not.
  void ReadTerms() {
    body_.raw_model = fields_[BodyField::kModel];
    for (const BodyField field :
         {BodyField::kMaxTokens, BodyField::kMaxCompletionTokens, BodyField::kMaxOutputTokens,
          BodyField::kSamplingMaxTokens, BodyField::kSamplingMaxNewTokens}) {
      // Each API has one of them, but for chat, where the second counts.
      const std::optional<uint32_t> tokens = JsonUint32(fields_[field]);
      if (tokens.has_value()) body_.max_output_tokens = tokens;
    }
    body_.stream = fields_[BodyField::kStream] == "true";
  }

  bool ReadPrompt() {
    if (!ReadText(BodyField::kModel, limits::kMaxModelBytes, &body_.model) || !ReadNamespace()) {
      return false;
    }
    const std::string_view token_data = fields_[BodyField::kNvextTokenData];
    if (!token_data.empty()) return ReadTokens(BodyField::kNvextTokenData, token_data);
    switch (body_.api) {
      case Api::kVllmGenerate:
        return ReadTokens(BodyField::kTokenIds, fields_[BodyField::kTokenIds]) && ReadFeatures();
      case Api::kSglangGenerate:
        if (const std::string_view ids = fields_[BodyField::kInputIds]; !ids.empty()) {
          return ReadPrompts(BodyField::kInputIds, ids);
        }
        return ReadPrompts(BodyField::kText, fields_[BodyField::kText]);
      case Api::kCompletions:
        return ReadPrompts(BodyField::kPrompt, fields_[BodyField::kPrompt]);
      case Api::kResponses:
        return ReadResponses();
      default:
        return ReadMessages();
    }
  }

 private:
  bool Refuse(Unscored unscored, std::string detail) {
    body_.unscored = unscored;
    body_.detail = OneLine(detail);
    body_.token_ids.clear();
    body_.multimodal.clear();
    return false;
  }
  bool WrongType(BodyField field, std::string_view wanted) {
    return Refuse(Unscored::kWrongType,
                  fmt::format("{}: must be {}", BodyFieldName(field), wanted));
  }
  bool NoPrompt(BodyField field) {
    return Refuse(Unscored::kNoPrompt, fmt::format("{}: missing or empty", BodyFieldName(field)));
  }

  bool ReadText(BodyField field, size_t max_bytes, std::string* text) {
    const std::string_view raw = fields_[field];
    if (raw.empty()) return true;
    // An escape of one byte has six.
    if (IsJsonString(raw) && raw.size() > 6 * max_bytes + 2) return TooLong(field, max_bytes);
    if (!UnescapeJsonString(raw, text)) {
      text->clear();
      return WrongType(field, "a string of valid characters");
    }
    if (text->size() <= max_bytes) return true;
    text->clear();
    return TooLong(field, max_bytes);
  }
  bool TooLong(BodyField field, size_t max_bytes) {
    return Refuse(Unscored::kFieldLimit,
                  fmt::format("{}: above {} bytes", BodyFieldName(field), max_bytes));
  }

  // The first salt that is not empty counts: nvext's, the body's own, SGLang's.
  bool ReadNamespace() {
    if (!ReadText(BodyField::kLoraPath, limits::kMaxNamespaceBytes, &body_.lora_name)) return false;
    for (const BodyField field :
         {BodyField::kNvextCacheSalt, BodyField::kCacheSalt, BodyField::kExtraKey}) {
      if (field == BodyField::kExtraKey && body_.api != Api::kSglangGenerate) continue;
      if (!ReadText(field, limits::kMaxNamespaceBytes, &body_.cache_salt)) return false;
      if (!body_.cache_salt.empty()) break;
    }
    return true;
  }

  bool ReadTokens(BodyField field, std::string_view raw) {
    if (raw.empty()) return NoPrompt(field);
    if (fields_.TakeTokens(raw, &body_.token_ids)) return true;
    switch (ReadTokenIds(raw, limits::kMaxPromptTokens, &body_.token_ids)) {
      case TokenList::kOk:
        break;
      case TokenList::kNotIntegers:
        return WrongType(field, "a list of token ids");
      case TokenList::kTooMany:
        return Refuse(
            Unscored::kFieldLimit,
            fmt::format("{}: above {} tokens", BodyFieldName(field), limits::kMaxPromptTokens));
    }
    return body_.token_ids.empty() ? NoPrompt(field) : true;
  }

  // Text, a list of texts, tokens, or a list of lists of them.
  bool ReadPrompts(BodyField field, std::string_view raw) {
    if (raw.empty() || raw == "\"\"") return NoPrompt(field);
    body_.raw_prompt = raw;
    if (IsJsonString(raw)) {
      body_.raw_longest = raw;
      body_.prompt_count = 1;
      return true;
    }
    if (!IsJsonArray(raw)) return WrongType(field, "text, token ids, or a list of either");
    const std::string_view inside = TrimJson(raw.substr(1));
    if (inside.starts_with('"') || inside.starts_with('[')) return ReadSeveral(field, raw);
    body_.prompt_count = 1;
    return ReadTokens(field, raw) && Truncate();
  }

  // vLLM drops what is beyond so many tokens at the end from the beginning of the prompt; -1 means
  // the model's own limit, beyond which it would refuse the prompt.
  bool Truncate() {
    const std::optional<uint32_t> kept = JsonUint32(fields_[BodyField::kTruncatePromptTokens]);
    if (!kept.has_value() || *kept == 0 || *kept >= body_.token_ids.size()) return true;
    body_.token_ids.erase(body_.token_ids.begin(), body_.token_ids.end() - *kept);
    return true;
  }

  bool ReadSeveral(BodyField field, std::string_view raw) {
    JsonCursor prompts(raw);
    std::string_view prompt;
    const char kind = TrimJson(raw.substr(1)).front();
    std::vector<TokenId> tokens;
    while (prompts.NextElement(&prompt)) {
      if (prompt.front() != kind) return WrongType(field, "of one type");
      ++body_.prompt_count;
      if (kind == '"') {
        if (prompt.size() > body_.raw_longest.size()) body_.raw_longest = prompt;
        continue;
      }
      tokens.swap(body_.token_ids);  // the longest so far
      if (!ReadOneOfSeveral(field, prompt)) return false;
      if (body_.token_ids.size() < tokens.size()) tokens.swap(body_.token_ids);
    }
    if (!prompts.ok()) return Refuse(Unscored::kNotJson, "prompt: no list");
    const bool empty = kind == '"' ? body_.raw_longest.size() <= 2 : body_.token_ids.empty();
    return empty ? NoPrompt(field) : true;
  }
  bool ReadOneOfSeveral(BodyField field, std::string_view raw) {
    return TrimJson(raw.substr(1)) == "]" ? (body_.token_ids.clear(), true)
                                          : ReadTokens(field, raw);
  }

  bool ReadFeatures() {
    std::string detail;
    if (ReadMultimodalFeatures(fields_[BodyField::kMmHashes], fields_[BodyField::kMmPlaceholders],
                               body_.token_ids.size(), &body_.multimodal, &detail)) {
      return true;
    }
    return Refuse(Unscored::kMultimodal, std::move(detail));
  }

  bool ReadResponses() {
    for (const BodyField field : {BodyField::kPreviousResponseId, BodyField::kConversation}) {
      if (fields_[field].empty() || fields_[field] == "\"\"") continue;
      return Refuse(Unscored::kHistory, fmt::format("{}: the prompt's beginning is not in the body",
                                                    BodyFieldName(field)));
    }
    body_.raw_system = fields_[BodyField::kInstructions];
    return ReadConversation(BodyField::kInput);
  }
  bool ReadMessages() {
    body_.raw_system = fields_[BodyField::kSystem];
    return ReadConversation(BodyField::kMessages);
  }

  bool ReadConversation(BodyField field) {
    const std::string_view raw = fields_[field];
    if (raw.empty() || raw == "\"\"") return NoPrompt(field);
    const bool is_text = IsJsonString(raw) && field == BodyField::kInput;
    if (!is_text && !IsJsonArray(raw)) return WrongType(field, "a list");
    if (IsJsonArray(raw) && TrimJson(raw.substr(1)) == "]") return NoPrompt(field);
    body_.raw_prompt = raw;
    body_.raw_longest = raw;
    body_.prompt_count = 1;
    return true;
  }

  BodyFields& fields_;
  RequestBody& body_;
};

void ReadTemplateFields(const BodyFields& fields, RequestBody* body) {
  body->raw_tools = fields[BodyField::kTools];
  body->raw_documents = fields[BodyField::kDocuments];
  body->raw_chat_template = fields[BodyField::kChatTemplate];
  body->raw_chat_template_kwargs = fields[BodyField::kChatTemplateKwargs];
  body->raw_mm_processor_kwargs = fields[BodyField::kMmProcessorKwargs];
  body->raw_add_generation_prompt = fields[BodyField::kAddGenerationPrompt];
  body->raw_continue_final_message = fields[BodyField::kContinueFinalMessage];
  body->raw_add_special_tokens = fields[BodyField::kAddSpecialTokens];
  body->raw_output_config = fields[BodyField::kOutputConfig];
  body->raw_truncate_prompt_tokens = fields[BodyField::kTruncatePromptTokens];
}

// Memory is kept, but for what an unusually long prompt took.
void ClearBody(RequestBody* body) {
  std::vector<TokenId> tokens = std::move(body->token_ids);
  std::vector<MultimodalInput> inputs = std::move(body->multimodal);
  tokens.clear();
  inputs.clear();
  if (tokens.capacity() > RequestBody::kKeptTokens) std::vector<TokenId>().swap(tokens);
  *body = RequestBody();
  body->token_ids = std::move(tokens);
  body->multimodal = std::move(inputs);
}

// kNo: the body must be read to know.
Unscored UnscoredUnread(const RequestHead& head, std::string_view text) {
  if (text.empty()) return Unscored::kEmpty;
  const std::string_view encoding = TrimJson(head.content_encoding);
  if ((!encoding.empty() && encoding != "identity") || LooksCompressed(text)) {
    return Unscored::kCompressed;
  }
  return text.size() > limits::kMaxScoredBodyBytes ? Unscored::kTooLarge : Unscored::kNo;
}

std::string_view DetailOf(Unscored unscored) {
  switch (unscored) {
    case Unscored::kPath:
      return "path: no API with a prompt";
    case Unscored::kNoReuse:
      return "path: an API whose prompts are not cached";
    case Unscored::kEmpty:
      return "body: empty";
    case Unscored::kCompressed:
      return "body: compressed; it is routed without being read";
    default:
      return "body: above kMaxScoredBodyBytes";
  }
}

}  // namespace

Api ApiOfPath(std::string_view path) {
  path = path.substr(0, path.find_first_of("?#"));
  Api api = Api::kOther;
  size_t longest = 0;
  for (const auto& [suffix, of] : kSuffixes) {
    if (suffix.size() <= longest || !path.ends_with(suffix)) continue;
    longest = suffix.size();
    api = of;
  }
  return api;
}

class RequestBodyReader::Parser {
 public:
  void Read(const RequestHead& head, const PaddedText& text, RequestBody* body) {
    ClearBody(body);
    body->api = ApiOfPath(head.path);
    body->unscored = UnscoredUnread(head, text.view());
    if (body->unscored != Unscored::kNo) return Explain(body);
    std::string fault;
    const Unscored unread = fields_.Read(text, &fault);
    BodyReading reading(&fields_, body);
    reading.ReadTerms();
    ReadTemplateFields(fields_, body);
    reading.ReadPrompt();
    if (unread != Unscored::kNo) {
      Withhold(unread, OneLine(fault), body);
    } else if (body->api == Api::kOther) {
      Withhold(Unscored::kPath, {}, body);
    } else if (body->api == Api::kEmbeddings || body->api == Api::kCountTokens) {
      Withhold(Unscored::kNoReuse, {}, body);
    }
  }

 private:
  static void Explain(RequestBody* body) {
    if (body->unscored != Unscored::kNo && body->detail.empty()) {
      body->detail = DetailOf(body->unscored);
    }
  }
  // What was read of the prompt is not used.
  static void Withhold(Unscored unscored, std::string detail, RequestBody* body) {
    body->unscored = unscored;
    body->detail = std::move(detail);
    body->token_ids.clear();
    body->multimodal.clear();
    Explain(body);
  }

  BodyFields fields_;
};

RequestBodyReader::RequestBodyReader() : parser_(std::make_unique<Parser>()) {}
RequestBodyReader::~RequestBodyReader() = default;
RequestBodyReader::RequestBodyReader(RequestBodyReader&&) noexcept = default;
RequestBodyReader& RequestBodyReader::operator=(RequestBodyReader&&) noexcept = default;

void RequestBodyReader::Read(const RequestHead& head, const PaddedText& text, RequestBody* body) {
  parser_->Read(head, text, body);
}

void ParseRequestBody(const RequestHead& head, const PaddedText& text, RequestBody* body) {
  RequestBodyReader().Read(head, text, body);
}

}  // namespace kvroute
