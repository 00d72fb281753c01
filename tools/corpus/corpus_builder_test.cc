#include "tools/corpus/corpus_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "test/support/reference_index.h"
#include "tools/workload/generator.h"

namespace kvroute {
namespace {

CorpusOptions SmallFleet() {
  CorpusOptions options;
  options.workers = 4;
  options.blocks_per_worker = 600;
  options.block_size_tokens = 128;
  options.duplication = 2;
  options.length_factor = 2;
  options.store_blocks = 0;
  options.seed = 7;
  return options;
}

class CorpusBuilderTest : public testing::Test {
 protected:
  CorpusBuilderTest()
      : path_(testing::TempDir() + "corpus_builder_test." + std::to_string(getpid()) + ".bin") {}
  ~CorpusBuilderTest() override { std::filesystem::remove(path_); }

  void Write(const CorpusOptions& options) {
    GeneratorOptions generator;
    generator.seed = 3;
    generator.requests = 400;
    absl::StatusOr<std::unique_ptr<CorpusWriter>> writer =
        CorpusWriter::Create(path_, options.cpu_blocks_per_worker > 0);
    ASSERT_TRUE(writer.ok()) << writer.status();
    CorpusBuilder builder(options, writer->get());
    builder.Play(GenerateTrace(generator), [](size_t) {});
    ASSERT_TRUE((*writer)->Finish(builder.Header("generated")).ok());
  }

  Corpus Build(const CorpusOptions& options) {
    Write(options);
    absl::StatusOr<Corpus> corpus = Corpus::Read(path_);
    EXPECT_TRUE(corpus.ok()) << corpus.status();
    return *std::move(corpus);
  }

  uint64_t FileChecksum() const {
    std::ifstream in(path_, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    return XXH3_64bits(bytes.data(), bytes.size());
  }

  const std::string path_;
};

// What a fleet publishes must make sense to the model: parents known, removals of what is held.
struct ModelRun {
  uint64_t unknown_parents = 0;
  uint64_t unknown_removals = 0;
  uint64_t duplicates = 0;
  uint64_t holdings_at_end = 0;
};

ModelRun RunOnModel(const Corpus& corpus) {
  ReferenceIndex model;
  for (uint32_t worker = 0; worker < corpus.header.logical_workers; ++worker) {
    model.Open(StreamId(worker), CopyMode::kCounted);
  }
  ModelRun run;
  for (const CorpusOperation& op : corpus.operations) {
    const StreamId stream(static_cast<uint32_t>(op.worker_id));
    switch (op.kind) {
      case OperationKind::kQuery:
        break;
      case OperationKind::kStored: {
        StoreRequest request;
        if (op.has_parent) request.parent = op.parent;
        request.engine_hashes = corpus.StoredEngineHashes(op);
        request.local_hashes = corpus.StoredLocalHashes(op);
        request.tier = op.tier;
        const StoreResult result = model.Store(stream, request);
        run.unknown_parents += result.status == StoreStatus::kUnknownParent;
        run.duplicates += result.duplicate;
        EXPECT_EQ(result.rebound, 0u);
        break;
      }
      case OperationKind::kRemoved:
        run.unknown_removals += model.Remove(stream, corpus.Removed(op), op.tier).unknown;
        break;
      case OperationKind::kCleared:
        model.Clear(stream);
        break;
    }
  }
  run.holdings_at_end = model.Stats().holdings;
  return run;
}

TEST_F(CorpusBuilderTest, TheSameOptionsGiveTheSameBytes) {
  CorpusOptions options = SmallFleet();
  options.holes = options.duplicates = 0.05;
  options.restarts = options.clears = 0.01;
  ASSERT_NO_FATAL_FAILURE(Write(options));
  // Changes only when the generated workload, the pools or the format change: corpora of different
  // dates are then not comparable, and docs/benchmarks.md must say so.
  constexpr uint64_t kGolden = 10726631710778122096u;
  EXPECT_EQ(FileChecksum(), kGolden);
  options.seed = 8;
  ASSERT_NO_FATAL_FAILURE(Write(options));
  EXPECT_NE(FileChecksum(), kGolden);
}

TEST_F(CorpusBuilderTest, APlainFleetPublishesOnlyWhatItHolds) {
  const Corpus corpus = Build(SmallFleet());
  EXPECT_EQ(corpus.totals.requests, 800u);
  EXPECT_GT(corpus.totals.removed_blocks, 0u);
  const ModelRun run = RunOnModel(corpus);
  EXPECT_EQ(run.unknown_parents, 0u);
  EXPECT_EQ(run.unknown_removals, 0u);
  EXPECT_EQ(run.duplicates, 0u);
  EXPECT_EQ(run.holdings_at_end, corpus.totals.stored_blocks - corpus.totals.removed_blocks);
  EXPECT_LE(run.holdings_at_end, 4u * 600u);
}

// 40 % of the holdings are on cpu and disk, and every event about them makes sense.
TEST_F(CorpusBuilderTest, AFleetWithSlowerTiersOffloadsWhatItEvicts) {
  CorpusOptions options = SmallFleet();
  options.cpu_blocks_per_worker = 252;
  options.disk_blocks_per_worker = 150;
  const Corpus corpus = Build(options);
  const ModelRun run = RunOnModel(corpus);
  EXPECT_EQ(run.unknown_parents, 0u);
  EXPECT_EQ(run.unknown_removals, 0u);
  EXPECT_EQ(run.duplicates, 0u);
  EXPECT_EQ(run.holdings_at_end, 4u * (600 + 252 + 150));
  std::map<Tier, int64_t> held;
  for (const CorpusOperation& op : corpus.operations) {
    if (op.kind == OperationKind::kStored) held[op.tier] += op.length;
    if (op.kind == OperationKind::kRemoved) held[op.tier] -= op.length;
  }
  EXPECT_EQ(held[Tier::kGpu], 4 * 600);
  EXPECT_EQ(held[Tier::kCpu], 4 * 252);
  EXPECT_EQ(held[Tier::kDisk], 4 * 150);
}

TEST_F(CorpusBuilderTest, MischiefStaysConsistentPerStream) {
  CorpusOptions options = SmallFleet();
  options.holes = options.duplicates = 0.2;
  options.restarts = options.clears = 0.02;
  options.hash_scheme = CorpusHashScheme::kPerWorker;
  const Corpus corpus = Build(options);
  const ModelRun run = RunOnModel(corpus);
  EXPECT_EQ(run.unknown_parents, 0u);
  EXPECT_EQ(run.unknown_removals, 0u);
  EXPECT_GT(run.duplicates, 0u);
  EXPECT_GT(corpus.totals.cleared_events, 10u);
  std::map<uint64_t, uint64_t> last_event;
  uint64_t restarts = 0;
  for (const CorpusOperation& op : corpus.operations) {
    if (op.kind == OperationKind::kQuery) continue;
    const auto [last, first] = last_event.try_emplace(op.worker_id, op.event_id);
    if (!first && op.event_id == 0) {
      ++restarts;
      EXPECT_EQ(op.kind, OperationKind::kCleared);
    } else if (!first) {
      EXPECT_EQ(op.event_id, last->second + 1);
    }
    last->second = op.event_id;
  }
  EXPECT_GT(restarts, 0u);
}

// Engines publish a prompt in steps and what they decode block by block, many requests in turns.
TEST_F(CorpusBuilderTest, InStepsAFleetPublishesOnlyWhatItHolds) {
  CorpusOptions options = SmallFleet();
  options.store_blocks = 3;
  CorpusOptions with_mischief = options;
  with_mischief.holes = with_mischief.duplicates = 0.1;
  with_mischief.restarts = with_mischief.clears = 0.01;
  CorpusOptions with_tiers = options;
  with_tiers.cpu_blocks_per_worker = 252;
  for (const CorpusOptions& fleet : {options, with_mischief, with_tiers}) {
    const ModelRun run = RunOnModel(Build(fleet));
    EXPECT_EQ(run.unknown_parents, 0u);
    EXPECT_EQ(run.unknown_removals, 0u);
  }
}

TEST_F(CorpusBuilderTest, RequestsUnderWayTakeTurns) {
  CorpusOptions options = SmallFleet();
  options.store_blocks = 3;
  const Corpus corpus = Build(options);
  EXPECT_TRUE(std::is_sorted(corpus.operations.begin(), corpus.operations.end(),
                             [](const CorpusOperation& a, const CorpusOperation& b) {
                               return a.deadline_ns < b.deadline_ns;
                             }));
  size_t single = 0, steps = 0, in_turns = 0;
  std::map<uint64_t, EngineHash> last_stored;  // by worker
  for (const CorpusOperation& op : corpus.operations) {
    if (op.kind != OperationKind::kStored) continue;
    EXPECT_LE(op.length, options.store_blocks);
    ++steps;
    single += op.length == 1;
    const auto [last, first] = last_stored.try_emplace(op.worker_id);
    in_turns += !first && op.has_parent && op.parent != last->second;
    last->second = corpus.StoredEngineHashes(op).back();
  }
  EXPECT_GT(single, steps / 20);
  EXPECT_GT(in_turns, steps / 4);
}

// With room for everything, what is stored of prompts is what is stored of whole ones, but for
// those that were under way at the end.
TEST_F(CorpusBuilderTest, StepsAreTheWholeInParts) {
  CorpusOptions options = SmallFleet();
  options.blocks_per_worker = 100'000;
  const Corpus whole = Build(options);
  options.store_blocks = 3;
  options.step_ms = 1;
  options.token_ms = 1'000'000;  // nobody gets to decode anything
  const Corpus in_steps = Build(options);
  const auto blocks = [](const Corpus& corpus) {
    std::set<std::pair<uint64_t, LocalHash>> stored;
    for (const CorpusOperation& op : corpus.operations) {
      if (op.kind != OperationKind::kStored) continue;
      for (const LocalHash local : corpus.StoredLocalHashes(op)) {
        stored.emplace(op.worker_id, local);
      }
    }
    return stored;
  };
  EXPECT_GT(in_steps.totals.stored_events, 2 * whole.totals.stored_events);
  const auto all = blocks(whole);
  const auto parts = blocks(in_steps);
  EXPECT_TRUE(std::includes(all.begin(), all.end(), parts.begin(), parts.end()));
  EXPECT_GT(parts.size(), all.size() * 95 / 100);
}

TEST_F(CorpusBuilderTest, OrdersByDeadlineQueriesFirstThenWorker) {
  const Corpus corpus = Build(SmallFleet());
  const auto key = [](const CorpusOperation& op) {
    return std::tuple(op.deadline_ns, op.kind != OperationKind::kQuery, op.worker_id);
  };
  EXPECT_TRUE(std::is_sorted(
      corpus.operations.begin(), corpus.operations.end(),
      [&](const CorpusOperation& a, const CorpusOperation& b) { return key(a) < key(b); }));
  EXPECT_EQ(corpus.operations.back().deadline_ns, corpus.header.reference_window_ns);
}

TEST_F(CorpusBuilderTest, WorkersOfDifferentSchemesShareNoEngineHash) {
  CorpusOptions options = SmallFleet();
  options.hash_scheme = CorpusHashScheme::kPerWorker;
  const Corpus corpus = Build(options);
  std::map<EngineHash, uint64_t> owner;
  for (const CorpusOperation& op : corpus.operations) {
    if (op.kind != OperationKind::kStored) continue;
    for (const EngineHash hash : corpus.StoredEngineHashes(op)) {
      ASSERT_EQ(owner.try_emplace(hash, op.worker_id).first->second, op.worker_id);
    }
  }
}

TEST_F(CorpusBuilderTest, CacheAwarePlacementReusesMore) {
  CorpusOptions options = SmallFleet();
  options.blocks_per_worker = 4'000;
  const uint64_t random = Build(options).totals.stored_blocks;
  options.placement = CorpusPlacementPolicy::kCacheAware;
  const uint64_t aware = Build(options).totals.stored_blocks;
  EXPECT_LT(static_cast<double>(aware), 0.9 * static_cast<double>(random));
}

}  // namespace
}  // namespace kvroute
