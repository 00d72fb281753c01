#include "tools/ask/ask_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/ask/prompt_tokens.h"
#include "tools/ask/show.h"
#include "tools/ask/worker_message.h"
#include "tools/command_line/command_line.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Ran {
  int status;
  std::string out, error;
};

Ran RunAsk(std::vector<std::string> words) {
  CommandLine line("kvroute", "test");
  AddAskCommands(&line);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Ran ran;
  ran.status = line.Run(std::move(words));
  ran.out = testing::internal::GetCapturedStdout();
  ran.error = testing::internal::GetCapturedStderr();
  return ran;
}

TEST(AskCommandTest, NobodyThereIsStatus1AndNamesTheAddress) {
  const Ran ran = RunAsk({"list", "--server", "127.0.0.1:1", "--timeout", "0.3"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.error, "kvroute list: 127.0.0.1:1: cannot be reached: Connection refused\n");
  EXPECT_EQ(ran.out, "");
}

TEST(AskCommandTest, WhatCannotBeAskedIsStatus2BeforeAnybodyIsAsked) {
  EXPECT_EQ(RunAsk({"list", "--server", "::1"}).status, 2);
  EXPECT_EQ(RunAsk({"drain"}).status, 2);
  EXPECT_EQ(RunAsk({"list", "--server", "grpcs://127.0.0.1:1", "--ca-file", "/no/file"}).status, 2);
}

TEST(AskCommandTest, TokensAreReadAsPeopleHaveThem) {
  EXPECT_THAT(*ParseTokens("--tokens", "1,2, 3"), ElementsAre(1, 2, 3));
  EXPECT_THAT(*ParseTokens("--tokens", "[1,\n 2]\n"), ElementsAre(1, 2));
  EXPECT_EQ(ParseTokens("--tokens", "1,x").status().message(), "--tokens: \"x\" is no token id");
  EXPECT_FALSE(ParseTokens("--tokens", "-1").ok());
  EXPECT_FALSE(ParseTokens("--tokens", " ").ok());
}

TEST(AskCommandTest, AWorkerIsSaidAsToServe) {
  const auto worker = WorkerMessage(
      "id=w0,address=http://h:8000,model=m,events=tcp://h:5557,ranks=2,first_rank=8,role=both");
  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_EQ(worker->worker_id(), "w0");
  EXPECT_EQ(worker->data_parallel_size(), 2u);
  EXPECT_EQ(worker->first_rank(), 8u);
  EXPECT_EQ(worker->role(), "both");
  EXPECT_THAT(std::string(WorkerMessage("id=w0,modle=m").status().message()),
              HasSubstr("did you mean \"model\"?"));
  EXPECT_FALSE(WorkerMessage("w0").ok());
}

TEST(ShowTest, WorkersAreLinesThatCannotSteerTheTerminal) {
  v1::ListResponse fleet;
  v1::WorkerStatus* const worker = fleet.add_workers();
  worker->mutable_worker()->set_worker_id("w\x1b[2J");
  worker->mutable_worker()->set_model("m");
  worker->set_source("api");
  v1::StreamState* const stream = worker->add_streams();
  stream->set_trust(v1::TRUST_EXACT);
  stream->set_trust_reason("live");
  const std::string text = ShowWorkers(fleet, "");
  EXPECT_THAT(text, HasSubstr("w\\x1b[2J"));
  EXPECT_THAT(text, HasSubstr("serving   exact     live"));
  EXPECT_THAT(ShowWorkers(fleet, "other"), testing::Not(HasSubstr("serving")));
  EXPECT_THAT(ShowJson(fleet), HasSubstr("\"trust\":\"TRUST_EXACT\""));
}

TEST(ShowTest, ARouteSaysWhereWhyAndHowFarToBelieveIt) {
  v1::RouteResponse answer;
  answer.set_policy("prefix");
  answer.set_reason("longest_match");
  answer.set_request_id("r1");
  answer.set_total_tokens(64);
  answer.set_total_blocks(4);
  v1::Match* const chosen = answer.mutable_chosen();
  chosen->mutable_target()->set_worker_id("w0");
  chosen->set_address("http://h");
  chosen->set_matched_tokens(48);
  chosen->set_matched_blocks(3);
  chosen->set_trust(v1::TRUST_DEGRADED);
  chosen->set_trust_reason("decode_errors");
  EXPECT_EQ(ShowRoute(answer),
            "w0/0 http://h\nprefix: longest_match; holds 48 of 64 tokens, 3 of 4 blocks; degraded "
            "(decode_errors); request r1\n");
}

}  // namespace
}  // namespace kvroute
