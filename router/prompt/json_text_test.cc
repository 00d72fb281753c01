#include "router/prompt/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::string Unescaped(std::string_view raw) {
  std::string text;
  return UnescapeJsonString(raw, &text) ? text : "refused";
}

TEST(UnescapeJsonStringTest, EveryEscape) {
  EXPECT_EQ(Unescaped(R"("")"), "");
  EXPECT_EQ(Unescaped(R"("plain")"), "plain");
  EXPECT_EQ(Unescaped(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(Unescaped(R"("\u0041\u00e4\u20AC")"), "A\xC3\xA4\xE2\x82\xAC");
  EXPECT_EQ(Unescaped(R"("\ud83d\ude00.")"), "\xF0\x9F\x98\x80.");
  EXPECT_EQ(Unescaped(R"("\u0000x")"), std::string("\0x", 2));
}

TEST(UnescapeJsonStringTest, WhatIsNoStringIsRefused) {
  for (const char* raw : {"", "\"", "x", "5", R"("\")", R"("\x")", R"("\u12")", R"("\u12g4")",
                          R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", R"("\ud83dx")"}) {
    EXPECT_EQ(Unescaped(raw), "refused") << raw;
  }
}

TEST(AppendJsonStringTest, ReadsBackAsItWas) {
  for (const std::string text : {"", "plain", "\"\\/\b\f\n\r\t\x01", "\xC3\xA4\xF0\x9F\x98\x80"}) {
    std::string raw;
    AppendJsonString(text, &raw);
    EXPECT_EQ(Unescaped(raw), text);
  }
  std::string raw;
  AppendJsonString("a\xFFz\xC3", &raw);
  EXPECT_EQ(raw, "\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
}

TEST(JsonUint32Test, IntegersThatFit) {
  EXPECT_EQ(JsonUint32("0"), 0u);
  EXPECT_EQ(JsonUint32("4294967295"), 4294967295u);
  EXPECT_EQ(JsonUint32("16.0"), 16u);
  for (const char* raw : {"", "-1", "4294967296", "99999999999999999999", "1.5", "1.", "1e3",
                          "\"1\"", "true", "1 "}) {
    EXPECT_EQ(JsonUint32(raw), std::nullopt) << raw;
  }
}

std::vector<std::pair<std::string, std::string>> FieldsOf(std::string_view raw, bool* ok) {
  std::vector<std::pair<std::string, std::string>> fields;
  JsonCursor cursor(raw);
  std::string_view key, value;
  while (cursor.NextField(&key, &value)) fields.emplace_back(key, value);
  *ok = cursor.ok();
  return fields;
}

std::vector<std::string> ElementsOf(std::string_view raw, bool* ok) {
  std::vector<std::string> elements;
  JsonCursor cursor(raw);
  std::string_view value;
  while (cursor.NextElement(&value)) elements.emplace_back(value);
  *ok = cursor.ok();
  return elements;
}

TEST(JsonCursorTest, StepsThroughOneLevel) {
  bool ok = false;
  EXPECT_THAT(FieldsOf(R"( { "a" : 1, "b":"x\"}]," ,"c":{"d":[1,{"e":2}]},"f":[ ] } )", &ok),
              ElementsAre(Pair("\"a\"", "1"), Pair("\"b\"", R"("x\"}],")"),
                          Pair("\"c\"", R"({"d":[1,{"e":2}]})"), Pair("\"f\"", "[ ]")));
  EXPECT_TRUE(ok);
  EXPECT_THAT(ElementsOf(R"([1, "two\\", [3], {"4":5}, null])", &ok),
              ElementsAre("1", R"("two\\")", "[3]", R"({"4":5})", "null"));
  EXPECT_TRUE(ok);
  EXPECT_THAT(ElementsOf("[]", &ok), ElementsAre());
  EXPECT_TRUE(ok);
  EXPECT_THAT(FieldsOf("{ }", &ok), ElementsAre());
  EXPECT_TRUE(ok);
}

TEST(JsonCursorTest, WhatIsCutAnywhereIsNotOk) {
  const std::string text = R"({"a":[1,{"b":"c\\\""}],"d":5})";
  bool ok = false;
  for (size_t size = 0; size < text.size(); ++size) {
    FieldsOf(text.substr(0, size), &ok);
    EXPECT_FALSE(ok) << size;
    ElementsOf("[" + text.substr(0, size), &ok);
    EXPECT_FALSE(ok) << size;
  }
  for (const char* raw :
       {"[1 2]", "[1,]", "[,1]", "{\"a\" 1}", "{\"a\":}", "{1:2}", "5", "[}", "[1}"}) {
    FieldsOf(raw, &ok);
    EXPECT_FALSE(ok) << raw;
    ElementsOf(raw, &ok);
    EXPECT_FALSE(ok) << raw;
  }
}

TEST(JsonCursorTest, DepthCostsNoStack) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  bool ok = false;
  EXPECT_EQ(ElementsOf(deep, &ok).size(), 1u);
  EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace kvroute
