#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/corpus/corpus_builder.h"
#include "tools/replay/closed_loop.h"
#include "tools/replay/open_loop.h"
#include "tools/workload/generator.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

CorpusOptions Troubled() {
  CorpusOptions options;
  options.workers = 6;
  options.blocks_per_worker = 500;
  options.block_size_tokens = 64;
  options.length_factor = 2;
  options.seed = 11;
  options.window_ns = 50'000'000;
  options.holes = options.duplicates = 0.2;
  options.restarts = options.clears = 0.02;
  return options;
}

Corpus Build(const CorpusOptions& options) {
  const std::string path = testing::TempDir() + "replay_test." + std::to_string(getpid()) + ".bin";
  GeneratorOptions generator;
  generator.seed = 5;
  generator.requests = 300;
  absl::StatusOr<std::unique_ptr<CorpusWriter>> writer =
      CorpusWriter::Create(path, options.cpu_blocks_per_worker > 0);
  EXPECT_TRUE(writer.ok()) << writer.status();
  CorpusBuilder builder(options, writer->get());
  builder.Play(GenerateTrace(generator), [](size_t) {});
  EXPECT_TRUE((*writer)->Finish(builder.Header("generated")).ok());
  absl::StatusOr<Corpus> corpus = Corpus::Read(path);
  std::filesystem::remove(path);
  EXPECT_TRUE(corpus.ok()) << corpus.status();
  return *std::move(corpus);
}

class ReplayCheckTest : public testing::TestWithParam<ReplayIndexKind> {};

TEST_P(ReplayCheckTest, EqualsTheModelWithHolesDuplicatesRestartsAndClears) {
  for (const CorpusHashScheme scheme : {CorpusHashScheme::kPrefix, CorpusHashScheme::kPerWorker}) {
    CorpusOptions options = Troubled();
    options.hash_scheme = scheme;
    const absl::Status status =
        CheckAgainstModel(Build(options), MakeReplayIndex(GetParam()).get());
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_P(ReplayCheckTest, EqualsTheModelWithSlowerTiers) {
  for (const CorpusHashScheme scheme : {CorpusHashScheme::kPrefix, CorpusHashScheme::kPerWorker}) {
    CorpusOptions options = Troubled();
    options.cpu_blocks_per_worker = 210;
    options.disk_blocks_per_worker = 125;
    options.hash_scheme = scheme;
    const absl::Status status =
        CheckAgainstModel(Build(options), MakeReplayIndex(GetParam()).get());
    EXPECT_TRUE(status.ok()) << status;
  }
}

INSTANTIATE_TEST_SUITE_P(Indexes, ReplayCheckTest,
                         testing::Values(ReplayIndexKind::kRuns, ReplayIndexKind::kFlat),
                         [](const testing::TestParamInfo<ReplayIndexKind>& kind) {
                           return kind.param == ReplayIndexKind::kRuns ? "Runs" : "Flat";
                         });

TEST(ReplayCheckTest, FindsAnIndexThatDiffers) {
  const absl::Status status =
      CheckAgainstModel(Build(Troubled()), MakeReplayIndex(ReplayIndexKind::kNone).get());
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the model"));
}

TEST(ReplayTest, BothIndexesGiveTheSameChecksum) {
  const Corpus corpus = Build(Troubled());
  const auto run = [&](ReplayIndexKind kind) {
    return ReplayClosedLoop(corpus, false, MakeReplayIndex(kind).get());
  };
  const absl::StatusOr<ReplayRun> runs = run(ReplayIndexKind::kRuns);
  const absl::StatusOr<ReplayRun> flat = run(ReplayIndexKind::kFlat);
  ASSERT_TRUE(runs.ok() && flat.ok());
  EXPECT_NE(runs->checksum, 0u);
  EXPECT_EQ(runs->checksum, flat->checksum);
  EXPECT_EQ(runs->verified_blocks, flat->verified_blocks);
  EXPECT_EQ(runs->query.operations, corpus.totals.requests / 8);
  EXPECT_EQ(runs->query.operations + runs->query_chaining.operations, corpus.totals.requests);
  EXPECT_EQ(runs->store.blocks, corpus.totals.stored_blocks);
  EXPECT_EQ(runs->clear.operations, corpus.totals.cleared_events);
  EXPECT_GT(runs->query.p50_ns, 0);
  EXPECT_LE(runs->query.p50_ns, runs->query.p99_ns);
}

TEST(ReplayTest, TheSecondHalfAnswersAsTheWholeDoes) {
  const Corpus corpus = Build(Troubled());
  const absl::StatusOr<ReplayRun> whole =
      ReplayClosedLoop(corpus, false, MakeReplayIndex(ReplayIndexKind::kRuns).get());
  const absl::StatusOr<ReplayRun> half =
      ReplayClosedLoop(corpus, true, MakeReplayIndex(ReplayIndexKind::kRuns).get());
  ASSERT_TRUE(whole.ok() && half.ok());
  EXPECT_EQ(half->stats.holdings, whole->stats.holdings);
  EXPECT_GT(half->query_chaining.operations, 0u);
  EXPECT_LT(half->query_chaining.operations, whole->query_chaining.operations);
  EXPECT_LT(half->checksum, whole->checksum);
}

TEST(ReplayTest, TheOpenLoopRunsEverythingInItsWindow) {
  const Corpus corpus = Build(Troubled());
  const absl::StatusOr<ReplayRun> closed =
      ReplayClosedLoop(corpus, false, MakeReplayIndex(ReplayIndexKind::kRuns).get());
  OpenLoopOptions options;
  options.query_lanes = options.event_lanes = 2;
  const absl::StatusOr<ReplayRun> open =
      ReplayOpenLoop(corpus, options, MakeReplayIndex(ReplayIndexKind::kRuns).get());
  ASSERT_TRUE(closed.ok() && open.ok());
  ASSERT_TRUE(open->open.has_value());
  EXPECT_DOUBLE_EQ(open->open->window_s, 0.05);
  EXPECT_GE(open->elapsed_s, 0.05);
  EXPECT_EQ(open->query_chaining.operations, corpus.totals.requests);
  EXPECT_EQ(open->store.blocks, corpus.totals.stored_blocks);
  EXPECT_EQ(open->stats.holdings, closed->stats.holdings);
}

TEST(ReplayTest, AnOfferedRateSetsTheWindow) {
  const Corpus corpus = Build(Troubled());
  OpenLoopOptions options;
  options.offered_block_ops = 1e6;
  const absl::StatusOr<ReplayRun> run =
      ReplayOpenLoop(corpus, options, MakeReplayIndex(ReplayIndexKind::kNone).get());
  ASSERT_TRUE(run.ok());
  EXPECT_NEAR(run->open->window_s, static_cast<double>(run->RequestedBlockOps()) * 1e-6, 1e-9);
}

TEST(ReplayReportTest, QuantilesAreOfAllSamples) {
  std::vector<float> samples;
  for (int i = 1000; i > 0; --i) samples.push_back(static_cast<float>(i));
  const OperationTimes times = OperationTimes::Of(&samples, 4'000);
  EXPECT_EQ(times.p50_ns, 500);
  EXPECT_EQ(times.p99_ns, 990);
  EXPECT_EQ(times.p999_ns, 999);
  EXPECT_EQ(times.MeanNs(), 500.5);
  EXPECT_EQ(times.NsPerBlock(), 125.125);
}

TEST(ReplayReportTest, JsonHasWhatTheBenchmarksRead) {
  ReplayReport report;
  report.index = "runs";
  report.mode = "closed";
  ReplayRun run;
  run.elapsed_s = 2;
  run.cpu_share = 0.75;
  run.probe_ns = 900;
  run.query.blocks = 100;
  run.verified_blocks = 40;
  run.store.blocks = 60;
  run.checksum = ~uint64_t{0};
  report.runs = {run};
  const nlohmann::json json = nlohmann::json::parse(report.ToJson());
  EXPECT_EQ(json["runs"][0]["block_ops_per_s"], 50);
  EXPECT_EQ(json["runs"][0]["requested_block_ops_per_s"], 80);
  EXPECT_EQ(json["runs"][0]["cpu_share"], 0.75);
  EXPECT_EQ(json["runs"][0]["probe_ns"], 900);
  EXPECT_EQ(json["runs"][0]["checksum"], "18446744073709551615");
}

}  // namespace
}  // namespace kvroute
