// A text that is meant to harm, or that harms by mistake: each is refused in one line, soon and
// without much memory.
#include "router/config/config_tree.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "router/config/parse_config.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string ErrorOf(const std::string& text) {
  return std::string(MessageOf(ParseYaml(text, "k.yaml").status()));
}

// Without the end, a walk over it would not end either.
TEST(ConfigTreeTest, AnAliasInsideOfWhatItStandsForIsRefused) {
  for (const char* text : {"workers: &x\n- *x\n", "workers: &x\n  a: *x\n", "&x {a: {b: [*x]}}",
                           "&x [*x]", "workers: &x\n- &y [*y]\n", "a: &x {*x : 1}"}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr("an alias inside of what it stands for")) << text;
  }
  EXPECT_EQ(ErrorOf("workers: &x\n- *x\n"),
            "config k.yaml:2: an alias inside of what it stands for");
}

TEST(ConfigTreeTest, AliasesStandForWhatTheyName) {
  const auto tree = ParseYaml("a: &x {b: [1, &y two]}\nc: *x\nd: [*y, *y]\n", "k.yaml");
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(tree->Find("c")->Find("b")->items.at(1).scalar, "two");
  EXPECT_EQ(tree->Find("d")->items.at(1).scalar, "two");
  EXPECT_EQ(tree->Find("d")->items.at(1).place, "config k.yaml:1");
}

TEST(ConfigTreeTest, NestingIsBoundedAliasesIncluded) {
  const std::string deep(limits::kMaxConfigDepth + 1, '[');
  EXPECT_THAT(ErrorOf(deep), HasSubstr("nested more than 32 deep"));
  EXPECT_THAT(ErrorOf(std::string(400'000, '[')), HasSubstr("nested more than 32 deep"));
  EXPECT_THAT(ErrorOf(std::string(1'000'000, '{')), StartsWith("config k.yaml:"));
  std::string block;
  for (size_t i = 0; i < 100; ++i) block += std::string(i, ' ') + "a:\n";
  EXPECT_THAT(ErrorOf(block), HasSubstr("nested more than 32 deep"));
  // Each line is one deeper than the one before: no bound on values ends it.
  std::string chain = "a0: &a0 [1]\n";
  for (int i = 1; i < 200; ++i) chain += fmt::format("a{0}: &a{0} [*a{1}]\n", i, i - 1);
  EXPECT_EQ(ErrorOf(chain), "config k.yaml:31: nested more than 32 deep");
}

TEST(ConfigTreeTest, WhatAliasesStandForCountsAsOftenAsTheyAreUsed) {
  std::string laughs = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
  for (int i = 1; i < 9; ++i) {
    laughs += fmt::format("a{0}: &a{0} [*a{1} ,*a{1} ,*a{1} ,*a{1} ,*a{1} ,*a{1} ,*a{1} ,*a{1} ]\n",
                          i, i - 1);
  }
  EXPECT_THAT(ErrorOf(laughs), HasSubstr("more than 100000 values by aliases"));
  // Few values, each long: 1,000 times a quarter of a mebibyte.
  std::string long_laughs = "a: &a \"" + std::string(1 << 18, 'x') + "\"\nb: [";
  for (int i = 0; i < 1'000; ++i) long_laughs += "*a ,";
  EXPECT_THAT(ErrorOf(long_laughs + "]\n"), HasSubstr("more than 16777216 bytes with its aliases"));
  // Anchors keep what they name: 31 times the same long list.
  std::string anchors;
  for (int i = 0; i < 31; ++i) anchors += fmt::format("&a{} [", i);
  for (int i = 0; i < 50'000; ++i) anchors += "1,";
  EXPECT_THAT(ErrorOf(anchors + std::string(31, ']')),
              HasSubstr("more than 100000 values by aliases"));
  // Without any.
  std::string list = "a:\n";
  for (size_t i = 0; i < limits::kMaxConfigNodes; ++i) list += "- 1\n";
  EXPECT_THAT(ErrorOf(list), HasSubstr("more than 1000000 values"));
}

// The library keeps such a list, two hundred bytes for each of its own, before it tells of an item.
TEST(ConfigTreeTest, WhatMayStandBetweenTwoValuesIsBounded) {
  std::string list = "[";
  for (size_t i = 0; i < 4 * limits::kMaxConfigGapBytes; ++i) list += "1,";
  for (const std::string& text :
       {list, std::string(limits::kMaxConfigBytes, 'a'), "a: b" + std::string(1 << 20, '#')}) {
    EXPECT_EQ(ErrorOf(text),
              "config k.yaml: more than 524288 bytes in one value, or in comments between two");
  }
  std::string comments = "a: 1\n";
  for (int i = 0; i < 100; ++i) comments += "# " + std::string(4'000, 'c') + "\n";
  EXPECT_TRUE(ParseYaml(comments + "b: 2\n", "k").ok());
}

TEST(ConfigTreeTest, AMapOfManyKeysIsRefusedBeforeTheyAreCompared) {
  std::string keys;
  for (int i = 0; i < 500'000; ++i) keys += fmt::format("k{}: 1\n", i);
  EXPECT_EQ(ErrorOf(keys), "config k.yaml:257: more than 256 keys in one map");
}

TEST(ConfigTreeTest, KeysAreWordsAndStandOnce) {
  EXPECT_THAT(ErrorOf("? [a]\n: 1\n"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(ErrorOf("{{a: 1}: 2}"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(ErrorOf(": 1\n"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(ErrorOf("a: 1\n\"a\": 2\n"), HasSubstr("key \"a\" stands here twice"));
  EXPECT_THAT(ErrorOf("a: &x {b: 1}\nc: {<<: *x, <<: *x}\n"),
              HasSubstr("key \"<<\" stands here twice"));
}

TEST(ConfigTreeTest, AMergeKeyNeedsAMap) {
  EXPECT_EQ(ErrorOf("a:\n  <<: 1\n"), "config k.yaml:2: <<: a map, or a list of maps, is expected");
  const auto tree = ParseYaml("a: {b: 1, <<: {b: 2, c: 3}}\n", "k.yaml");
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(tree->Find("a")->Find("b")->scalar, "1");
  EXPECT_EQ(tree->Find("a")->Find("c")->scalar, "3");
}

// The library takes 0x04 for the end of the text: workers behind it would be gone without a word.
TEST(ConfigTreeTest, WhatIsNoTextIsRefusedWithItsLine) {
  using namespace std::string_literals;
  EXPECT_EQ(ErrorOf("log: {level: info}\n\x04\nworkers: [1]\n"),
            "config k.yaml:2: byte 0x04, which is no text");
  EXPECT_EQ(ErrorOf("a: 1\nb: \0\n"s), "config k.yaml:2: byte 0x00, which is no text");
  EXPECT_EQ(ErrorOf("a: \x1b[31m\n"), "config k.yaml:1: byte 0x1b, which is no text");
  EXPECT_EQ(ErrorOf("a: 1\nb: \xff\n"), "config k.yaml:2: is not UTF-8");
  EXPECT_EQ(ErrorOf("\xfe\xff\0a\0:"s), "config k.yaml:1: byte 0x00, which is no text");  // UTF-16
  EXPECT_TRUE(ParseYaml("\xef\xbb\xbf# in UTF-8, and says so\r\na: caf\xc3\xa9\t\n", "k").ok());
}

TEST(ConfigTreeTest, TabsAreNoIndentation) {
  EXPECT_THAT(ErrorOf("grpc:\n\tlisten: x\n"),
              HasSubstr("line 2 is indented by a tab; YAML takes spaces only"));
}

TEST(ConfigTreeTest, OneDocumentIsRead) {
  EXPECT_EQ(ErrorOf("a: 1\n---\nb: 2\n"),
            "config k.yaml: more than one document, there must be one");
  EXPECT_TRUE(ParseYaml("---\na: 1\n...\n", "k").ok());
}

// What an error quotes of the file is cut and written out.
TEST(ConfigTreeTest, AnErrorIsOneLineOfBoundedLength) {
  const std::string longish(300'000, 'k');
  for (const std::string& text : std::vector<std::string>{
           longish + ": 1\n", longish + ": 1\n" + longish + ": 1\n", "grpc: {" + longish + ": 1}",
           "readiness: {grace: " + std::string(300'000, '0') + "48h}",
           "log: {level: " + longish + "}", "\"\\e[31m\": 1", "\"\\x85\": 1",
           "log: {level: \"\\0\\r\"}", "grpc: {listen: \"\\e:1\"}",
           "workers: [{worker_id: \"\\a\", address: x, model: m, event_endpoint: 'tcp://h:1'}]",
           "? \"\\n\"\n: {a: 1}\n"}) {
    const auto config = ParseConfig(text, "k.yaml", {});
    ASSERT_FALSE(config.ok()) << text.substr(0, 100);
    const std::string message(MessageOf(config.status()));
    EXPECT_LE(message.size(), 4 * limits::kMaxConfigErrorBytes + 3) << text.substr(0, 100);
    EXPECT_EQ(OneLine(message), message);
  }
}

TEST(ConfigTreeTest, NoFieldTakesControlCharacters) {
  const auto config =
      ParseConfig("grpc: {tls: {key_file: \"a\\e\", certificate_file: b}}", "k", {});
  EXPECT_EQ(MessageOf(config.status()),
            "config k:1: grpc.tls.key_file: \"a\\033\" has control characters");
}

}  // namespace
}  // namespace kvroute
