#include "tools/engine/chat_template.h"

#include <xxhash.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "indexer/base/error.h"
#include "tools/engine/tokenizer.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kImageTokens = 64;
constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool"};

// Bytes that are not UTF-8 cannot be in a body that was parsed.
std::string Dump(const Json& value) { return value.dump(); }

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

bool IsTrue(const Json& body, const char* field, bool otherwise) {
  const auto found = body.find(field);
  return found != body.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

// Words of six letters, one token each, which no other image has.
void AppendImage(std::string_view name, std::string* text) {
  *text += TextOf(SpecialToken::kImage);
  for (int i = 0; i < kImageTokens - 2; ++i) {
    uint64_t draw = XXH3_64bits_withSeed(name.data(), name.size(), static_cast<uint64_t>(i));
    *text += ' ';
    for (int letter = 0; letter < 6; ++letter, draw /= 26) {
      *text += static_cast<char>('a' + draw % 26);
    }
  }
  *text += TextOf(SpecialToken::kImage);
}

absl::Status AppendPart(const Json& part, size_t message, std::string* text) {
  const auto named = part.find("type");  // end() of what is no object
  const std::string type =
      named != part.end() && named->is_string() ? named->get<std::string>() : std::string();
  if (type == "text" || type == "input_text") {
    const auto found = part.find("text");
    if (found != part.end() && found->is_string()) {
      *text += found->get_ref<const std::string&>();
      return absl::OkStatus();
    }
  } else if (type == "image_url" || type == "video_url" || type == "input_audio") {
    const auto found = part.find(type);
    if (found != part.end()) {
      AppendImage(Dump(*found), text);
      return absl::OkStatus();
    }
  }
  return InvalidArgument("messages[{}].content: a part of type \"{}\" cannot be used", message,
                         type);
}

absl::StatusOr<std::string> ContentOf(const Json& message, size_t number) {
  std::string text;
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) return text;
  if (content->is_string()) return std::string(Trim(content->get_ref<const std::string&>()));
  if (!content->is_array()) {
    return InvalidArgument("messages[{}].content: neither text nor a list of parts", number);
  }
  for (const Json& part : *content) {
    KVROUTE_RETURN_IF_ERROR(AppendPart(part, number, &text));
  }
  return std::string(Trim(text));
}

void AppendHeader(std::string_view role, std::string* text) {
  *text += TextOf(SpecialToken::kStartHeader);
  *text += role;
  *text += TextOf(SpecialToken::kEndHeader);
  *text += "\n\n";
}

// What else a body says to the model, as one turn in front of the conversation.
void AppendPreamble(const Json& body, std::string* text) {
  std::string preamble;
  for (const char* field : {"tools", "documents", "chat_template_kwargs"}) {
    const auto found = body.find(field);
    if (found == body.end() || found->is_null() || found->empty()) continue;
    preamble += std::string(field) + ": " + Dump(*found) + "\n";
  }
  if (preamble.empty()) return;
  AppendHeader("environment", text);
  *text += Trim(preamble);
  *text += TextOf(SpecialToken::kEndOfTurn);
}

absl::Status AppendMessage(const Json& message, size_t number, bool open, std::string* text) {
  if (!message.is_object()) return InvalidArgument("messages[{}]: not an object", number);
  const auto role = message.find("role");
  const bool known = role != message.end() && role->is_string() &&
                     std::find(std::begin(kRoles), std::end(kRoles),
                               role->get_ref<const std::string&>()) != std::end(kRoles);
  if (!known) return InvalidArgument("messages[{}].role: not one that the template knows", number);
  const absl::StatusOr<std::string> content = ContentOf(message, number);
  if (!content.ok()) return content.status();
  AppendHeader(role->get_ref<const std::string&>(), text);
  *text += *content;
  const auto calls = message.find("tool_calls");
  if (calls != message.end() && calls->is_array() && !calls->empty()) {
    *text += TextOf(SpecialToken::kPythonTag);
    *text += Dump(*calls);
  }
  if (!open) *text += TextOf(SpecialToken::kEndOfTurn);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> RenderChat(const Json& body) {
  const auto messages = body.find("messages");
  if (messages == body.end() || !messages->is_array() || messages->empty()) {
    return InvalidArgument("messages: must be a list of one message or more");
  }
  const bool goes_on = IsTrue(body, "continue_final_message", false);
  const bool asks = IsTrue(body, "add_generation_prompt", !goes_on);
  if (goes_on && asks) {
    return InvalidArgument(
        "add_generation_prompt: cannot be true beside continue_final_message: true");
  }
  std::string text(TextOf(SpecialToken::kBeginOfText));
  AppendPreamble(body, &text);
  for (size_t i = 0; i < messages->size(); ++i) {
    const bool open = goes_on && i + 1 == messages->size();
    KVROUTE_RETURN_IF_ERROR(AppendMessage((*messages)[i], i, open, &text));
  }
  if (asks) AppendHeader("assistant", &text);
  return text;
}

}  // namespace kvroute
