#include "router/prompt/render/anthropic_chat.h"

#include <fmt/core.h>

#include <memory>
#include <vector>

#include "router/prompt/json_text.h"

namespace kvroute {
namespace {

// Claude Code puts a value of each request's own here; engines drop it for the cache's sake.
constexpr std::string_view kBillingHeader = "\"x-anthropic-billing-header";

struct AnthropicBlock {
  std::string_view type, text, source, thinking, id, name, input, content, tool_use_id;

  bool Read(std::string_view raw) {
    return ReadJsonFields(raw, {{"type", &type},
                                {"text", &text},
                                {"source", &source},
                                {"thinking", &thinking},
                                {"id", &id},
                                {"name", &name},
                                {"input", &input},
                                {"content", &content},
                                {"tool_use_id", &tool_use_id}});
  }
  std::string_view kind() const { return InsideJsonString(type); }
  bool has_text() const { return text.size() > 2; }
};

// A list of raw values as it grows.
class RawList {
 public:
  void Add(std::string_view raw) {
    text_ += text_.empty() ? "[" : ",";
    text_ += raw;
    ++count_;
  }
  bool empty() const { return count_ == 0; }
  std::string Text() const { return text_.empty() ? "[]" : text_ + "]"; }

 private:
  std::string text_;
  size_t count_ = 0;
};

std::string_view OrEmptyText(std::string_view raw) { return raw.empty() ? "\"\"" : raw; }

bool ImageUrl(std::string_view raw_source, std::string* raw_url) {
  std::string_view type, url, media_type, data;
  if (!ReadJsonFields(
          raw_source,
          {{"type", &type}, {"url", &url}, {"media_type", &media_type}, {"data", &data}})) {
    return false;
  }
  if (type == "\"url\"") {
    *raw_url = OrEmptyText(url);
    return true;
  }
  if (media_type.empty()) media_type = "\"image/jpeg\"";
  *raw_url =
      fmt::format("\"data:{};base64,{}\"", InsideJsonString(media_type), InsideJsonString(data));
  return true;
}

std::string ImagePart(std::string_view raw_url) {
  return fmt::format(R"({{"type":"image_url","image_url":{{"url":{}}}}})", raw_url);
}

class AnthropicConversion {
 public:
  explicit AnthropicConversion(std::string* detail) : detail_(*detail) {}

  bool Convert(const RequestBody& body, AnthropicChat* chat) {
    if (!ReadSystem(body) || !ReadMessages(body.raw_prompt)) return false;
    chat->messages = messages_.Text();
    return ReadTools(body.raw_tools, &chat->tools) &&
           ReadEffort(body.raw_output_config, &chat->reasoning_effort);
  }

 private:
  // One message of the conversation.
  struct Message {
    std::string_view role;
    std::string parts;  // JSON parts, joined by commas
    size_t part_count = 0;
    std::string_view only_text;  // of the part, while there is one alone and it is text
    RawList tool_calls;
    std::string reasoning;  // inside of a raw string
    bool has_reasoning = false;

    void AddText(std::string_view raw) {
      only_text = raw;
      AddPart(fmt::format(R"({{"type":"text","text":{}}})", raw));
      if (part_count > 1) only_text = {};
    }
    void AddPart(std::string_view part) {
      if (part_count++ > 0) {
        parts += ',';
        only_text = {};
      }
      parts += part;
    }
  };

  bool Fail(std::string_view what) {
    detail_ = what;
    return false;
  }

  // What stands first: the body's own system text, then that of system messages among the others.
  bool ReadSystem(const RequestBody& body) {
    std::string inside;
    if (!body.raw_system.empty() && !AppendSystemText(body.raw_system, &inside)) return false;
    JsonCursor messages(body.raw_prompt);
    std::string_view message;
    while (messages.NextElement(&message)) {
      std::string_view role, content;
      ReadJsonFields(message, {{"role", &role}, {"content", &content}});
      if (role == "\"system\"" && !AppendSystemText(content, &inside)) return false;
    }
    if (!inside.empty()) messages_.Add(R"({"role":"system","content":")" + inside + "\"}");
    return true;
  }

  bool AppendSystemText(std::string_view raw, std::string* inside) {
    if (IsJsonString(raw)) {
      *inside += InsideJsonString(raw);
      return true;
    }
    JsonCursor blocks(raw);
    std::string_view raw_block;
    while (blocks.NextElement(&raw_block)) {
      AnthropicBlock block;
      if (!block.Read(raw_block)) return Fail("system: a block is no object");
      if (block.kind() != "text" || block.text.starts_with(kBillingHeader)) continue;
      *inside += InsideJsonString(block.text);
    }
    return blocks.ok() ? true : Fail("system: neither text nor a list of blocks");
  }

  bool ReadMessages(std::string_view raw) {
    JsonCursor messages(raw);
    std::string_view message;
    while (messages.NextElement(&message)) {
      if (!ReadMessage(message)) return false;
    }
    return messages.ok() ? true : Fail("messages: no list");
  }

  bool ReadMessage(std::string_view raw) {
    std::string_view content;
    Message message;
    if (!ReadJsonFields(raw, {{"role", &message.role}, {"content", &content}}) ||
        !IsJsonString(message.role)) {
      return Fail("messages: one has no role");
    }
    if (message.role == "\"system\"") return true;
    if (IsJsonString(content)) {
      messages_.Add(fmt::format(R"({{"role":{},"content":{}}})", message.role, content));
      return true;
    }
    JsonCursor blocks(content);
    std::string_view raw_block;
    while (blocks.NextElement(&raw_block)) {
      AnthropicBlock block;
      if (!block.Read(raw_block)) return Fail("content: a block is no object");
      if (!ReadBlock(block, &message)) return false;
    }
    if (!blocks.ok()) return Fail("content: neither text nor a list of blocks");
    AddMessage(message);
    return true;
  }

  bool ReadBlock(const AnthropicBlock& block, Message* message) {
    const std::string_view kind = block.kind();
    if (kind == "text") {
      if (block.has_text()) message->AddText(block.text);
    } else if (kind == "image") {
      std::string url;
      if (!ImageUrl(block.source, &url)) return Fail("content: an image has no source");
      message->AddPart(ImagePart(url));
    } else if (kind == "thinking") {
      message->has_reasoning |= IsJsonString(block.thinking);
      message->reasoning += InsideJsonString(block.thinking);
    } else if (kind == "tool_use") {
      return AddToolUse(block, message);
    } else if (kind == "tool_result") {
      return message->role == "\"user\"" ? AddUserToolResult(block) : AddToolResult(block, message);
    } else if (kind != "redacted_thinking" && kind != "tool_reference") {
      return Fail("content: a block of a type that is not known");
    }
    return true;
  }

  bool AddToolUse(const AnthropicBlock& block, Message* message) {
    std::string python;
    if (!AppendPythonJson(block.input.empty() ? "{}" : block.input, &python)) {
      return Fail("content: the input of a tool_use is too deep");
    }
    std::string arguments;
    AppendJsonString(python, &arguments);
    message->tool_calls.Add(
        fmt::format(R"({{"id":{},"type":"function","function":{{"name":{},"arguments":{}}}}})",
                    OrEmptyText(block.id), OrEmptyText(block.name), arguments));
    return true;
  }

  // In a message that is not the user's.
  bool AddToolResult(const AnthropicBlock& block, Message* message) {
    if (!block.content.empty() && !IsJsonString(block.content)) {
      return Fail("content: a tool_result of the assistant that is no text");
    }
    kept_.push_back(std::make_unique<std::string>(
        "\"Tool result: " + std::string(InsideJsonString(block.content)) + "\""));
    message->AddText(*kept_.back());
    return true;
  }

  // Goes before the message that it stands in.
  bool AddUserToolResult(const AnthropicBlock& block) {
    std::string text;  // inside of a raw string
    RawList images;
    RawList references;
    if (IsJsonString(block.content)) {
      text = InsideJsonString(block.content);
    } else if (!block.content.empty() &&
               !ReadToolContent(block.content, &text, &images, &references)) {
      return false;
    }
    const std::string_view id = OrEmptyText(block.tool_use_id);
    messages_.Add(fmt::format(R"({{"role":"tool","tool_call_id":{},"content":"{}"}})", id, text));
    if (!images.empty()) {
      messages_.Add(fmt::format(R"({{"role":"user","content":{}}})", images.Text()));
    }
    if (!references.empty()) {
      messages_.Add(fmt::format(R"({{"role":"tool","tool_call_id":{},"content":{}}})", id,
                                references.Text()));
    }
    return true;
  }

  bool ReadToolContent(std::string_view raw, std::string* text, RawList* images,
                       RawList* references) {
    JsonCursor items(raw);
    std::string_view item;
    bool first = true;
    while (items.NextElement(&item)) {
      std::string_view type, item_text, source, tool_name, name;
      if (!IsJsonObject(item)) continue;
      ReadJsonFields(item, {{"type", &type},
                            {"text", &item_text},
                            {"source", &source},
                            {"tool_name", &tool_name},
                            {"name", &name}});
      if (type == "\"text\"") {
        if (!first) *text += "\\n";
        first = false;
        *text += InsideJsonString(item_text);
      } else if (type == "\"image\"") {
        std::string url;
        if (!ImageUrl(source, &url)) return Fail("content: an image has no source");
        if (url.size() > 2) images->Add(ImagePart(url));
      } else if (type == "\"tool_reference\"") {
        const std::string_view referred = tool_name.size() > 2 ? tool_name : name;
        if (referred.size() > 2) {
          references->Add(fmt::format(R"({{"type":"tool_reference","name":{}}})", referred));
        }
      }
    }
    return items.ok() ? true : Fail("content: a tool_result is neither text nor a list");
  }

  void AddMessage(const Message& message) {
    std::string text = fmt::format(R"({{"role":{})", message.role);
    if (message.has_reasoning) text += fmt::format(R"(,"reasoning":"{}")", message.reasoning);
    if (!message.tool_calls.empty()) {
      text += fmt::format(R"(,"tool_calls":{})", message.tool_calls.Text());
    }
    if (!message.only_text.empty()) {
      text += fmt::format(R"(,"content":{})", message.only_text);
    } else if (message.part_count > 0) {
      text += fmt::format(R"(,"content":[{}])", message.parts);
    } else if (message.role == "\"user\"") {
      return;  // nothing is left of it
    }
    messages_.Add(text + "}");
  }

  bool ReadTools(std::string_view raw, std::string* tools) {
    if (raw.empty()) return true;
    RawList list;
    JsonCursor cursor(raw);
    std::string_view tool;
    while (cursor.NextElement(&tool)) {
      std::string_view name, description, schema, defer;
      if (!ReadJsonFields(tool, {{"name", &name},
                                 {"description", &description},
                                 {"input_schema", &schema},
                                 {"defer_loading", &defer}})) {
        return Fail("tools: one is no object");
      }
      std::string function = fmt::format(R"({{"name":{})", OrEmptyText(name));
      if (!description.empty()) function += fmt::format(R"(,"description":{})", description);
      if (!schema.empty()) function += fmt::format(R"(,"parameters":{})", schema);
      if (!defer.empty()) function += fmt::format(R"(,"defer_loading":{})", defer);
      list.Add(fmt::format(R"({{"type":"function","function":{}}}}})", function));
    }
    *tools = list.Text();
    return cursor.ok() ? true : Fail("tools: no list");
  }

  static bool ReadEffort(std::string_view raw_output_config, std::string* effort) {
    std::string_view raw;
    ReadJsonFields(raw_output_config, {{"effort", &raw}});
    *effort = raw;
    return true;
  }

  std::string& detail_;
  RawList messages_;
  std::vector<std::unique_ptr<std::string>> kept_;  // texts that views point into
};

}  // namespace

bool MakeAnthropicChat(const RequestBody& body, AnthropicChat* chat, std::string* detail) {
  return AnthropicConversion(detail).Convert(body, chat);
}

}  // namespace kvroute
