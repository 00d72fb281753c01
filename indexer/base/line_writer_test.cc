#include "indexer/base/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

namespace kvroute {
namespace {

using std::chrono::milliseconds;

class LineWriterTest : public testing::Test {
 protected:
  LineWriterTest() {
    EXPECT_EQ(pipe2(ends_.data(), O_CLOEXEC), 0);
    writer_ = std::make_unique<LineWriter>(ends_[1]);
  }
  ~LineWriterTest() override {
    close(ends_[0]);
    writer_.reset();
    close(ends_[1]);
  }
  std::string Read() {
    std::array<char, 65536> buffer;
    const ssize_t got = read(ends_[0], buffer.data(), buffer.size());
    return std::string(buffer.data(), got > 0 ? static_cast<size_t>(got) : 0);
  }

  std::array<int, 2> ends_{};
  std::unique_ptr<LineWriter> writer_;
};

TEST_F(LineWriterTest, WritesLinesInTheirOrder) {
  writer_->Write("one\n");
  writer_->Write("two\n");
  ASSERT_TRUE(writer_->Flush(milliseconds(60'000)));
  EXPECT_EQ(Read(), "one\ntwo\n");
  EXPECT_EQ(writer_->dropped(), 0u);
}

// As a pipe whose reader hangs: before, the line behind the first 64 KiB never came back.
TEST_F(LineWriterTest, NobodyWaitsForAPipeThatNobodyReads) {
  const std::string line(1'000, 'x');
  for (int i = 0; i < 10'000; ++i) writer_->Write(line + "\n");
  // As much as may wait is waiting, at most as much again is being written, and the rest is
  // dropped.
  EXPECT_GT(writer_->dropped(), 10'000 - 3 * LineWriter::kMaxWaitingBytes / line.size());
  EXPECT_FALSE(writer_->Flush(milliseconds(1)));
}

TEST_F(LineWriterTest, WhatWasDroppedIsSaidOnceThereIsAReader) {
  for (int i = 0; i < 10'000; ++i) writer_->Write(std::string(1'000, 'x') + "\n");
  const uint64_t dropped = writer_->dropped();
  std::string tail;
  std::thread reader([&] {
    while (tail.find("after") == std::string::npos) tail += Read();
  });
  EXPECT_TRUE(writer_->Flush(milliseconds(60'000)));
  writer_->Write("after\n");
  reader.join();
  // Wherever a line was taken again.
  uint64_t said = 0;
  for (size_t at = 0; (at = tail.find('(', at)) != std::string::npos; ++at) {
    said += std::stoull(tail.substr(at + 1));
  }
  EXPECT_EQ(said, dropped);
}

TEST_F(LineWriterTest, AReaderThatIsGoneEndsNothing) {
  close(ends_[0]);
  writer_->Write("nobody hears\n");
  EXPECT_TRUE(writer_->Flush(milliseconds(60'000)));
  ends_[0] = -1;
  EXPECT_EQ(writer_->dropped(), 1u);
}

// A log's file at the limit of the process: without care the signal for it ends the process.
void WriteBeyondTheLimitOfAFile() {
  char path[] = "/tmp/kvroute-line-writer-XXXXXX";
  const int fd = mkstemp(path);
  unlink(path);
  const rlimit limit{.rlim_cur = 8, .rlim_max = 8};
  if (fd < 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(2);
  LineWriter writer(fd);
  writer.Write("1234567\n");
  bool flushed = writer.Flush(milliseconds(60'000));
  writer.Write("beyond\n");
  flushed = writer.Flush(milliseconds(60'000)) && flushed;
  std::_Exit(flushed && writer.dropped() == 1 ? 0 : 3);
}

TEST(LineWriterDeathTest, AFileAtItsLimitCostsLinesNotTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(WriteBeyondTheLimitOfAFile(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace kvroute
