#include "indexer/base/text.h"

#include <gtest/gtest.h>

#include <random>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

TEST(OneLineTest, KeepsTextAndWritesTheRestOut) {
  EXPECT_EQ(OneLine("worker-7 caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "worker-7 caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(OneLine("a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(OneLine("\xc2\x9b"
                    "31m"),
            "\\xc2\\x9b31m");                             // CSI as one character
  EXPECT_EQ(OneLine("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // half a surrogate pair
  EXPECT_EQ(OneLine("\xc3"), "\\xc3");
  EXPECT_EQ(OneLine(std::string("\0", 1)), "\\x00");
}

TEST(OneLineTest, WhateverComesInWhatGoesOutIsUtf8WithoutControlBytes) {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random() % 24, 0);
    for (char& byte : text) byte = static_cast<char>(random());
    const std::string line = OneLine(text);
    ASSERT_TRUE(IsValidUtf8(line));
    for (const char byte : line) ASSERT_GE(static_cast<unsigned char>(byte), 0x20);
    ASSERT_EQ(OneLine(line), line);
    ASSERT_EQ(IsOneLine(text), line == text);
    ASSERT_TRUE(IsOneLine(line));
  }
}

// A name that is cut after so many bytes may end in half a character.
TEST(ErrorTest, IsOneLineOfTextWhateverItQuotes) {
  const std::string quoted = "a\nb\x1b[31m \xc3";
  EXPECT_EQ(MessageOf(InvalidArgument("policy: \"{}\"", quoted)),
            "policy: \"a\\x0ab\\x1b[31m \\xc3\"");
}

}  // namespace
}  // namespace kvroute
