#include "router/edge/http_json/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kvroute {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;
using Kind = FieldValue::Kind;
using Result = Fields::Result;

// Both formats are read by the same code and must say the same.
class FieldsTest : public ::testing::TestWithParam<BodyFormat> {
 protected:
  Fields Read(const Json& value) {
    std::string body = value.dump();
    if (GetParam() == BodyFormat::kMsgpack) {
      body.clear();
      Json::to_msgpack(value, body);
    }
    Fields fields;
    result_ = fields.Read(body, GetParam());
    return fields;
  }

  Result result_ = Result::kOk;
};

TEST_P(FieldsTest, KeepsScalarsAndListsOfNumbers) {
  const Fields fields = Read({{"text", "a\u00e9"},
                              {"number", 7},
                              {"below", -7},
                              {"most", UINT64_MAX},
                              {"yes", true},
                              {"nothing", nullptr},
                              {"ids", {1, 2, 3}},
                              {"empty", Json::array()}});
  ASSERT_EQ(result_, Result::kOk);
  EXPECT_EQ(fields.Find("text")->text, "a\u00e9");
  EXPECT_EQ(fields.Find("number")->number, 7u);
  EXPECT_TRUE(fields.Find("below")->negative);
  EXPECT_EQ(fields.Find("most")->number, UINT64_MAX);
  EXPECT_EQ(fields.Find("yes")->kind, Kind::kBool);
  EXPECT_EQ(fields.Find("nothing"), nullptr);
  EXPECT_TRUE(fields.Has("nothing"));
  EXPECT_FALSE(fields.Has("else"));
  EXPECT_THAT(fields.Find("ids")->ints, ElementsAre(1, 2, 3));
  EXPECT_EQ(fields.Find("empty")->kind, Kind::kInts);
}

TEST_P(FieldsTest, LooksOverWhatIsDeeper) {
  const Fields fields =
      Read({{"profile", {{"a", {1, 2}}, {"b", {{"c", 3}}}, {"d", nullptr}, {"e", 1.5}}},
            {"mixed", {1, "x", nullptr, 1.5, true}},
            {"lists", {{1}, {2}}},
            {"objects", {{{"a", 1}}, {{"a", 2}}}},
            {"after", {5, 6}}});
  ASSERT_EQ(result_, Result::kOk);
  for (const char* field : {"profile", "mixed", "lists", "objects"}) {
    EXPECT_EQ(fields.Find(field)->kind, Kind::kOther) << field;
  }
  EXPECT_THAT(fields.Find("after")->ints, ElementsAre(5, 6));
}

TEST_P(FieldsTest, WhatIsNoObjectIsSaidToBeNone) {
  for (const Json& value : {Json::array({1, 2}), Json(7), Json("x"), Json()}) {
    Read(value);
    EXPECT_EQ(result_, Result::kNoObject) << value;
  }
}

TEST_P(FieldsTest, FieldsAndDepthAreBounded) {
  Json many = Json::object();
  for (size_t i = 0; i < Fields::kMaxFields; ++i) many["f" + std::to_string(i)] = i;
  Read(many);
  EXPECT_EQ(result_, Result::kOk);
  many["one more"] = 1;
  Read(many);
  EXPECT_EQ(result_, Result::kBroken);
  Json deep = 1;
  for (size_t i = 1; i < Fields::kMaxDepth; ++i) deep = Json::array({deep});
  Read({{"deep", deep}});
  EXPECT_EQ(result_, Result::kOk);
  Read({{"deep", Json::array({deep})}});
  EXPECT_EQ(result_, Result::kBroken);
}

INSTANTIATE_TEST_SUITE_P(Formats, FieldsTest,
                         ::testing::Values(BodyFormat::kJson, BodyFormat::kMsgpack),
                         [](const auto& format) {
                           return format.param == BodyFormat::kJson ? "Json" : "Msgpack";
                         });

TEST(FieldsJsonTest, OfAFieldThatOccursTwiceTheLastOneCounts) {
  Fields fields;
  ASSERT_EQ(fields.Read(R"({"a":[1,2],"a":3})", BodyFormat::kJson), Result::kOk);
  EXPECT_EQ(fields.Find("a")->number, 3u);
}

TEST(FieldsJsonTest, WhatIsNotJsonIsBroken) {
  Fields fields;
  for (const char* body : {"", " ", "{", "{}x", R"({"a":})", R"({"a":01})", R"({"a":NaN})",
                           R"({"a":"\ud800"})", "{\"a\":\"\xff\"}", R"({"a":1,})", "\xef\xbb"}) {
    EXPECT_EQ(fields.Read(body, BodyFormat::kJson), Result::kBroken) << body;
  }
  EXPECT_EQ(fields.Read(std::string(2'000'000, '['), BodyFormat::kJson), Result::kNoObject);
  EXPECT_EQ(fields.Read("{\"a\":" + std::string(2'000'000, '['), BodyFormat::kJson),
            Result::kBroken);
}

TEST(FieldsMsgpackTest, LengthsThatLieAndDepthsWithoutEndAreBroken) {
  Fields fields;
  const std::string name =
      "\x81\xa1"
      "a";
  for (const std::string& value :
       {std::string("\xdd\xff\xff\xff\xff", 5), std::string("\xdb\xff\xff\xff\xff", 5),
        std::string("\xc6\xff\xff\xff\xff"
                    "abc",
                    8),
        std::string("\xdf\xff\xff\xff\xff", 5), std::string("\xc1"), std::string("\xa1\xff"),
        std::string(2'000'000, '\x91'), std::string()}) {
    EXPECT_EQ(fields.Read(name + value, BodyFormat::kMsgpack), Result::kBroken)
        << testing::PrintToString(value.substr(0, 8));
  }
  EXPECT_EQ(fields.Read(name + "\x01\x01", BodyFormat::kMsgpack), Result::kBroken)
      << "something follows";
}

TEST(FieldsMsgpackTest, TokenIdsMayBeBytes) {
  Fields fields;
  ASSERT_EQ(fields.Read(std::string("\x81\xa9token_ids\xc4\x08\x01\0\0\0\xff\xff\0\0", 21),
                        BodyFormat::kMsgpack),
            Result::kOk);
  FieldTaker taker(fields);
  std::vector<TokenId> ids;
  taker.TokenIds("token_ids", &ids);
  EXPECT_FALSE(taker.refusal().has_value());
  EXPECT_THAT(ids, ElementsAre(1, 65'535));
}

TEST(FieldTakerTest, RemembersTheFirstThatIsWrongAndWhere) {
  const auto refusal_of = [](const char* body, auto take) {
    Fields fields;
    EXPECT_EQ(fields.Read(body, BodyFormat::kJson), Result::kOk) << body;
    FieldTaker taker(fields);
    take(&taker);
    EXPECT_TRUE(taker.refusal().has_value()) << body;
    return taker.refusal().value_or(FieldRefusal());
  };
  const auto ids = [](FieldTaker* taker) {
    std::vector<TokenId> taken;
    taker->TokenIds("x", &taken);
  };
  EXPECT_EQ(refusal_of(R"({"x":[1,2,-1]})", ids).index, 2u);
  EXPECT_EQ(refusal_of(R"({"x":[4294967296]})", ids).reason, FieldRefusal::Reason::kOutOfRange);
  EXPECT_EQ(refusal_of(R"({"x":[1.5]})", ids).reason, FieldRefusal::Reason::kNoList);
  EXPECT_EQ(refusal_of(R"({"x":"1"})", ids).reason, FieldRefusal::Reason::kNoList);
  const auto hashes = [](FieldTaker* taker) {
    std::vector<uint64_t> taken;
    taker->Hashes("x", &taken);
  };
  EXPECT_EQ(refusal_of(R"({"x":[-1,18446744073709551615]})", hashes).reason,
            FieldRefusal::Reason::kOutOfRange);
  const auto number = [](FieldTaker* taker) {
    uint32_t taken = 0;
    taker->Require("y");
    taker->Uint32("x", &taken);
  };
  EXPECT_THAT(refusal_of(R"({"x":-1})", number).field, "y") << "it came first";
  EXPECT_THAT(refusal_of(R"({"x":-1,"y":1})", number).message, HasSubstr("x: not from 0"));
}

}  // namespace
}  // namespace kvroute
