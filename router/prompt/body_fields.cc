#include "router/prompt/body_fields.h"

#include <fmt/core.h>
#include <simdjson.h>

#include <bitset>
#include <cstring>
#include <optional>

#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "router/prompt/json_text.h"

namespace kvroute {
namespace {

namespace json = simdjson::ondemand;

// The parser keeps its memory, six bytes for each of a body, for bodies up to this.
constexpr size_t kKeptCapacity = size_t{2} << 20;

// A list of tokens that is worth being read for itself.
constexpr size_t kLongListBytes = 256;

// Which object a field is one of.
enum class BodyScope : uint8_t { kRoot, kNvext, kSampling, kFeatures };

struct FieldPlace {
  std::string_view name;
  BodyScope scope;
};

// In the order of BodyField.
constexpr std::array<FieldPlace, kBodyFieldCount> kFieldPlaces = {{
    {"model", BodyScope::kRoot},
    {"prompt", BodyScope::kRoot},
    {"messages", BodyScope::kRoot},
    {"input", BodyScope::kRoot},
    {"text", BodyScope::kRoot},
    {"token_ids", BodyScope::kRoot},
    {"input_ids", BodyScope::kRoot},
    {"system", BodyScope::kRoot},
    {"instructions", BodyScope::kRoot},
    {"tools", BodyScope::kRoot},
    {"documents", BodyScope::kRoot},
    {"chat_template", BodyScope::kRoot},
    {"chat_template_kwargs", BodyScope::kRoot},
    {"mm_processor_kwargs", BodyScope::kRoot},
    {"add_generation_prompt", BodyScope::kRoot},
    {"continue_final_message", BodyScope::kRoot},
    {"add_special_tokens", BodyScope::kRoot},
    {"output_config", BodyScope::kRoot},
    {"truncate_prompt_tokens", BodyScope::kRoot},
    {"previous_response_id", BodyScope::kRoot},
    {"conversation", BodyScope::kRoot},
    {"cache_salt", BodyScope::kRoot},
    {"extra_key", BodyScope::kRoot},
    {"lora_path", BodyScope::kRoot},
    {"max_tokens", BodyScope::kRoot},
    {"max_completion_tokens", BodyScope::kRoot},
    {"max_output_tokens", BodyScope::kRoot},
    {"stream", BodyScope::kRoot},
    {"token_data", BodyScope::kNvext},
    {"cache_salt", BodyScope::kNvext},
    {"max_tokens", BodyScope::kSampling},
    {"max_new_tokens", BodyScope::kSampling},
    {"mm_hashes", BodyScope::kFeatures},
    {"mm_placeholders", BodyScope::kFeatures},
}};

// kRoot: no object whose fields are read.
BodyScope ScopeInside(std::string_view name) {
  if (name == "nvext") return BodyScope::kNvext;
  if (name == "sampling_params") return BodyScope::kSampling;
  if (name == "features") return BodyScope::kFeatures;
  return BodyScope::kRoot;
}

Unscored UnscoredOf(simdjson::error_code error) {
  switch (error) {
    case simdjson::EMPTY:
      return Unscored::kEmpty;
    case simdjson::UTF8_ERROR:
      return Unscored::kNotUtf8;
    case simdjson::CAPACITY:
    case simdjson::MEMALLOC:
      return Unscored::kTooLarge;
    default:
      return Unscored::kNotJson;
  }
}

}  // namespace

std::string_view BodyFieldName(BodyField field) {
  return kFieldPlaces[static_cast<size_t>(field)].name;
}

struct BodyFields::Parser {
  json::parser json{limits::kMaxScoredBodyBytes};
};

// One pass over one body.
class BodyFields::Walk {
 public:
  Walk(BodyFields* fields, std::string* detail) : fields_(*fields), detail_(*detail) {}

  Unscored Read(const PaddedText& text) {
    fields_.raw_.fill({});
    json::document document;
    const simdjson::padded_string_view padded(text.view().data(), text.size(),
                                              text.size() + PaddedText::kPaddingBytes);
    if (const auto error = fields_.parser_->json.iterate(padded).get(document)) return Fault(error);
    json::object root;
    if (const auto error = document.get_object().get(root)) return Fault(error);
    if (const auto error = ReadObject(root, BodyScope::kRoot)) return Fault(error);
    if (unscored_ != Unscored::kNo) return unscored_;
    // What stands behind the object's end is no part of it.
    const char* end = nullptr;
    if (!document.current_location().get(end)) return Fault(simdjson::TAPE_ERROR);
    return Unscored::kNo;
  }

 private:
  Unscored Fault(simdjson::error_code error) {
    if (unscored_ != Unscored::kNo) return unscored_;
    const Unscored unscored = UnscoredOf(error);
    detail_ = fmt::format("body: {}", simdjson::error_message(error));
    return unscored;
  }
  // Ends the walk with a reason of ours.
  simdjson::error_code Refuse(Unscored unscored, std::string detail) {
    unscored_ = unscored;
    detail_ = std::move(detail);
    return simdjson::TAPE_ERROR;
  }

  simdjson::error_code ReadObject(json::object object, BodyScope scope) {
    size_t count = 0;
    for (auto result : object) {
      json::field field;
      if (const auto error = std::move(result).get(field)) return error;
      if (++count > limits::kMaxBodyFields) {
        return Refuse(Unscored::kFieldLimit, fmt::format("body: an object of more than {} fields",
                                                         limits::kMaxBodyFields));
      }
      const std::string_view name = NameOf(field.key().raw());
      if (const auto error = ReadField(name, scope, field.value())) return error;
    }
    return simdjson::SUCCESS;
  }

  // Without escapes. `key` is behind the opening quote; the parser has found the closing one.
  std::string_view NameOf(const char* key) {
    size_t size = 0;
    for (; key[size] != '"'; ++size) size += key[size] == '\\' ? 1 : 0;
    const std::string_view name(key, size);
    if (name.find('\\') == std::string_view::npos) return name;
    if (!UnescapeJsonString({key - 1, size + 2}, &unescaped_)) return {};
    return unescaped_;
  }

  simdjson::error_code ReadField(std::string_view name, BodyScope scope, json::value value) {
    for (size_t i = 0; i < kBodyFieldCount; ++i) {
      if (kFieldPlaces[i].scope != scope || kFieldPlaces[i].name != name) continue;
      if (seen_[i]) {
        return Refuse(Unscored::kRepeatedField, fmt::format("{}: given more than once", name));
      }
      seen_[i] = true;
      return TakeRaw(value, &fields_.raw_[i]);
    }
    if (scope == BodyScope::kRoot && ScopeInside(name) != BodyScope::kRoot) {
      return ReadInside(ScopeInside(name), value);
    }
    return simdjson::SUCCESS;  // passed over by the parser
  }

  simdjson::error_code ReadInside(BodyScope scope, json::value value) {
    if (seen_scope_[static_cast<size_t>(scope)]) {
      return Refuse(Unscored::kRepeatedField, "body: an object given more than once");
    }
    seen_scope_[static_cast<size_t>(scope)] = true;
    json::object object;
    if (value.get_object().get(object)) return simdjson::SUCCESS;  // null and the like
    return ReadObject(object, scope);
  }

  static simdjson::error_code TakeRaw(json::value value, std::string_view* raw) {
    json::json_type type;
    if (const auto error = value.type().get(type)) return error;
    std::string_view text;
    if (type == json::json_type::object) {
      json::object object;
      if (const auto error = value.get_object().get(object)) return error;
      if (const auto error = object.raw_json().get(text)) return error;
    } else if (type == json::json_type::array) {
      json::array array;
      if (const auto error = value.get_array().get(array)) return error;
      if (const auto error = array.raw_json().get(text)) return error;
    } else {
      text = value.raw_json_token();
    }
    text = TrimJson(text);
    if (text != "null") *raw = text;
    return simdjson::SUCCESS;
  }

  BodyFields& fields_;
  std::string& detail_;
  Unscored unscored_ = Unscored::kNo;
  std::bitset<kBodyFieldCount> seen_;
  std::bitset<4> seen_scope_;
  std::string unescaped_;
};

BodyFields::BodyFields() : parser_(std::make_unique<Parser>()) {}
BodyFields::~BodyFields() = default;

// A long list of tokens is read for itself, several times as fast as the parser steps over it.
Unscored BodyFields::Read(const PaddedText& text, std::string* detail) {
  list_ = {};
  if (tokens_.capacity() > RequestBody::kKeptTokens) std::vector<TokenId>().swap(tokens_);
  const std::optional<TokenListPlace> list =
      FindTokenList(text.view(), limits::kMaxPromptTokens, &tokens_);
  Unscored unscored;
  if (list.has_value() && list->bytes >= kLongListBytes) {
    unscored = ReadAround(text, *list, detail);
  } else {
    unscored = Walk(this, detail).Read(text);
  }
  if (parser_->json.capacity() > kKeptCapacity) parser_ = std::make_unique<Parser>();
  return unscored;
}

Unscored BodyFields::ReadAround(const PaddedText& text, TokenListPlace list, std::string* detail) {
  constexpr std::string_view kInPlace = "[]";
  const std::string_view body = text.view();
  around_.Clear();
  around_.Append(body.substr(0, list.begin));
  around_.Append(kInPlace);
  around_.Append(body.substr(list.begin + list.bytes));
  const Unscored unscored = Walk(this, detail).Read(around_);
  list_ = body.substr(list.begin, list.bytes);
  // What was found lies in the body itself.
  for (std::string_view& raw : raw_) {
    if (raw.empty()) continue;
    const auto at = static_cast<size_t>(raw.data() - around_.view().data());
    if (at == list.begin) {
      raw = list_;
    } else {
      raw = body.substr(at < list.begin ? at : at - kInPlace.size() + list.bytes, raw.size());
    }
  }
  return unscored;
}

bool BodyFields::TakeTokens(std::string_view raw, std::vector<TokenId>* tokens) {
  if (list_.empty() || raw.data() != list_.data() || raw.size() != list_.size()) return false;
  tokens->swap(tokens_);
  list_ = {};
  return true;
}

}  // namespace kvroute
