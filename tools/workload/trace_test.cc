#include "tools/workload/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

namespace kvroute {
namespace {

using ::testing::HasSubstr;

constexpr char kGoodLine[] =
    R"({"timestamp": 7, "input_length": 513, "output_length": 3, "hash_ids": [4, 5]})";

class TraceTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& text) {
    const std::string path = ::testing::TempDir() + "/trace_" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name() +
                             ".jsonl";
    std::ofstream(path) << text;
    return path;
  }
  std::string ErrorOf(const std::string& line) {
    const std::string path = Write(std::string(kGoodLine) + "\n" + line + "\n");
    const auto requests = ReadTrace(path);
    EXPECT_EQ(requests.status().code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_THAT(std::string(requests.status().message()), HasSubstr(path + ":2: ")) << line;
    return std::string(requests.status().message());
  }
};

TEST_F(TraceTest, ReadsAllMembers) {
  const auto requests = ReadTrace(Write(std::string(kGoodLine) + "\n\n" + kGoodLine + "\n"));
  ASSERT_TRUE(requests.ok()) << requests.status();
  ASSERT_EQ(requests->size(), 2u);
  const TraceRequest& request = requests->front();
  EXPECT_EQ(request.timestamp_ms, 7);
  EXPECT_EQ(request.input_length, 513u);
  EXPECT_EQ(request.output_length, 3u);
  EXPECT_THAT(request.hash_ids, ::testing::ElementsAre(TraceBlockId(4), TraceBlockId(5)));
}

TEST_F(TraceTest, StopsAtTheLimit) {
  const auto requests = ReadTrace(Write(std::string(kGoodLine) + "\nnot read\n"), 1);
  ASSERT_TRUE(requests.ok()) << requests.status();
  EXPECT_EQ(requests->size(), 1u);
}

TEST_F(TraceTest, NamesPlaceFieldAndValueOfEachError) {
  EXPECT_THAT(ErrorOf("[1,2"), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf(R"({"input_length": 1, "output_length": 1, "hash_ids": [1]})"),
              HasSubstr("timestamp: missing"));
  EXPECT_THAT(
      ErrorOf(R"({"timestamp": 7, "input_length": -5, "output_length": 1, "hash_ids": [1]})"),
      HasSubstr("input_length: -5 is not an integer from 1 to 4194304"));
  EXPECT_THAT(
      ErrorOf(R"({"timestamp": 7, "input_length": 1, "output_length": "x", "hash_ids": [1]})"),
      HasSubstr("output_length: \"x\" is not an integer"));
  EXPECT_THAT(
      ErrorOf(R"({"timestamp": 7, "input_length": 1, "output_length": 0, "hash_ids": [1]})"),
      HasSubstr("output_length: 0 is not"));
  EXPECT_THAT(
      ErrorOf(R"({"timestamp": 7.5, "input_length": 1, "output_length": 1, "hash_ids": [1]})"),
      HasSubstr("timestamp: 7.5 is not"));
  EXPECT_THAT(
      ErrorOf(R"({"timestamp": 7, "input_length": 513, "output_length": 1, "hash_ids": [1]})"),
      HasSubstr("hash_ids: 1 ids, but input_length 513 takes 2 of 512 tokens"));
  EXPECT_THAT(ErrorOf(R"({"timestamp": 7, "input_length": 1, "output_length": 1, "hash_ids": 1})"),
              HasSubstr("hash_ids: 1 is not an array"));
  EXPECT_THAT(
      ErrorOf(R"({"timestamp": 7, "input_length": 1, "output_length": 1, "hash_ids": [-1]})"),
      HasSubstr("hash_ids[0]: -1 is not"));
  EXPECT_THAT(
      ErrorOf(R"({"timestamp": 6, "input_length": 1, "output_length": 1, "hash_ids": [1]})"),
      HasSubstr("timestamp: 6 is before the previous request's 7"));
}

TEST_F(TraceTest, RefusesAMissingAndAnEmptyFile) {
  EXPECT_EQ(ReadTrace("/nonexistent/trace.jsonl").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadTrace(Write("\n")).status().message()), HasSubstr("no requests"));
}

TEST_F(TraceTest, ExpandsEqualIdsToEqualTokensAndOthersToOthers) {
  TraceRequest request{
      .input_length = 700, .output_length = 600, .hash_ids = {TraceBlockId(1), TraceBlockId(2)}};
  std::vector<TokenId> tokens;
  ExpandPrompt(request, &tokens);
  ASSERT_EQ(tokens.size(), 700u);
  EXPECT_GT(std::set<TokenId>(tokens.begin(), tokens.end()).size(), 650u);  // few repeat by chance
  for (const TokenId token : tokens) ASSERT_LT(token, kVocabularyTokens);

  request.hash_ids[1] = TraceBlockId(3);
  std::vector<TokenId> others;
  ExpandPrompt(request, &others);
  EXPECT_TRUE(std::equal(tokens.begin(), tokens.begin() + 512, others.begin()));
  EXPECT_FALSE(std::equal(tokens.begin() + 512, tokens.end(), others.begin() + 512));
}

TEST_F(TraceTest, OutputsAreUniqueUnlessTheyContinueThePrompt) {
  TraceRequest request{.input_length = 500, .output_length = 40, .hash_ids = {TraceBlockId(1)}};
  std::vector<TokenId> first, again, second;
  ExpandOutput(request, 1, &first);
  ExpandOutput(request, 1, &again);
  ExpandOutput(request, 2, &second);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, second);

  request.output_continues = true;
  request.continuation_ids = {TraceBlockId(9)};
  std::vector<TokenId> turn;
  ExpandPrompt(request, &turn);
  ExpandOutput(request, 1, &turn);
  const TraceRequest next{
      .input_length = 540, .output_length = 1, .hash_ids = {TraceBlockId(1), TraceBlockId(9)}};
  std::vector<TokenId> next_prompt;
  ExpandPrompt(next, &next_prompt);
  EXPECT_EQ(turn, next_prompt);
}

TEST_F(TraceTest, ReadsTheConversationTrace) {
  const char* shared = std::getenv("KVROUTE_SHARED");
  const std::string path =
      std::string(shared != nullptr ? shared : "../shared") + "/traces/conversation_trace.jsonl";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const auto requests = ReadTrace(path);
  ASSERT_TRUE(requests.ok()) << requests.status();
  EXPECT_EQ(requests->size(), 12'031u);
  size_t blocks = 0;
  for (const TraceRequest& request : *requests) blocks += request.hash_ids.size();
  EXPECT_EQ(blocks, 288'500u);
}

}  // namespace
}  // namespace kvroute
