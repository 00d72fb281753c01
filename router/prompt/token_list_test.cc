#include "router/prompt/token_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kvroute {
namespace {

using testing::ElementsAre;

TEST(ReadTokenIdsTest, IntegersAlone) {
  std::vector<TokenId> tokens;
  EXPECT_EQ(ReadTokenIds("[1, 22 ,\n4294967295]", 3, &tokens), TokenList::kOk);
  EXPECT_THAT(tokens, ElementsAre(1u, 22u, 4294967295u));
  EXPECT_EQ(ReadTokenIds("[ ]", 3, &tokens), TokenList::kOk);
  EXPECT_THAT(tokens, ElementsAre());
  EXPECT_EQ(ReadTokenIds("[1,2,3,4]", 3, &tokens), TokenList::kTooMany);
  for (const char* raw :
       {"", "[", "1", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[-1]", "[1.0]", "[4294967296]",
        "[99999999999999999999999]", "[\"1\"]", "[true]", "[[1]]", "[1]]", "[1] "}) {
    EXPECT_EQ(ReadTokenIds(raw, 3, &tokens), TokenList::kNotIntegers) << raw;
  }
}

// Numbers of every length, in every place of a block of 64 bytes, with what writers put between.
TEST(ReadTokenIdsTest, LongListsAreTheNumbersThatWereWritten) {
  std::mt19937_64 random(3);
  for (const char* between : {",", ", ", " ,", ",\n    ", "\t,\r\n"}) {
    for (size_t count : {7u, 64u, 1'000u}) {
      std::vector<TokenId> wanted(count);
      for (TokenId& token : wanted) token = static_cast<TokenId>(random() >> 32 >> random() % 32);
      const std::string raw = absl::StrCat("[", absl::StrJoin(wanted, between), "]");
      std::vector<TokenId> tokens;
      ASSERT_EQ(ReadTokenIds(raw, count, &tokens), TokenList::kOk) << raw;
      ASSERT_EQ(tokens, wanted);
      EXPECT_EQ(ReadTokenIds(raw, count - 1, &tokens), TokenList::kTooMany);
    }
  }
}

// A byte that is wrong anywhere is seen, and nothing is read beyond the end.
TEST(ReadTokenIdsTest, WhatIsWrongAnywhereInALongListIsSeen) {
  const std::string good = absl::StrCat("[", absl::StrJoin(std::vector<int>(60, 12'345), ","), "]");
  std::vector<TokenId> tokens;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char wrong : {'x', '.', '-', '"', '[', ']', '\0', '\x80', '\xb0', '\xff'}) {
      if (good[at] == wrong) continue;
      std::string bad = good;
      bad[at] = wrong;
      EXPECT_EQ(ReadTokenIds(bad, 100, &tokens), TokenList::kNotIntegers) << at << wrong;
    }
    const std::string cut(good, 0, at);
    EXPECT_EQ(ReadTokenIds(cut, 100, &tokens), TokenList::kNotIntegers) << at;
  }
  std::string twice = good;
  twice.replace(200, 1, ",,");
  EXPECT_EQ(ReadTokenIds(twice, 100, &tokens), TokenList::kNotIntegers);
}

TEST(FindTokenListTest, OnlyAFieldOfTheObjectItself) {
  const auto find = [](const std::string& object) {
    std::vector<TokenId> tokens;
    const auto place = FindTokenList(object, 10, &tokens);
    return place ? object.substr(place->begin, place->bytes) : "none";
  };
  EXPECT_EQ(find(R"({"model":"m","prompt":[1,2] , "n":1})"), "[1,2]");
  EXPECT_EQ(find(R"( { "x" : {"prompt":[3]} , "token_ids" : [ 1, 2 ]})"), "[ 1, 2 ]");
  EXPECT_EQ(find(R"({"a":"\"prompt\":[3]","input_ids":[4]})"), "[4]");
  for (const char* object :
       {"", "[1]", R"({"prompt":"[1]"})", R"({"a":{"prompt":[1]}})", R"({"prompt":[1.5],"n":1})",
        R"({"prompt":[1,2)", R"({"prompt":[[1],[2]]})", R"({"x\"prompt":[1]})", R"({"prompt" [1]})",
        R"({"a":"{\"prompt\":[1]}"})", R"({"prompt":[1,2,3,4,5,6,7,8,9,10,11]})"}) {
    EXPECT_EQ(find(object), "none") << object;
  }
  const std::string late = absl::StrCat("{\"a\":\"", std::string(5'000, 'x'), "\",\"prompt\":[1]}");
  EXPECT_EQ(find(late), "none");
}

}  // namespace
}  // namespace kvroute
