#include "tools/engine/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tools/engine/chat_template.h"

namespace kvroute {
namespace {

using OrderedJson = nlohmann::ordered_json;
using Ids = std::vector<TokenId>;

Ids IdsOf(std::string_view text) {
  Ids ids;
  Tokenizer::Append(text, &ids);
  return ids;
}

std::string Rendered(const OrderedJson& messages, bool asks = true) {
  const auto text =
      RenderChat(OrderedJson{{"messages", messages}, {"add_generation_prompt", asks}});
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

bool BeginsWith(const Ids& all, const Ids& first) {
  return all.size() >= first.size() && std::equal(first.begin(), first.end(), all.begin());
}

TEST(TokenizerTest, CutsWordsDigitsSignsAndBlanksAsTokenizersDo) {
  EXPECT_EQ(IdsOf("the cat"), (Ids{Tokenizer::IdOf("the"), Tokenizer::IdOf(" cat")}));
  EXPECT_EQ(IdsOf("12345"), (Ids{Tokenizer::IdOf("123"), Tokenizer::IdOf("45")}));
  EXPECT_EQ(IdsOf("a, b"), (Ids{'a', ',', Tokenizer::IdOf(" b")}));
  EXPECT_EQ(IdsOf("a\n\n  b"), (Ids{'a', Tokenizer::IdOf("\n\n "), Tokenizer::IdOf(" b")}));
  EXPECT_EQ(IdsOf("incomprehensible"),
            (Ids{Tokenizer::IdOf("incomp"), Tokenizer::IdOf("rehens"), Tokenizer::IdOf("ible")}));
  EXPECT_TRUE(IdsOf("").empty());
}

TEST(TokenizerTest, SpecialTokensAreReadFromTheTextAndOnlyWhole) {
  EXPECT_EQ(IdsOf("a<|eot_id|>b"), (Ids{'a', 128'009, 'b'}));
  EXPECT_EQ(IdsOf("<|eot_id|><|eot_id|>"), (Ids{128'009, 128'009}));
  for (const char* text : {"<|eot_id|", "<|", "<|nothing|>", "<|<|eot_id"}) {
    for (const TokenId id : IdsOf(text)) EXPECT_LT(id, 128'000u) << text;
  }
  EXPECT_EQ(IdsOf("<|<|eot_id|>").back(), 128'009u);
}

TEST(TokenizerTest, TheIdsAreTheSameOnEveryMachine) {
  EXPECT_EQ(IdsOf("Hello world, 2026!"), (Ids{Tokenizer::IdOf("Hello"), Tokenizer::IdOf(" world"),
                                              ',', ' ', Tokenizer::IdOf("202"), '6', '!'}));
  EXPECT_EQ(Tokenizer::IdOf("Hello"), 50'198u);
}

// The property that prefix caching lives on.
TEST(TokenizerTest, AConversationThatGoesOnBeginsWithTheSameTokens) {
  std::mt19937 random(20'261'130);
  const std::string_view alphabet = " \n\tabcXYZ019.,<|>_\"{\xc3\xa9";
  for (int round = 0; round < 500; ++round) {
    OrderedJson messages = OrderedJson::array();
    Ids before;
    const int turns = 1 + static_cast<int>(random() % 5);
    for (int turn = 0; turn < turns; ++turn) {
      for (const char* role : {"user", "assistant"}) {
        std::string content;
        for (size_t i = random() % 40; i > 0; --i) content += alphabet[random() % alphabet.size()];
        if (content.find('\xc3') != content.npos || content.find('\xa9') != content.npos) {
          content = "caf\xc3\xa9 " + std::to_string(random() % 100);
        }
        messages.push_back({{"role", role}, {"content", content}});
        const Ids now = IdsOf(Rendered(messages, std::string_view(role) == "user"));
        ASSERT_TRUE(BeginsWith(now, before)) << "seed 20261130, " << messages.dump();
        before = now;
      }
    }
  }
}

TEST(TokenizerTest, AnAnswerSentBackHasTheTokensThatWereGenerated) {
  OrderedJson messages = OrderedJson::array({{{"role", "user"}, {"content", "Hello world"}}});
  Ids known = IdsOf(Rendered(messages));
  const AnswerWords words(known, /*inside=*/false);
  std::string answer;
  for (uint32_t i = 0; i < 300; ++i) answer += words.Word(i);
  words.AppendIds(300, &known);
  messages.push_back({{"role", "assistant"}, {"content", answer}});
  messages.push_back({{"role", "user"}, {"content", "And now?"}});
  const Ids next = IdsOf(Rendered(messages));
  EXPECT_TRUE(BeginsWith(next, known));
  EXPECT_EQ(next[known.size()], 128'009u) << "where the answer ends";
}

TEST(TokenizerTest, AnswersDependOnThePrompt) {
  const Ids one = {1, 2, 3}, other = {1, 2, 4};
  EXPECT_EQ(AnswerWords(one, false).Word(5), AnswerWords(one, false).Word(5));
  EXPECT_NE(AnswerWords(one, false).Word(5) + AnswerWords(one, false).Word(6),
            AnswerWords(other, false).Word(5) + AnswerWords(other, false).Word(6));
  EXPECT_EQ(AnswerWords(one, true).Word(0), " " + AnswerWords(one, false).Word(0));
}

TEST(ChatTemplateTest, IsTheTextOfLlama3) {
  EXPECT_EQ(Rendered(OrderedJson::array({{{"role", "system"}, {"content", "Be brief."}},
                                         {{"role", "user"}, {"content", "  Hello \n"}}})),
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

TEST(ChatTemplateTest, WhatElseABodySaysIsInTheText) {
  const OrderedJson messages = OrderedJson::array({{{"role", "user"}, {"content", "Hello"}}});
  const OrderedJson plain = {{"messages", messages}};
  for (const char* field : {"tools", "documents", "chat_template_kwargs"}) {
    OrderedJson body = plain;
    body[field] = OrderedJson{{"x", 1}};
    EXPECT_NE(*RenderChat(body), *RenderChat(plain)) << field;
  }
  OrderedJson body = plain;
  body["messages"][0]["tool_calls"] = OrderedJson::array({{{"id", "c"}}});
  EXPECT_NE(*RenderChat(body), *RenderChat(plain));
  body = plain;
  body["continue_final_message"] = true;
  EXPECT_TRUE(RenderChat(body)->ends_with("Hello"));
}

TEST(ChatTemplateTest, PartsAreOneTextAndAnImageIsItsOwnTokens) {
  const auto with_image = [](const char* url) {
    return Rendered(OrderedJson::array(
        {{{"role", "user"},
          {"content", OrderedJson::array({{{"type", "text"}, {"text", "Look: "}},
                                          {{"type", "image_url"}, {"image_url", {{"url", url}}}},
                                          {{"type", "text"}, {"text", "What is it?"}}})}}}));
  };
  const Ids cat = IdsOf(with_image("http://x/cat")), dog = IdsOf(with_image("http://x/dog"));
  EXPECT_EQ(cat.size(), dog.size());
  EXPECT_NE(cat, dog);
  EXPECT_GT(cat.size(), 64u);
}

TEST(ChatTemplateTest, RefusesWhatItCannotRender) {
  for (
      const char* body :
      {R"({})", R"({"messages":[]})", R"({"messages":"x"})", R"({"messages":[7]})",
       R"({"messages":[{"role":"judge","content":"x"}]})",
       R"({"messages":[{"role":7,"content":"x"}]})",
       R"({"messages":[{"role":"user","content":7}]})",
       R"({"messages":[{"role":"user","content":[{"type":"smell"}]}]})",
       R"({"messages":[{"role":"user","content":[7]}]})",
       R"({"messages":[{"role":"user"}],"continue_final_message":true,"add_generation_prompt":true})"}) {
    EXPECT_EQ(RenderChat(OrderedJson::parse(body)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << body;
  }
}

}  // namespace
}  // namespace kvroute
