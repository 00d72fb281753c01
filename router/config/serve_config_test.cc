#include "router/config/serve_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "router/config/parse_config.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kFull[] = R"(
grpc: {listen: "h:1", max_memory: 100MiB}
listeners:
- {endpoint: "tcp://*:5557"}
- {endpoint: "tcp://*:5558", topic: "a\"b"}
workers:
- worker_id: w0
  address: x
  model: m
  event_endpoint: tcp://h:5557
  data_parallel_size: 2
  rank_overrides:
  - {rank: 1, event_endpoint: "tcp://g:5557"}
- {worker_id: w1, address: x, model: m, event_endpoint: "tcp://i:5557", copies: counted}
)";

ServeConfig Load(const std::string& text) {
  auto config = ParseConfig(text, "k.yaml", {});
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

TEST(ServeConfigTest, WhatIsPrintedReadsBackTheSame) {
  const ServeConfig config = Load(kFull);
  const std::string printed = PrintConfig(config);
  EXPECT_THAT(printed, HasSubstr("  max_memory: 100MiB\n"));
  EXPECT_THAT(printed, HasSubstr("  - worker_id: \"w1\"\n"));
  EXPECT_EQ(PrintConfig(Load(printed)), printed);
  EXPECT_EQ(PrintConfig(Load(PrintConfig({}))), PrintConfig({}));
}

TEST(ServeConfigTest, OnlyFieldsThatCannotApplyLiveNeedARestart) {
  const ServeConfig before = Load("");
  EXPECT_THAT(FieldsThatNeedRestart(before, before), IsEmpty());
  EXPECT_THAT(
      FieldsThatNeedRestart(
          before,
          Load("routing: {policy: random}\nlog: {level: debug}\n"
               "workers:\n- {worker_id: w1, address: x, model: m, event_endpoint: 'tcp://i:1'}\n")),
      IsEmpty());
  EXPECT_THAT(FieldsThatNeedRestart(before, Load("grpc: {listen: 'h:1'}\ningest: {lanes: 2}\n")),
              ElementsAre("grpc.listen", "ingest.lanes"));
  EXPECT_THAT(FieldsThatNeedRestart(Load("listeners: [{endpoint: 'tcp://*:1'}]"), before),
              ElementsAre("listeners"));
}

TEST(ServeConfigTest, TheReferencePageHasExactlyTheFieldsThatAreRead) {
  std::ifstream in("docs/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_THAT(page, HasSubstr(FieldReference()))
      << "write the output of `kvroute serve --describe-config` into docs/configuration.md";
}

}  // namespace
}  // namespace kvroute
