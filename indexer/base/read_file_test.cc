#include "indexer/base/read_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

class ReadFileTest : public testing::Test {
 protected:
  ~ReadFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Written(const std::string& text) {
    const std::string path = folder_ + "file";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  const std::string folder_ = [] {
    std::string name = testing::TempDir() + "kvroute-read-file-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return name + "/";
  }();
};

TEST_F(ReadFileTest, AFileUpToTheLimitIsReadWhole) {
  const std::string text("a\0b\n", 4);
  const auto read = ReadFile(Written(text), 4);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, text);
  EXPECT_EQ(*ReadFile(Written(""), 4), "");
}

TEST_F(ReadFileTest, ALongerOneIsRefusedWithItsNameAndTheLimit) {
  const std::string path = Written("12345");
  EXPECT_EQ(MessageOf(ReadFile(path, 4).status()), path + ": longer than the limit of 4 bytes");
}

TEST_F(ReadFileTest, WhatIsNoFileIsNamed) {
  const absl::Status missing = ReadFile(folder_ + "none", 4).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(MessageOf(missing)), HasSubstr(folder_ + "none: "));
  EXPECT_EQ(MessageOf(ReadFile(folder_, 4).status()), folder_ + ": not a regular file");
}

}  // namespace
}  // namespace kvroute
