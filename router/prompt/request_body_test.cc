#include "router/prompt/request_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "indexer/base/limits.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A body with the text that it views.
struct Read {
  Read(std::string_view path, std::string_view json, std::string_view encoding = "") : text(json) {
    reader.Read({path, encoding}, text, &body);
  }
  RequestBody* operator->() { return &body; }

  PaddedText text;
  RequestBodyReader reader;
  RequestBody body;
};

constexpr std::string_view kChat = "/v1/chat/completions";
constexpr std::string_view kCompletions = "/v1/completions";

TEST(ApiOfPathTest, TheLongestSuffixCounts) {
  EXPECT_EQ(ApiOfPath("/v1/completions"), Api::kCompletions);
  EXPECT_EQ(ApiOfPath("/openai/v1/chat/completions?api-version=1#x"), Api::kChat);
  EXPECT_EQ(ApiOfPath("/v1/responses"), Api::kResponses);
  EXPECT_EQ(ApiOfPath("/v1/conversations"), Api::kResponses);
  EXPECT_EQ(ApiOfPath("/v1/messages"), Api::kMessages);
  EXPECT_EQ(ApiOfPath("/v1/messages/count_tokens"), Api::kCountTokens);
  EXPECT_EQ(ApiOfPath("/v1/embeddings"), Api::kEmbeddings);
  EXPECT_EQ(ApiOfPath("/inference/v1/generate"), Api::kVllmGenerate);
  EXPECT_EQ(ApiOfPath("/generate"), Api::kSglangGenerate);
  for (const char* path : {"", "/", "/v1/models", "/v1/completions/", "/v1/completions/render",
                           "/x?/v1/completions"}) {
    EXPECT_EQ(ApiOfPath(path), Api::kOther) << path;
  }
}

TEST(RequestBodyTest, ChatIsViewedWhereItLies) {
  Read body(kChat, R"({ "model": "m/8B", "stream": true, "max_tokens": 5,
      "messages": [ {"role":"user","content":"caf\u00e9 \"x\""} ] , "max_completion_tokens": 7,
      "tools":[{"type":"function"}], "cache_salt":"s", "temperature": 0.5, "n": null})");
  EXPECT_EQ(body->unscored, Unscored::kNo) << body->detail;
  EXPECT_EQ(body->api, Api::kChat);
  EXPECT_EQ(body->model, "m/8B");
  EXPECT_EQ(body->raw_model, "\"m/8B\"");
  EXPECT_TRUE(body->stream);
  EXPECT_EQ(body->max_output_tokens, 7u);
  EXPECT_EQ(body->cache_salt, "s");
  EXPECT_EQ(body->raw_prompt, R"([ {"role":"user","content":"caf\u00e9 \"x\""} ])");
  EXPECT_EQ(body->raw_tools, R"([{"type":"function"}])");
  EXPECT_TRUE(body->needs_render());
  const char* const begin = body.text.view().data();
  EXPECT_TRUE(body->raw_prompt.data() > begin &&
              body->raw_prompt.data() < begin + body.text.size());
}

TEST(RequestBodyTest, CompletionsInFourForms) {
  Read text(kCompletions, R"({"prompt":"Hello","model":"m"})");
  EXPECT_EQ(text->raw_longest, "\"Hello\"");
  EXPECT_EQ(text->prompt_count, 1u);
  Read texts(kCompletions, R"({"prompt":["a","longest","bb"],"model":"m"})");
  EXPECT_EQ(texts->raw_longest, "\"longest\"");
  EXPECT_EQ(texts->raw_prompt, R"(["a","longest","bb"])");
  EXPECT_EQ(texts->prompt_count, 3u);
  Read tokens(kCompletions, R"({"prompt":[1,2,3],"model":"m"})");
  EXPECT_THAT(tokens->token_ids, ElementsAre(1u, 2u, 3u));
  EXPECT_FALSE(tokens->needs_render());
  for (const char* lists : {R"({"prompt":[[1],[2,3],[4]]})", R"({"prompt":[[2,3],[],[4]]})",
                            R"({"prompt":[[ ],[4],[2,3]]})"}) {
    Read several(kCompletions, lists);
    EXPECT_THAT(several->token_ids, ElementsAre(2u, 3u)) << lists;
    EXPECT_EQ(several->prompt_count, 3u);
  }
}

TEST(RequestBodyTest, TokensAreTruncatedAsTheEngineDoes) {
  const auto tokens = [](const std::string& limit) {
    return Read(kCompletions, R"({"prompt":[1,2,3],"truncate_prompt_tokens":)" + limit + "}")
        ->token_ids;
  };
  EXPECT_THAT(tokens("2"), ElementsAre(2u, 3u));
  for (const char* limit : {"3", "9", "-1", "null", "0"}) {
    EXPECT_THAT(tokens(limit), ElementsAre(1u, 2u, 3u)) << limit;
  }
}

TEST(RequestBodyTest, ResponsesAndMessages) {
  Read input("/v1/responses", R"({"input":"Hi","instructions":"be brief","max_output_tokens":9})");
  EXPECT_EQ(input->raw_prompt, "\"Hi\"");
  EXPECT_EQ(input->raw_system, "\"be brief\"");
  EXPECT_EQ(input->max_output_tokens, 9u);
  Read items("/v1/responses", R"({"input":[{"role":"user","content":"Hi"}]})");
  EXPECT_TRUE(items->needs_render());
  Read messages("/v1/messages", R"({"system":"s","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(messages->raw_system, "\"s\"");
  EXPECT_TRUE(messages->needs_render());
}

TEST(RequestBodyTest, HistoryThatIsElsewhereCannotBeScored) {
  for (const char* json : {R"({"input":"Hi","previous_response_id":"resp_1","model":"m"})",
                           R"({"input":"Hi","conversation":{"id":"c"},"model":"m"})"}) {
    Read body("/v1/responses", json);
    EXPECT_EQ(body->unscored, Unscored::kHistory) << json;
    EXPECT_EQ(body->model, "m");
  }
  Read none("/v1/responses", R"({"input":"Hi","previous_response_id":null,"conversation":null})");
  EXPECT_EQ(none->unscored, Unscored::kNo);
}

TEST(RequestBodyTest, VllmGenerateWithImages) {
  Read body("/inference/v1/generate",
            R"({"token_ids":[1,2,3,4,5,6],"features":{"kwargs_data":{"image":["AAAA",null]},
               "mm_hashes":{"audio":["h2"],"image":["h1"]},
               "mm_placeholders":{"image":[{"offset":1,"length":2,"is_embed":null}],
               "audio":[{"offset":4,"length":1}]}},
               "cache_salt":"x","sampling_params":{"max_tokens":3}})");
  EXPECT_EQ(body->unscored, Unscored::kNo) << body->detail;
  EXPECT_THAT(body->token_ids, ElementsAre(1u, 2u, 3u, 4u, 5u, 6u));
  ASSERT_EQ(body->multimodal.size(), 2u);
  EXPECT_EQ(body->multimodal[0].identifier, "h1");
  EXPECT_EQ(body->multimodal[0].offset_tokens, 1u);
  EXPECT_EQ(body->multimodal[0].length_tokens, 2u);
  EXPECT_EQ(body->multimodal[1].identifier, "h2");
  EXPECT_EQ(body->max_output_tokens, 3u);
  Read plain("/inference/v1/generate", R"({"token_ids":[1],"features":null})");
  EXPECT_EQ(plain->unscored, Unscored::kNo) << plain->detail;
}

TEST(RequestBodyTest, ImagesThatCannotBeUsed) {
  for (
      const char* features :
      {R"({"mm_hashes":{"image":["h"]}})",
       R"({"mm_hashes":{"image":[null]},"mm_placeholders":{"image":[{"offset":0,"length":1}]}})",
       R"({"mm_hashes":{"image":["h"]},"mm_placeholders":{"image":[{"offset":0,"length":4}]}})",
       R"({"mm_hashes":{"image":["h"]},"mm_placeholders":{"image":[{"offset":0,"length":0}]}})",
       R"({"mm_hashes":{"image":["h"]},"mm_placeholders":{"image":[{"offset":0,"length":1},{"offset":1,"length":1}]}})",
       R"({"mm_hashes":{"image":["a","b"]},"mm_placeholders":{"image":[{"offset":0,"length":2},{"offset":1,"length":1}]}})",
       R"({"mm_hashes":["h"],"mm_placeholders":{}})", R"({"mm_placeholders":{"image":[]}})"}) {
    Read body("/inference/v1/generate",
              std::string(R"({"token_ids":[1,2,3],"features":)") + features + "}");
    EXPECT_EQ(body->unscored, Unscored::kMultimodal) << features;
    EXPECT_THAT(body->detail, HasSubstr("features"));
    EXPECT_THAT(body->token_ids, IsEmpty());
  }
}

TEST(RequestBodyTest, SglangGenerate) {
  Read ids("/generate", R"({"input_ids":[7,8],"extra_key":"k","cache_salt":"","lora_path":"a",
                            "sampling_params":{"max_new_tokens":4}})");
  EXPECT_THAT(ids->token_ids, ElementsAre(7u, 8u));
  EXPECT_EQ(ids->cache_salt, "k");
  EXPECT_EQ(ids->lora_name, "a");
  EXPECT_EQ(ids->max_output_tokens, 4u);
  Read text("/generate", R"({"text":["a","bc"]})");
  EXPECT_EQ(text->raw_longest, "\"bc\"");
}

TEST(RequestBodyTest, TokensOfNvextComeFirst) {
  Read body(kChat, R"({"messages":[{"role":"user","content":"x"}],"cache_salt":"own",
                       "nvext":{"token_data":[5,6],"cache_salt":"nv"}})");
  EXPECT_THAT(body->token_ids, ElementsAre(5u, 6u));
  EXPECT_EQ(body->cache_salt, "nv");
  Read empty(kChat,
             R"({"messages":[{"role":"user"}],"cache_salt":"own","nvext":{"cache_salt":""}})");
  EXPECT_TRUE(empty->needs_render());
  EXPECT_EQ(empty->cache_salt, "own");
}

struct Bad {
  const char* path;
  std::string json;
  Unscored unscored;
  const char* detail;
};

TEST(RequestBodyTest, WhatCannotBeScoredSaysWhy) {
  const std::string deep = R"({"model":"m","messages":[)" + std::string(500'000, '[');
  const std::string chat = R"("messages":[{"role":"user","content":"x"}])";
  const std::vector<Bad> all = {
      {"/v1/models", "{}", Unscored::kPath, "path"},
      {"/v1/embeddings", R"({"input":"x","model":"m"})", Unscored::kNoReuse, "path"},
      {"/v1/messages/count_tokens", "{" + chat + "}", Unscored::kNoReuse, "path"},
      {"/v1/completions", "", Unscored::kEmpty, "body"},
      {"/v1/completions", " \n", Unscored::kEmpty, "body"},
      {"/v1/completions", "\x1f\x8b\x08\x01", Unscored::kCompressed, "body"},
      {"/v1/completions", "\x28\xb5\x2f\xfd\x01", Unscored::kCompressed, "body"},
      {"/v1/completions", "prompt=x", Unscored::kNotJson, "body"},
      {"/v1/completions", "[1]", Unscored::kNotJson, "body"},
      {"/v1/completions", "null", Unscored::kNotJson, "body"},
      {"/v1/completions", R"({"prompt":"x"} {})", Unscored::kNotJson, "body"},
      {"/v1/completions", R"({"prompt":"x"}})", Unscored::kNotJson, "body"},
      {"/v1/completions", R"({"prompt":"x)", Unscored::kNotJson, "body"},
      {"/v1/completions", R"({"prompt" "x"})", Unscored::kNotJson, "body"},
      {"/v1/completions", "{\"prompt\":\"x\ny\"}", Unscored::kNotJson, "body"},
      {"/v1/completions", "{\"prompt\":\"\xff\"}", Unscored::kNotUtf8, "body"},
      {"/v1/completions", "{\"prompt\":\"\xed\xa0\x80\"}", Unscored::kNotUtf8, "body"},
      {"/v1/chat/completions", deep, Unscored::kNotJson, "body"},
      {"/v1/chat/completions", "{" + chat + "," + chat + "}", Unscored::kRepeatedField, "messages"},
      {"/v1/chat/completions", R"({"model":"a","mod\u0065l":"b",)" + chat + "}",
       Unscored::kRepeatedField, "model"},
      {"/v1/chat/completions", R"({"nvext":{},"nvext":{},)" + chat + "}", Unscored::kRepeatedField,
       "body"},
      {"/v1/chat/completions", R"({"messages":"x"})", Unscored::kWrongType, "messages"},
      {"/v1/chat/completions", R"({"messages":{}})", Unscored::kWrongType, "messages"},
      {"/v1/chat/completions", R"({"messages":[]})", Unscored::kNoPrompt, "messages"},
      {"/v1/chat/completions", R"({"prompt":"x"})", Unscored::kNoPrompt, "messages"},
      {"/v1/chat/completions", R"({"model":5,)" + chat + "}", Unscored::kWrongType, "model"},
      {"/v1/chat/completions", R"({"model":"\ud800",)" + chat + "}", Unscored::kWrongType, "model"},
      {"/v1/chat/completions", R"({"cache_salt":["s"],)" + chat + "}", Unscored::kWrongType,
       "cache_salt"},
      {"/v1/completions", R"({"prompt":5})", Unscored::kWrongType, "prompt"},
      {"/v1/completions", R"({"prompt":true})", Unscored::kWrongType, "prompt"},
      {"/v1/completions", R"({"prompt":null})", Unscored::kNoPrompt, "prompt"},
      {"/v1/completions", R"({"prompt":""})", Unscored::kNoPrompt, "prompt"},
      {"/v1/completions", R"({"prompt":[]})", Unscored::kNoPrompt, "prompt"},
      {"/v1/completions", R"({"prompt":[[]]})", Unscored::kNoPrompt, "prompt"},
      {"/v1/completions", R"({"prompt":["",""]})", Unscored::kNoPrompt, "prompt"},
      {"/v1/completions", R"({"prompt":["a",[1]]})", Unscored::kWrongType, "prompt"},
      {"/v1/completions", R"({"prompt":[[1],"a"]})", Unscored::kWrongType, "prompt"},
      {"/v1/completions", R"({"prompt":[1,-2]})", Unscored::kWrongType, "prompt"},
      {"/v1/completions", R"({"prompt":[1,2.5]})", Unscored::kWrongType, "prompt"},
      {"/v1/completions", R"({"prompt":[4294967296]})", Unscored::kWrongType, "prompt"},
      {"/inference/v1/generate", R"({"prompt":"x"})", Unscored::kNoPrompt, "token_ids"},
      {"/generate", R"({"text":{}})", Unscored::kWrongType, "text"},
  };
  for (const Bad& bad : all) {
    Read body(bad.path, bad.json);
    const std::string shown = bad.json.substr(0, 80);
    EXPECT_EQ(kUnscoredNames[body->unscored], kUnscoredNames[bad.unscored]) << shown;
    EXPECT_THAT(body->detail, testing::StartsWith(bad.detail)) << shown;
    EXPECT_TRUE(IsOneLine(body->detail)) << shown;
    EXPECT_FALSE(body->needs_render());
    EXPECT_FALSE(body->has_tokens());
  }
}

TEST(RequestBodyTest, LimitsAreReasons) {
  Read model(kCompletions,
             R"({"prompt":"x","model":")" + std::string(limits::kMaxModelBytes + 1, 'm') + "\"}");
  EXPECT_EQ(model->unscored, Unscored::kFieldLimit);
  EXPECT_EQ(model->model, "");
  std::string fields = R"({"prompt":"x")";
  for (size_t i = 0; i < limits::kMaxBodyFields; ++i) fields += ",\"k\":1";
  EXPECT_EQ(Read(kCompletions, fields + "}")->unscored, Unscored::kFieldLimit);
  std::string tokens = R"({"prompt":[0)";
  for (size_t i = 0; i < limits::kMaxPromptTokens; ++i) tokens += ",1";
  EXPECT_EQ(Read(kCompletions, tokens + "]}")->unscored, Unscored::kFieldLimit);
  const std::string large(limits::kMaxScoredBodyBytes + 1, ' ');
  EXPECT_EQ(Read(kCompletions, large)->unscored, Unscored::kTooLarge);
}

TEST(RequestBodyTest, ContentEncodingDecides) {
  EXPECT_EQ(Read(kChat, "{}", "br")->unscored, Unscored::kCompressed);
  EXPECT_EQ(Read(kCompletions, R"({"prompt":"x"})", "identity")->unscored, Unscored::kNo);
}

// Half a surrogate pair in a prompt is for the renderer to judge: what it says is counted there.
TEST(RequestBodyTest, PromptsAreNotUnescaped) {
  Read body(kCompletions, R"({"prompt":"\ud800"})");
  EXPECT_EQ(body->unscored, Unscored::kNo);
  EXPECT_EQ(body->raw_longest, R"("\ud800")");
}

// However a body is cut, what is left is refused for a reason.
TEST(RequestBodyTest, CutAnywhere) {
  const std::string whole =
      R"({"model":"m","prompt":["a","b\"c"],"nvext":{"cache_salt":"x"},"n":1})";
  EXPECT_EQ(Read(kCompletions, whole)->unscored, Unscored::kNo);
  RequestBodyReader reader;
  RequestBody body;
  for (size_t size = 0; size < whole.size(); ++size) {
    const PaddedText text(whole.substr(0, size));
    reader.Read({kCompletions, ""}, text, &body);
    EXPECT_NE(body.unscored, Unscored::kNo) << size;
  }
}

TEST(RequestBodyTest, NothingIsLeftOfTheBodyBefore) {
  Read body(kChat, R"({"model":"m","cache_salt":"s","stream":true,"max_tokens":4,
                       "tools":[1],"messages":[{"role":"user"}]})");
  const PaddedText next(R"({"prompt":[1]})");
  body.reader.Read({kCompletions, ""}, next, &body.body);
  EXPECT_EQ(body->unscored, Unscored::kNo);
  EXPECT_EQ(body->model + body->cache_salt, "");
  EXPECT_FALSE(body->stream);
  EXPECT_FALSE(body->max_output_tokens.has_value());
  EXPECT_TRUE(body->raw_tools.empty());
}

TEST(PaddedTextTest, PiecesMakeOneText) {
  PaddedText text;
  EXPECT_EQ(text.view(), "");
  text.Append("{\"a\"");
  text.Append("");
  text.Append(":1}");
  EXPECT_EQ(text.view(), "{\"a\":1}");
  text.Append(std::string(PaddedText::kKeptBytes, ' '));
  text.Clear();
  EXPECT_EQ(text.size(), 0u);
  EXPECT_LE(text.capacity(), PaddedText::kKeptBytes);
}

// A long list is read for itself: nothing else of the body is read in another way, or passes that
// is no JSON.
TEST(RequestBodyTest, ALongListOfTokensIsNoOtherThanAShortOne) {
  std::string list = "[10";
  for (int i = 0; i < 200; ++i) list += ", " + std::to_string(i * 971);
  list += "]";
  const std::string json = R"({"model":"m/8B", "stream":true, "prompt": )" + list +
                           R"( ,"cache_salt":"s","max_tokens": 5})";
  Read body(kCompletions, json);
  EXPECT_EQ(body->unscored, Unscored::kNo) << body->detail;
  EXPECT_EQ(body->token_ids.size(), 201u);
  EXPECT_EQ(body->token_ids.back(), 199u * 971);
  EXPECT_EQ(body->model, "m/8B");
  EXPECT_EQ(body->cache_salt, "s");
  EXPECT_EQ(body->max_output_tokens, 5u);
  EXPECT_EQ(body->raw_prompt, list);
  EXPECT_EQ(body->raw_prompt.data(), body.text.view().data() + json.find('['));
  EXPECT_EQ(body->raw_model.data(), body.text.view().data() + json.find("\"m/8B"));

  const auto unscored = [&](const std::string& before, const std::string& after) {
    return Read(kCompletions, before + list + after)->unscored;
  };
  EXPECT_EQ(unscored(R"({"prompt":)", "}"), Unscored::kNo);
  EXPECT_EQ(unscored(R"({"prompt":)", "}}"), Unscored::kNotJson);
  EXPECT_EQ(unscored(R"({"prompt":)", R"(,"n":})"), Unscored::kNotJson);
  EXPECT_EQ(unscored(R"({"prompt":)", ""), Unscored::kNotJson);
  EXPECT_EQ(unscored(R"({"n":01 x,"prompt":)", "}"), Unscored::kNotJson);
  EXPECT_EQ(unscored(R"({"prompt":)", ",\"a\":\"\xff\"}"), Unscored::kNotUtf8);
  EXPECT_EQ(unscored(R"({"prompt":)", R"(,"prompt":"x"})"), Unscored::kRepeatedField);
  EXPECT_EQ(unscored(R"({"prompt":)", R"(,"prompt":[1]})"), Unscored::kRepeatedField);
  EXPECT_EQ(unscored(R"({"token_ids":)", R"(,"prompt":[1]})"), Unscored::kNo);
  EXPECT_EQ(unscored(R"({"token_ids":)", "}"), Unscored::kNoPrompt);
}

}  // namespace
}  // namespace kvroute
