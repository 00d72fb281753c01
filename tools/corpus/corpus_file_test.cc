#include "tools/corpus/corpus_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tools/corpus/corpus_writer.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

class CorpusFileTest : public testing::Test {
 protected:
  CorpusFileTest()
      : path_(testing::TempDir() + "corpus_file_test." + std::to_string(getpid()) + ".bin") {}
  ~CorpusFileTest() override { std::filesystem::remove(path_); }

  // One operation of each kind.
  void WriteSmall(bool with_tiers = false) {
    absl::StatusOr<std::unique_ptr<CorpusWriter>> writer = CorpusWriter::Create(path_, with_tiers);
    ASSERT_TRUE(writer.ok()) << writer.status();
    CorpusOperation op;
    op.deadline_ns = 5;
    op.worker_id = 1;
    (*writer)->AddQuery(op, {LocalHash(11), LocalHash(12)});
    op.dp_rank = 3;
    op.event_id = 7;
    op.has_parent = op.has_start_position = true;
    op.parent = EngineHash(20);
    op.start_position = 1;
    if (with_tiers) op.tier = Tier::kDisk;
    (*writer)->AddStored(op, {EngineHash(21)}, {LocalHash(12)});
    (*writer)->AddRemoved(op, {EngineHash(20), EngineHash(21)});
    (*writer)->AddCleared(op);
    CorpusHeader header;
    header.block_size_tokens = 16;
    header.reference_window_ns = 1'000;
    header.logical_workers = 2;
    header.trace_path = "abc";
    ASSERT_TRUE((*writer)->Finish(header).ok());
  }

  std::string Bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void Rewrite(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  const std::string path_;
};

// The layout is shared with other systems' harnesses: the offsets are part of it.
TEST_F(CorpusFileTest, LaysBytesOutAsThePublicFormatSays) {
  ASSERT_NO_FATAL_FAILURE(WriteSmall());
  const std::string bytes = Bytes();
  const auto u64 = [&](size_t offset) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
    return value;
  };
  EXPECT_EQ(bytes.substr(0, 8), "SMGMCK01");
  EXPECT_EQ(u64(8), uint64_t{16} << 32 | 1);  // u32 version, u32 block size
  EXPECT_EQ(u64(16), 1'000u);
  EXPECT_EQ(u64(48), 2u);   // workers
  EXPECT_EQ(u64(56), 1u);   // requests
  EXPECT_EQ(u64(104), 2u);  // removed blocks
  EXPECT_EQ(u64(112), 3u);
  EXPECT_EQ(bytes.substr(120, 3), "abc");
  EXPECT_EQ(u64(123), 2u);   // query hashes
  EXPECT_EQ(u64(147), 1u);   // stored pairs
  EXPECT_EQ(u64(155), 21u);  // block hash before tokens hash
  EXPECT_EQ(u64(171), 2u);   // removed hashes
  EXPECT_EQ(u64(195), 4u);   // operations
  constexpr size_t kQuery = 4 + 8 + 8 + 1 + 8 + 4;
  constexpr size_t kStored = 4 + 8 + 8 + 1 + 4 + 8 + 1 + 8 + 1 + 4 + 8 + 4;
  constexpr size_t kRemoved = 4 + 8 + 8 + 1 + 4 + 8 + 8 + 4;
  constexpr size_t kCleared = 4 + 8 + 8 + 1 + 4 + 8;
  EXPECT_EQ(bytes.size(), 203 + kQuery + kStored + kRemoved + kCleared);
}

TEST_F(CorpusFileTest, ReadsBackWhatWasWritten) {
  ASSERT_NO_FATAL_FAILURE(WriteSmall());
  const absl::StatusOr<Corpus> corpus = Corpus::Read(path_);
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(corpus->header.trace_path, "abc");
  ASSERT_EQ(corpus->operations.size(), 4u);
  const CorpusOperation& stored = corpus->operations[1];
  EXPECT_EQ(stored.kind, OperationKind::kStored);
  EXPECT_EQ(stored.parent, EngineHash(20));
  EXPECT_EQ(stored.dp_rank, 3u);
  EXPECT_EQ(corpus->StoredLocalHashes(stored)[0], LocalHash(12));
  EXPECT_EQ(corpus->Query(corpus->operations[0])[1], LocalHash(12));
  EXPECT_EQ(corpus->Removed(corpus->operations[2])[0], EngineHash(20));
  EXPECT_EQ(corpus->totals.removed_blocks, 2u);
}

// Version 2 has a byte more behind the event id of what is stored and removed.
TEST_F(CorpusFileTest, SaysWhichTierAnOperationIsAbout) {
  ASSERT_NO_FATAL_FAILURE(WriteSmall());
  const size_t without = Bytes().size();
  ASSERT_NO_FATAL_FAILURE(WriteSmall(true));
  std::string bytes = Bytes();
  EXPECT_EQ(bytes.size(), without + 2);
  EXPECT_EQ(bytes[8], 2);
  const absl::StatusOr<Corpus> corpus = Corpus::Read(path_);
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(corpus->operations[0].tier, Tier::kGpu);
  EXPECT_EQ(corpus->operations[1].tier, Tier::kDisk);
  EXPECT_EQ(corpus->operations[1].parent, EngineHash(20));
  EXPECT_EQ(corpus->operations[2].tier, Tier::kDisk);
  constexpr size_t kTierOfStored = 203 + (4 + 8 + 8 + 1 + 8 + 4) + (4 + 8 + 8 + 1 + 4 + 8);
  EXPECT_EQ(bytes[kTierOfStored], static_cast<char>(Tier::kDisk));
  bytes[kTierOfStored] = static_cast<char>(Tier::kUnknown);
  Rewrite(bytes);
  EXPECT_FALSE(Corpus::Read(path_).ok());
}

TEST_F(CorpusFileTest, RefusesEveryTruncation) {
  ASSERT_NO_FATAL_FAILURE(WriteSmall());
  const std::string bytes = Bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    Rewrite(bytes.substr(0, size));
    const absl::StatusOr<Corpus> corpus = Corpus::Read(path_);
    ASSERT_EQ(corpus.status().code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_THAT(std::string(corpus.status().message()), HasSubstr(path_));
  }
}

TEST_F(CorpusFileTest, RefusesEveryLyingField) {
  ASSERT_NO_FATAL_FAILURE(WriteSmall());
  const std::string bytes = Bytes();
  // magic, version, a total, each of the four counts, an operation's id, worker, kind and range
  for (const size_t offset : {0, 8, 56, 112, 123, 147, 171, 195, 203, 215, 223, 224, 232}) {
    std::string broken = bytes;
    broken[offset] = static_cast<char>(broken[offset] ^ 0x70);
    Rewrite(broken);
    EXPECT_FALSE(Corpus::Read(path_).ok()) << offset;
  }
  Rewrite(bytes + "x");
  EXPECT_FALSE(Corpus::Read(path_).ok());
}

TEST_F(CorpusFileTest, NamesAMissingFile) {
  EXPECT_EQ(Corpus::Read(path_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(CorpusWriter::Create("/nonexistent/corpus").ok());
}

}  // namespace
}  // namespace kvroute
