#include "router/config/serve_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "indexer/base/machine_memory.h"
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

TEST(ServeConfigTest, ADeploymentNamesItsMedia) {
  const std::vector<MediumTier> media =
      Load("ingest: {media: [{medium: MARS, tier: disk}, {medium: l2, tier: cpu}]}\n")
          .ingest.zmq.media;
  EXPECT_THAT(media, ElementsAre(MediumTier{"MARS", Tier::kDisk}, MediumTier{"l2", Tier::kCpu}));
}

TEST(ServeConfigTest, RenderersAreAddressesWithoutAPath) {
  const PromptsConfig prompts =
      Load(
          "prompts: {ask_engines: false, renderers: [{url: 'http://r:8000'}, "
          "{url: 'https://[::1]:9', model: m}]}\n")
          .prompts;
  EXPECT_FALSE(prompts.ask_engines);
  EXPECT_THAT(prompts.renderers,
              ElementsAre(RendererSpec{"", "http://r:8000"}, RendererSpec{"m", "https://[::1]:9"}));
  for (const char* url :
       {"r:8000", "http://", "http://r/", "http://r/v1", "ftp://r", "http://r?x"}) {
    const auto bad =
        ParseConfig("prompts: {renderers: [{url: '" + std::string(url) + "'}]}", "k.yaml", {});
    EXPECT_THAT(std::string(bad.status().message()), HasSubstr("prompts.renderers[0].url: \""))
        << url;
  }
}

TEST(ServeConfigTest, TheMemoryLimitIsAPartOfTheMachinesUnlessItIsGiven) {
  EXPECT_EQ(Load("memory: {limit: 512MiB}").memory.LimitBytes(), uint64_t{512} << 20);
  const uint64_t machine = MachineMemoryBytes();
  ASSERT_GT(machine, 0u);
  EXPECT_EQ(Load("").memory.LimitBytes(), machine / 100 * 80);
  const auto small = ParseConfig("memory: {limit: 1MiB}", "k.yaml", {});
  EXPECT_THAT(std::string(small.status().message()), HasSubstr("memory.limit: 1048576 bytes"));
}

TEST(ServeConfigTest, TheReferencePageHasExactlyTheFieldsThatAreRead) {
  std::ifstream in("docs/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_THAT(page, HasSubstr(FieldReference()))
      << "write the output of `kvroute serve --describe-config` into docs/configuration.md";
}

}  // namespace
}  // namespace kvroute
