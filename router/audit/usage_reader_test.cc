#include "router/audit/usage_reader.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

constexpr char kJson[] = "application/json";
constexpr char kEvents[] = "Text/Event-Stream; charset=utf-8";

AnswerUsage ReadIn(size_t piece_bytes, std::string_view type, std::string_view body,
                   std::string_view encoding = "") {
  UsageReader reader;
  reader.Begin(type, encoding);
  for (; !body.empty(); body.remove_prefix(std::min(piece_bytes, body.size()))) {
    reader.Append(body.substr(0, piece_bytes));
  }
  return reader.End();
}

// The same however it is cut.
AnswerUsage Read(std::string_view type, std::string_view body) {
  const AnswerUsage whole = ReadIn(body.size() + 1, type, body);
  for (const size_t bytes : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{64}}) {
    const AnswerUsage cut = ReadIn(bytes, type, body);
    EXPECT_EQ(cut.usage, whole.usage) << bytes;
    EXPECT_EQ(cut.end, whole.end) << bytes;
  }
  return whole;
}

using Count = std::optional<uint64_t>;
void ExpectUsage(const AnswerUsage& result, Count prompt, Count cached, Count output) {
  EXPECT_EQ(result.end, UsageEnd::kFound);
  EXPECT_EQ(result.usage.prompt_tokens, prompt);
  EXPECT_EQ(result.usage.cached_tokens, cached);
  EXPECT_EQ(result.usage.output_tokens, output);
}

TEST(UsageReaderTest, ChatAndCompletions) {
  ExpectUsage(
      Read(kJson, R"({"choices":[{"message":{"content":"the \"usage\":{\"prompt_tokens\":9}"}}],
      "usage":{"prompt_tokens":20,"total_tokens":25,"completion_tokens":5,
      "prompt_tokens_details":{"cached_tokens":16}},"prompt_logprobs":null})"),
      20, 16, 5);
  ExpectUsage(
      Read(kJson,
           R"({"usage":{"prompt_tokens":20,"completion_tokens":5,"prompt_tokens_details":null}})"),
      20, std::nullopt, 5);
  ExpectUsage(
      Read(kJson, R"({"usage":{"prompt_tokens":20,"prompt_tokens_details":{"cached_tokens":0}}})"),
      20, 0, std::nullopt);
}

TEST(UsageReaderTest, EventsOfChat) {
  ExpectUsage(Read(kEvents,
                   "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n"
                   "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\r\n\r\n"
                   "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":16}}}\n\ndata: [DONE]\n\n"),
              20, 16, 5);
  // With vLLM's continuous_usage_stats each event has one: the last counts.
  ExpectUsage(Read(kEvents,
                   "data: {\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":1}}\n\n"
                   "data: {\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":2}}"),
              20, std::nullopt, 2);
}

TEST(UsageReaderTest, Responses) {
  const std::string response =
      R"({"id":"r","tools":[{"parameters":{"properties":{"usage":{"type":"string"}}}}],)"
      R"("usage":{"input_tokens":30,"input_tokens_details":{"cached_tokens":16},"output_tokens":7},"user":null})";
  ExpectUsage(Read(kJson, response), 30, 16, 7);
  ExpectUsage(
      Read(kEvents,
           "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":" +
               response + "}\n\n"),
      30, 16, 7);
}

TEST(UsageReaderTest, AnthropicCountsTheCacheApart) {
  ExpectUsage(
      Read(kJson, R"({"usage":{"input_tokens":4,"output_tokens":5,"cache_read_input_tokens":16,
                              "cache_creation_input_tokens":2}})"),
      22, 16, 5);
  ExpectUsage(Read(kJson, R"({"usage":{"input_tokens":20,"output_tokens":5}})"), 20, std::nullopt,
              5);
  ExpectUsage(Read(kEvents,
                   "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":"
                   "{\"input_tokens\":4,\"cache_read_input_tokens\":16,\"output_tokens\":0}}}\n\n"
                   "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":"
                   "{\"output_tokens\":5}}\n\n"),
              20, 16, 5);
}

TEST(UsageReaderTest, SglangGenerate) {
  ExpectUsage(Read(kJson, R"({"text":"x","meta_info":{"prompt_tokens":20,"completion_tokens":5,
                              "cached_tokens":16,"finish_reason":{"type":"stop"}}})"),
              20, 16, 5);
  ExpectUsage(Read(kEvents,
                   "data: {\"meta_info\":{\"prompt_tokens\":20,\"completion_tokens\":1}}\n\n"
                   "data: {\"meta_info\":{\"prompt_tokens\":20,\"completion_tokens\":2}}\n\n"),
              20, std::nullopt, 2);
}

TEST(UsageReaderTest, AbsentIsNotZero) {
  for (const char* body :
       {"", "{}", R"({"usage":null})", R"({"usage":{}})", R"({"usage":[1]})",
        R"({"usage":{"prompt_tokens":-1}})", R"({"usage":{"prompt_tokens":"20"}})",
        R"({"usage":{"prompt_tokens":20)", R"({"x":"usage"})"}) {
    const AnswerUsage result = Read(kJson, body);
    EXPECT_EQ(result.end, UsageEnd::kAbsent) << body;
    EXPECT_TRUE(result.usage.empty()) << body;
  }
  EXPECT_EQ(Read(kEvents, "data: [DONE]\n\n: usage\nusage\n").end, UsageEnd::kAbsent);
  EXPECT_EQ(Read(kEvents, "event: {\"usage\":{\"prompt_tokens\":1}}\n").end, UsageEnd::kAbsent);
}

TEST(UsageReaderTest, MoreCachedThanThereIsIsNoCount) {
  ExpectUsage(
      Read(kJson, R"({"usage":{"prompt_tokens":20,"prompt_tokens_details":{"cached_tokens":21}}})"),
      20, std::nullopt, std::nullopt);
}

TEST(UsageReaderTest, WhatIsPassedOver) {
  const std::string body = R"({"usage":{"prompt_tokens":20}})";
  EXPECT_EQ(ReadIn(9, kJson, body, "gzip").end, UsageEnd::kCompressed);
  EXPECT_EQ(ReadIn(9, "text/html", body).end, UsageEnd::kOtherType);
  EXPECT_EQ(ReadIn(9, "", body).end, UsageEnd::kOtherType);
  EXPECT_EQ(ReadIn(9, kJson, body, "Identity").end, UsageEnd::kFound);
  UsageReader reader;
  reader.Begin(kJson, "br");
  EXPECT_FALSE(reader.wants_body());
}

TEST(UsageReaderTest, WhatIsKeptIsBounded) {
  const std::string usage = R"("usage":{"prompt_tokens":20}})";
  const std::string long_text(3 * limits::kMaxUsageTailBytes, 'x');
  ExpectUsage(ReadIn(1'000, kJson, "{\"x\":\"" + long_text + "\"," + usage), 20, std::nullopt,
              std::nullopt);
  EXPECT_EQ(ReadIn(1'000, kJson, "{" + usage + "," + long_text).end, UsageEnd::kAbsent);
  for (const size_t bytes : {size_t{1'000}, long_text.size() * 2}) {
    EXPECT_EQ(ReadIn(bytes, kEvents, "data: {\"x\":\"" + long_text + "\"," + usage + "\n\n").end,
              UsageEnd::kTooLong);
    ExpectUsage(ReadIn(bytes, kEvents, "data: " + long_text + "\ndata: {" + usage + "\n"), 20,
                std::nullopt, std::nullopt);
  }
  UsageReader reader;
  reader.Begin(kEvents, "");
  for (int i = 0; i < 100; ++i) reader.Append(long_text);
  EXPECT_LE(reader.kept_bytes(), 2 * limits::kMaxUsageTailBytes);
}

// An engine's response is read on the picker's thread. Before, each of the names had the blanks
// behind them looked through.
TEST(UsageReaderTest, ALineCostsByItsLengthWhateverIsInIt) {
  std::string line = "data: ";
  for (int i = 0; i < 4'000; ++i) line += "\"usage\"";
  line += std::string(30'000, ' ') + "\n";
  UsageReader reader;
  reader.Begin(kEvents, "");
  timespec began{}, ended{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
  for (int i = 0; i < 50; ++i) reader.Append(line);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
  EXPECT_EQ(reader.End().end, UsageEnd::kAbsent);
  EXPECT_LE(ended.tv_sec - began.tv_sec, 1);
}

}  // namespace
}  // namespace kvroute
