#include "router/prompt/text_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvroute {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TextChain ChainOf(const std::string& json, std::string_view path = "/v1/chat/completions") {
  const PaddedText text(json);
  RequestBody body;
  ParseRequestBody({path, ""}, text, &body);
  EXPECT_EQ(body.unscored, Unscored::kNo) << body.detail;
  TextChain chain;
  MakeTextChain(body, &chain);
  return chain;
}

// A conversation of so many turns, each of a piece and a half.
TextChain Conversation(int turns, const std::string& before = "", char letter = 'a') {
  std::string json = "{" + before + "\"messages\":[";
  for (int i = 0; i < turns; ++i) {
    json += (i == 0 ? "" : ",") + std::string(R"({"role":"user","content":")") +
            std::string(1'500, static_cast<char>(letter + i)) + "\"}";
  }
  return ChainOf(json + "]}");
}

size_t CommonPieces(const TextChain& a, const TextChain& b) {
  size_t i = 0;
  while (i < a.hashes.size() && i < b.hashes.size() && a.hashes[i] == b.hashes[i]) ++i;
  return i;
}

TEST(TextChainTest, WhatAConversationAddsComesBehind) {
  const TextChain two = Conversation(2);
  const TextChain three = Conversation(3);
  EXPECT_EQ(CommonPieces(two, three), two.hashes.size());
  EXPECT_GT(three.hashes.size(), two.hashes.size());
}

TEST(TextChainTest, WhatComesBeforeTheMessagesCounts) {
  const TextChain plain = Conversation(2);
  for (const char* before :
       {R"("model":"m",)", R"("tools":[{"x":1}],)", R"("cache_salt":"s",)", R"("lora_path":"l",)",
        R"("chat_template":"t",)", R"("chat_template_kwargs":{"a":1},)"}) {
    EXPECT_EQ(CommonPieces(plain, Conversation(2, before)), 0u) << before;
  }
  EXPECT_EQ(CommonPieces(plain, Conversation(2, R"("temperature":1,"stream":true,)")),
            plain.hashes.size());
}

TEST(TextChainTest, ShortAndSeveralPromptsHaveNone) {
  EXPECT_TRUE(ChainOf(R"({"messages":[{"role":"user"}]})").empty());
  const std::string prompt = "\"" + std::string(3'000, 'x') + "\"";
  EXPECT_THAT(ChainOf("{\"prompt\":" + prompt + "}", "/v1/completions").hashes, SizeIs(2));
  EXPECT_TRUE(ChainOf("{\"prompt\":[" + prompt + "," + prompt + "]}", "/v1/completions").empty());
}

TEST(TextMemoryTest, FindsWhereTheLongestBeginningWent) {
  TextMemory memory(1 << 10);
  std::vector<TextMemory::Found> found;
  memory.Find(Conversation(3), &found);
  EXPECT_THAT(found, IsEmpty());
  memory.Record(Conversation(1), 7);
  memory.Record(Conversation(2), 8);
  memory.Record(Conversation(3, "", 'k'), 9);
  memory.Find(Conversation(4), &found);
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].place, 8u);
  EXPECT_EQ(found[0].pieces, Conversation(2).hashes.size());
  EXPECT_EQ(found[1].place, 7u);
  EXPECT_EQ(found[1].pieces, 1u);
  EXPECT_EQ(memory.GetStats().looked_up, 2u);
  EXPECT_EQ(memory.GetStats().found, 1u);
}

TEST(TextMemoryTest, IsBoundedAndForgetsWhatWasUsedLongestAgo) {
  TextMemory memory(64);
  const auto text = [](int i) {
    return Conversation(1, "\"model\":\"" + std::to_string(i) + "\",");
  };
  std::vector<TextMemory::Found> found;
  for (int i = 0; i < 10'000; ++i) {
    memory.Record(text(i), 1);
    memory.Record(text(-1), 2);  // used all the time
  }
  EXPECT_GT(memory.GetStats().forgotten, 9'900u);
  memory.Find(text(-1), &found);
  EXPECT_THAT(found, SizeIs(1));
  memory.Find(text(0), &found);
  EXPECT_THAT(found, IsEmpty());
  memory.Find(text(9'999), &found);
  EXPECT_THAT(found, SizeIs(1));
}

TEST(TextMemoryTest, ManyPlacesOfOneText) {
  TextMemory memory(1 << 10);
  for (uint32_t place = 0; place < 100; ++place) memory.Record(Conversation(2), place);
  std::vector<TextMemory::Found> found;
  memory.Find(Conversation(2), &found);
  EXPECT_THAT(found, SizeIs(TextMemory::kMaxFound));
}

}  // namespace
}  // namespace kvroute
