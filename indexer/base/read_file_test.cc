#include "indexer/base/read_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

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

// Files are read again and again, and their limits are for the worst of them.
TEST_F(ReadFileTest, AShortFileTakesLittleMemoryWhateverItsLimit) {
  EXPECT_LT(ReadFile(Written("short"), size_t{16} << 20)->capacity(), 1'024u);
}

TEST_F(ReadFileTest, AFileThatIsLongerThanItSeemsIsReadWhole) {
  const auto read = ReadFile("/proc/self/status", 1 << 20);  // whose size is said to be 0
  EXPECT_THAT(*read, HasSubstr("VmRSS"));
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

// A stream of the C++ library would take what came before the error for the whole file.
TEST_F(ReadFileTest, AnErrorWhileItIsReadIsAnErrorNotAShorterFile) {
  const auto read = ReadFile("/proc/self/mem", 1'000);  // no page is mapped at address 0
  EXPECT_EQ(read.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(MessageOf(read.status()), "/proc/self/mem: Input/output error");
}

// Opening one that nobody writes into would wait for ever.
TEST_F(ReadFileTest, APipeIsNoFileAndIsNotWaitedFor) {
  const std::string path = folder_ + "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(MessageOf(ReadFile(path, 4).status()), path + ": not a regular file");
}

// The configuration is read twice a second with a limit of 16 MiB.
TEST_F(ReadFileTest, ItsLengthCostsMemoryNotItsLimit) {
  const auto read = ReadFile(Written("short"), size_t{1} << 50);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, "short");
  EXPECT_LT(read->capacity(), 1'000u);
}

// Files of /proc say that they are empty.
TEST_F(ReadFileTest, AFileThatIsLongerThanItSaysIsReadWhole) {
  const auto read = ReadFile("/proc/self/maps", 1 << 20);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_GT(read->size(), 100u);
  EXPECT_EQ(MessageOf(ReadFile("/proc/self/maps", 100).status()),
            "/proc/self/maps: longer than the limit of 100 bytes");
}

}  // namespace
}  // namespace kvroute
