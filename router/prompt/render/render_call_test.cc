#include "router/prompt/render/render_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvroute {
namespace {

using testing::HasSubstr;

// The call made of a body, or "refused: why".
std::string CallOf(RenderPath by, std::string_view path, std::string_view json) {
  const PaddedText text(json);
  RequestBody body;
  ParseRequestBody({path, ""}, text, &body);
  EXPECT_TRUE(body.needs_render()) << body.detail;
  std::string call, detail;
  if (!MakeRenderCall(by, body, text.view(), "base \"m\"", &call, &detail)) {
    return "refused: " + detail;
  }
  return call;
}

TEST(RenderCallTest, VerbatimButForTheModel) {
  EXPECT_EQ(CallOf(RenderPath::kCompletionsRender, "/v1/completions",
                   R"( {"prompt":"a","model" : "x" ,"n":2} )"),
            R"( {"prompt":"a","model" : "base \"m\"" ,"n":2} )");
  EXPECT_EQ(CallOf(RenderPath::kResponsesRender, "/v1/responses", R"({"input":"a"})"),
            R"({"model":"base \"m\"","input":"a"})");
}

TEST(RenderCallTest, TokenizeTakesWhatItKnows) {
  EXPECT_EQ(CallOf(RenderPath::kTokenize, "/v1/completions",
                   R"({"prompt":["a","bcd"],"add_special_tokens":false,"temperature":1})"),
            R"({"model":"base \"m\"","prompt":"bcd","add_special_tokens":false})");
  EXPECT_EQ(CallOf(RenderPath::kTrtllmTokenize, "/v1/completions",
                   R"({"prompt":"a","add_special_tokens":false})"),
            R"({"model":"base \"m\"","prompt":"a"})");
  EXPECT_EQ(CallOf(RenderPath::kTokenize, "/generate", R"({"text":"a"})"),
            R"({"model":"base \"m\"","prompt":"a"})");
  EXPECT_EQ(CallOf(RenderPath::kTokenize, "/v1/chat/completions",
                   R"({"messages":[{"role":"user","content":"a"}],"tools":[1],"stop":"x",)"
                   R"("chat_template_kwargs":{"a":1},"add_generation_prompt":false})"),
            R"({"model":"base \"m\"","messages":[{"role":"user","content":"a"}],"tools":[1],)"
            R"("add_generation_prompt":false,"chat_template_kwargs":{"a":1}})");
}

TEST(RenderCallTest, WhatTokenizeCannotSayIsRefused) {
  EXPECT_THAT(CallOf(RenderPath::kTokenize, "/v1/chat/completions",
                     R"({"messages":[{"role":"user"}],"documents":[{}]})"),
              HasSubstr("refused: documents"));
  EXPECT_THAT(CallOf(RenderPath::kTokenize, "/v1/completions",
                     R"({"prompt":"a","truncate_prompt_tokens":5})"),
              HasSubstr("refused: truncate_prompt_tokens"));
}

TEST(RenderCallTest, AnthropicBecomesChat) {
  const char body[] =
      R"({"model":"x","max_tokens":7,"system":"s","messages":[{"role":"user","content":"a"}]})";
  EXPECT_EQ(CallOf(RenderPath::kChatRender, "/v1/messages", body),
            R"({"model":"base \"m\"","messages":[{"role":"system","content":"s"},)"
            R"({"role":"user","content":"a"}],"max_tokens":7})");
  EXPECT_EQ(CallOf(RenderPath::kTokenize, "/v1/messages", body),
            R"({"model":"base \"m\"","messages":[{"role":"system","content":"s"},)"
            R"({"role":"user","content":"a"}]})");
}

TEST(RenderCallTest, EveryApiWithTextHasACall) {
  for (const Api api :
       {Api::kCompletions, Api::kChat, Api::kResponses, Api::kMessages, Api::kSglangGenerate}) {
    EXPECT_FALSE(RenderPathsOf(api).empty()) << kApiNames[api];
  }
  for (const Api api : {Api::kOther, Api::kVllmGenerate, Api::kEmbeddings}) {
    EXPECT_TRUE(RenderPathsOf(api).empty()) << kApiNames[api];
  }
}

}  // namespace
}  // namespace kvroute
