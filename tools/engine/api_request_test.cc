#include "tools/engine/api_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvroute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const ServedModels kModels = {.base = "m", .adapters = {"poet"}, .max_model_tokens = 100};

ApiRequest Read(EngineCall api, std::string_view body) {
  const auto request = ReadApiRequest(api, body, kModels);
  EXPECT_TRUE(request.ok()) << request.status();
  return request.value_or(ApiRequest());
}

TEST(ApiRequestTest, APromptComesInFourForms) {
  const auto prompts = [](const std::string& prompt) {
    return Read(EngineCall::kCompletions, R"({"prompt":)" + prompt + "}").prompts;
  };
  EXPECT_THAT(prompts("[1,2,3]"), ElementsAre(ElementsAre(1, 2, 3)));
  EXPECT_THAT(prompts("[[1,2],[3]]"), ElementsAre(ElementsAre(1, 2), ElementsAre(3)));
  EXPECT_THAT(prompts(R"("a")"), ElementsAre(ElementsAre(128'000, 'a')));
  EXPECT_THAT(prompts(R"(["a","b"])"),
              ElementsAre(ElementsAre(128'000, 'a'), ElementsAre(128'000, 'b')));
}

TEST(ApiRequestTest, AnAdapterIsAModelAndASaltANamespace) {
  const ApiRequest plain = Read(EngineCall::kCompletions, R"({"prompt":[1]})");
  EXPECT_EQ(plain.model, "m") << "none is asked for";
  EXPECT_EQ(plain.lora_name, "");
  const ApiRequest poet =
      Read(EngineCall::kCompletions, R"({"model":"poet","prompt":[1],"cache_salt":"s"})");
  EXPECT_EQ(poet.lora_name, "poet");
  EXPECT_EQ(poet.cache_salt, "s");
  EXPECT_EQ(Read(EngineCall::kSglangGenerate, R"({"input_ids":[1],"extra_key":"s"})").cache_salt,
            "s");
}

TEST(ApiRequestTest, TheNewerNameOfALimitWins) {
  EXPECT_EQ(Read(EngineCall::kChat, R"({"messages":[{"role":"user","content":"a"}],"max_tokens":3,
                                 "max_completion_tokens":4})")
                .max_tokens,
            4u);
  EXPECT_EQ(Read(EngineCall::kGenerate, R"({"token_ids":[1],"sampling_params":{"max_tokens":5}})")
                .max_tokens,
            5u);
  EXPECT_EQ(
      Read(EngineCall::kSglangGenerate, R"({"text":"a","sampling_params":{"max_new_tokens":6}})")
          .max_tokens,
      6u);
}

TEST(ApiRequestTest, SaysWhichFieldIsWrong) {
  const std::pair<const char*, const char*> bad[] = {
      {"", "body"},
      {"[]", "body"},
      {R"({"prompt":)", "body"},
      {R"({"prompt":"\ud800"})", "body"},
      {R"({})", "prompt"},
      {R"({"prompt":7})", "prompt"},
      {R"({"prompt":[]})", "prompt"},
      {R"({"prompt":[1,"a"]})", "prompt"},
      {R"({"prompt":[-1]})", "prompt"},
      {R"({"prompt":[4294967296]})", "prompt"},
      {R"({"prompt":[[1],7]})", "prompt"},
      {R"({"prompt":[1],"max_tokens":0})", "max_tokens"},
      {R"({"prompt":[1],"max_tokens":"3"})", "max_tokens"},
      {R"({"prompt":[1],"max_tokens":100})", "maximum context length"},
      {R"({"prompt":[1],"stream":1})", "stream"},
      {R"({"prompt":[1],"stream_options":1})", "stream_options"},
      {R"({"prompt":[1],"cache_salt":1})", "cache_salt"},
      {R"({"prompt":[1],"model":1})", "model"},
      {R"({"prompt":[1],"n":2})", "n:"},
  };
  for (const auto& [body, field] : bad) {
    const absl::Status status = ReadApiRequest(EngineCall::kCompletions, body, kModels).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << body;
    EXPECT_THAT(std::string(status.message()), HasSubstr(field)) << body;
  }
  EXPECT_EQ(ReadApiRequest(EngineCall::kCompletions, R"({"model":"x","prompt":[1]})", kModels)
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

TEST(ApiRequestTest, DepthIsBounded) {
  std::string deep = R"({"messages":[{"role":"user","content":"[[[["}],"tools":)";
  EXPECT_TRUE(ReadApiRequest(EngineCall::kChat,
                             deep + std::string(60, '[') + std::string(60, ']') + "}", kModels)
                  .ok());
  deep += std::string(100'000, '[') + std::string(100'000, ']') + "}";
  const absl::Status status = ReadApiRequest(EngineCall::kChat, deep, kModels).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("nested deeper"));
}

TEST(ApiRequestTest, TokenizeTakesATextOrAConversation) {
  const auto ids = [](std::string_view body) {
    const auto request = ReadTokenizeRequest(body, kModels);
    EXPECT_TRUE(request.ok()) << request.status();
    return request.ok() ? request->prompts : std::vector<std::vector<TokenId>>();
  };
  EXPECT_THAT(ids(R"({"prompt":"a"})"), ElementsAre(ElementsAre(128'000, 'a')));
  EXPECT_THAT(ids(R"({"prompt":"a","add_special_tokens":false})"), ElementsAre(ElementsAre('a')));
  EXPECT_THAT(ids(R"({"prompt":["a","b"]})"),
              ElementsAre(ElementsAre(128'000, 'a'), ElementsAre(128'000, 'b')));
  // The template begins the text itself.
  EXPECT_EQ(ids(R"({"messages":[{"role":"user","content":"a"}]})"),
            Read(EngineCall::kChat, R"({"messages":[{"role":"user","content":"a"}]})").prompts);
  for (const char* bad : {R"({})", R"({"prompt":"a","messages":[]})", R"({"prompt":[]})",
                          R"({"prompt":[1]})", R"({"prompt":7})"}) {
    EXPECT_FALSE(ReadTokenizeRequest(bad, kModels).ok()) << bad;
  }
}

}  // namespace
}  // namespace kvroute
