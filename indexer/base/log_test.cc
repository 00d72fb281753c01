#include "indexer/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "indexer/base/log_fields.h"

namespace kvroute {
namespace {

using std::chrono::seconds;

TEST(LogLimiterTest, LetsOneThroughPerIntervalAndCountsTheRest) {
  LogLimiter limiter(seconds(1));
  EXPECT_EQ(limiter.Admit(seconds(10)), 1u);
  EXPECT_EQ(limiter.Admit(seconds(10)), 0u);
  EXPECT_EQ(limiter.Admit(seconds(10)), 0u);
  EXPECT_EQ(limiter.Admit(seconds(11)), 3u);
  EXPECT_EQ(limiter.Admit(seconds(12)), 1u);
}

TEST(ConfigureLogTest, NamesTheFieldThatIsWrong) {
  EXPECT_THAT(ConfigureLog({.level = "loud"}).message(), testing::HasSubstr("log.level: \"loud\""));
  EXPECT_THAT(ConfigureLog({.format = "xml"}).message(), testing::HasSubstr("log.format: \"xml\""));
  EXPECT_TRUE(ConfigureLog({}).ok());
}

TEST(ConfigureLogTest, JsonLinesStayValidWhateverTheMessageQuotes) {
  ASSERT_TRUE(ConfigureLog({.format = "json"}).ok());
  testing::internal::CaptureStderr();
  LogInfo("say \"hi\"\n\\ {}", '\x01');
  ASSERT_TRUE(FlushLog(std::chrono::milliseconds(60'000)));
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, testing::HasSubstr(R"("level":"info")"));
  EXPECT_THAT(line, testing::HasSubstr(R"("msg":"say \"hi\"\\x0a\\ \\x01"})"));
  ASSERT_TRUE(ConfigureLog({}).ok());
}

TEST(ConfigureLogTest, FieldsAreMembersOfTheObjectAndNoPartOfATextLine) {
  ASSERT_TRUE(ConfigureLog({.format = "json"}).ok());
  testing::internal::CaptureStderr();
  LogWith(LogLevel::kWarning, {{"worker", "w\"0\n"}, {"rank", uint64_t{7}}}, "stream {}", 7);
  LogInfo("none");
  ASSERT_TRUE(FlushLog(std::chrono::milliseconds(60'000)));
  const std::string lines = testing::internal::GetCapturedStderr();
  EXPECT_THAT(lines, testing::HasSubstr(R"("msg":"stream 7","worker":"w\"0\\x0a","rank":7})"));
  EXPECT_THAT(lines, testing::EndsWith("\"msg\":\"none\"}\n")) << "they are of one line only";
  ASSERT_TRUE(ConfigureLog({}).ok());
  testing::internal::CaptureStderr();
  LogWith(LogLevel::kInfo, {{"worker", "w0"}}, "stream {}", 7);
  ASSERT_TRUE(FlushLog(std::chrono::milliseconds(60'000)));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::EndsWith("stream 7\n"));
}

TEST(ConfigureLogTest, NoNameFromOutsideForgesALineOrMovesATerminal) {
  ASSERT_TRUE(ConfigureLog({}).ok());
  testing::internal::CaptureStderr();
  LogInfo("discovered worker {}", "w\n2026-01-01 error \x1b[2J\xff");
  ASSERT_TRUE(FlushLog(std::chrono::milliseconds(60'000)));
  const std::string lines = testing::internal::GetCapturedStderr();
  EXPECT_THAT(lines, testing::EndsWith("w\\x0a2026-01-01 error \\x1b[2J\\xff\n"));
}

TEST(LogDeathTest, WhatIsSaidBeforeAnAbortIsWritten) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // else the log's thread is not in the child
  EXPECT_DEATH(
      {
        LogError("the reason");
        std::abort();
      },
      "the reason");
}

TEST(LogDeathTest, ALibrarysLastWordsAreWrittenIfItAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        LogIfAborted("of no interest");
        LogIfAborted("misused: " + std::string(1'000, 'x'));
        LogIfAborted("an assertion failed");
        std::abort();
      },
      "error] misused: x{503}\n.*error] an assertion failed");
}

}  // namespace
}  // namespace kvroute
