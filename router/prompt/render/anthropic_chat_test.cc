#include "router/prompt/render/anthropic_chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvroute {
namespace {

using testing::HasSubstr;

// The messages of a body with a system field (empty: none) and messages.
std::string Messages(const std::string& system, const std::string& messages) {
  const PaddedText text("{" + (system.empty() ? "" : "\"system\":" + system + ",") +
                        "\"messages\":[" + messages + "]}");
  RequestBody body;
  ParseRequestBody({"/v1/messages", ""}, text, &body);
  AnthropicChat chat;
  std::string detail;
  return MakeAnthropicChat(body, &chat, &detail) ? chat.messages : "refused: " + detail;
}

TEST(AnthropicChatTest, SystemTextComesFirstAndJoined) {
  const std::string user = R"({"role":"user","content":"x"})";
  EXPECT_EQ(Messages("\"be\\n\"", user),
            R"([{"role":"system","content":"be\n"},{"role":"user","content":"x"}])");
  EXPECT_EQ(
      Messages(
          R"([{"type":"text","text":"a"},{"type":"text","text":"x-anthropic-billing-header: 1"},
                         {"type":"text","text":"b","cache_control":{}}])",
          user + R"(,{"role":"system","content":[{"type":"text","text":"c"}]})"),
      R"([{"role":"system","content":"abc"},{"role":"user","content":"x"}])");
  EXPECT_EQ(Messages("\"\"", user), R"([{"role":"user","content":"x"}])");
}

TEST(AnthropicChatTest, BlocksOfTextAndImages) {
  EXPECT_EQ(Messages("", R"({"role":"user","content":[{"type":"text","text":"a"}]})"),
            R"([{"role":"user","content":"a"}])");
  EXPECT_EQ(
      Messages("",
               R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":""},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}},
        {"type":"image","source":{"type":"url","url":"http://x/y"}}]})"),
      R"([{"role":"user","content":[{"type":"text","text":"a"},)"
      R"({"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}},)"
      R"({"type":"image_url","image_url":{"url":"http://x/y"}}]}])");
}

TEST(AnthropicChatTest, ThinkingAndToolUseOfTheAssistant) {
  EXPECT_EQ(
      Messages(
          "", R"({"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
        {"type":"redacted_thinking","data":"zz"},{"type":"text","text":"ok"},
        {"type":"tool_use","id":"t1","name":"f","input":{"a":[1,2.0],"b":"\u00e9\"","c":{}}}]})"),
      R"([{"role":"assistant","reasoning":"hm","tool_calls":[{"id":"t1","type":"function",)"
      R"("function":{"name":"f","arguments":"{\"a\": [1, 2.0], \"b\": \"\\u00e9\\\"\", \"c\": {}}"}}],)"
      R"("content":"ok"}])");
  EXPECT_EQ(
      Messages("", R"({"role":"assistant","content":[{"type":"tool_result","content":"r"}]})"),
      R"([{"role":"assistant","content":"Tool result: r"}])");
}

TEST(AnthropicChatTest, ToolResultsOfTheUserStandBeforeTheirMessage) {
  EXPECT_EQ(
      Messages("", R"({"role":"user","content":[{"type":"text","text":"and?"},
        {"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"a"},
          {"type":"image","source":{"data":"QQ=="}},{"type":"text","text":"b"}]}]})"),
      R"([{"role":"tool","tool_call_id":"t1","content":"a\nb"},)"
      R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,QQ=="}}]},)"
      R"({"role":"user","content":"and?"}])");
  // A message of tool results alone leaves no message of its own.
  EXPECT_EQ(
      Messages(
          "",
          R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]})"),
      R"([{"role":"tool","tool_call_id":"t","content":"r"}])");
}

TEST(AnthropicChatTest, WhatIsNotKnownIsRefused) {
  for (
      const char* message :
      {"5", R"({"content":"x"})", R"({"role":"user"})", R"({"role":"user","content":5})",
       R"({"role":"user","content":["x"]})", R"({"role":"user","content":[{"type":"video"}]})",
       R"({"role":"user","content":[{"type":"image"}]})",
       R"({"role":"assistant","content":[{"type":"tool_result","content":[{"type":"text","text":"x"}]}]})"}) {
    EXPECT_THAT(Messages("", message), HasSubstr("refused: ")) << message;
  }
  EXPECT_THAT(Messages("5", R"({"role":"user","content":"x"})"), HasSubstr("refused: system"));
}

TEST(AnthropicChatTest, ToolsAndEffort) {
  const PaddedText text(
      R"({"messages":[{"role":"user","content":"x"}],"output_config":{"effort":"low"},
      "tools":[{"name":"f","description":"d","input_schema":{"type":"object"}},{"name":"g"}]})");
  RequestBody body;
  ParseRequestBody({"/v1/messages", ""}, text, &body);
  AnthropicChat chat;
  std::string detail;
  ASSERT_TRUE(MakeAnthropicChat(body, &chat, &detail)) << detail;
  EXPECT_EQ(
      chat.tools,
      R"([{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}},)"
      R"({"type":"function","function":{"name":"g"}}])");
  EXPECT_EQ(chat.reasoning_effort, "\"low\"");
}

std::string Python(std::string_view raw) {
  std::string out;
  return AppendPythonJson(raw, &out) ? out : "refused";
}

// What Python 3.11 prints for json.dumps(json.loads(raw)).
TEST(PythonJsonTest, AsPythonWritesIt) {
  EXPECT_EQ(Python(R"({"a" :1,"b":[ ],"c":{ }})"), R"({"a": 1, "b": [], "c": {}})");
  EXPECT_EQ(Python("[true,false,null,-0,12345678901234567890123]"),
            "[true, false, null, 0, 12345678901234567890123]");
  EXPECT_EQ(Python("[1.0,1e5,1E+2,0.1,-0.0,1e16,1.5e300,1e-7,123456789.125]"),
            "[1.0, 100000.0, 100.0, 0.1, -0.0, 1e+16, 1.5e+300, 1e-07, 123456789.125]");
  EXPECT_EQ(Python("\"\\u00e9\\ud83d\\ude00\\/\\u007f\\b\\u0001~\""),
            R"("\u00e9\ud83d\ude00/\u007f\b\u0001~")");
  EXPECT_EQ(Python(std::string(100, '[') + std::string(100, ']')), "refused");
  EXPECT_EQ(Python("[1,"), "refused");
}

}  // namespace
}  // namespace kvroute
