// Every payload of test/vectors/reported and test/vectors/captured/2026-11, taken from its bytes to
// the answer: what a prompt then finds, in which tier, and how far the stream may be believed.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/published_stream.h"
#include "test/support/vectors.h"

namespace kvroute {
namespace {

using namespace wire;

// With the payloads of test/vectors.
class VectorStream : public PublishedStream {
 public:
  using PublishedStream::PublishedStream;
  VectorStream& Apply(const std::vector<std::string>& events) {
    PublishedStream::Apply(events);
    return *this;
  }
  VectorStream& Reported(const std::string& name) {
    ApplyPayload(ReadVector(absl::StrCat("reported/", name, ".msgpack")));
    return *this;
  }
  VectorStream& Captured(const std::string& name) {
    ApplyPayload(ReadVector(absl::StrCat("captured/2026-11/", name, ".msgpack")));
    return *this;
  }
};

// ---- reported ----

TEST(ReportedVectors, MooncakesClearIsOfEverything) {
  VectorStream stream;
  stream.Reported("01a_stored_cpu_mooncake");
  EXPECT_EQ(stream.Found(TokensFrom(1, 8)), (Blocks{0, 2, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
  stream.Reported("01b_cleared_mooncake");
  EXPECT_EQ(stream.Found(TokensFrom(1, 8)), (Blocks{0, 0, 0, 0}));
  EXPECT_EQ(stream.Holdings(), 0u);
  EXPECT_EQ(stream.State(), kExactState);
}

// Blocks 1 and 2 on the gpu, of which 1 has a copy in the host's memory.
void HoldTwo(VectorStream* stream) {
  stream->Apply({StoredIn("GPU", {1, 2}, 4), StoredIn("CPU", {1}, 4)});
  ASSERT_EQ(stream->Found(TokensFrom(1, 8)), (Blocks{2, 0, 0, 0}));
}

TEST(ReportedVectors, AClearOfATierIsOfThatTier) {
  for (const char* name : {"02a_tier_clear_map", "02b_tier_clear_array"}) {
    VectorStream stream;
    HoldTwo(&stream);
    stream.Reported(name);
    EXPECT_EQ(stream.Found(TokensFrom(1, 8)), (Blocks{0, 1, 0, 0})) << name;
    EXPECT_EQ(stream.State(), kExactState) << name;
    EXPECT_EQ(stream.Holdings(), 1u);
    stream.Apply({RemovedFrom("CPU", {1})});
    EXPECT_EQ(stream.Holdings(), 0u);
  }
  for (const char* name : {"02c_all_clear_with_medium_map", "02d_all_clear_with_medium_array"}) {
    VectorStream stream;
    HoldTwo(&stream);
    stream.Reported(name);
    EXPECT_EQ(stream.Found(TokensFrom(1, 8)), (Blocks{2, 0, 0, 0})) << name;
    stream.Apply({RemovedFrom("GPU", {1, 2})});
    EXPECT_EQ(stream.Holdings(), 0u) << name;  // the copy has gone
    EXPECT_EQ(stream.State(), kExactState) << name;
  }
}

TEST(ReportedVectors, MediaOfTheFieldHaveTheirTiers) {
  for (const auto& [name, tier] : std::map<std::string, size_t>{{"FS", 2}, {"OBJ", 3}}) {
    VectorStream stream;
    stream.Apply({StoredIn("GPU", {11, 12}, 4)}).Reported("03_medium_" + name);
    EXPECT_EQ(stream.State(), kExactState);
    stream.Apply({RemovedFrom("GPU", {11, 12})});
    Blocks want(4);
    want[tier] = 2;
    EXPECT_EQ(stream.Found(TokensFrom(1, 8)), want) << name;
    EXPECT_EQ(stream.State(), kExactState);
  }
}

// A placeholder says which blocks, and not where they stand: where they are not held it is said.
TEST(ReportedVectors, WhatCannotBePlacedIsSaid) {
  for (const char* name : {"03_medium_FS", "03_medium_OBJ", "17_nil_tokens_copy"}) {
    VectorStream stream;
    stream.Reported(name);
    EXPECT_EQ(stream.Holdings(), 0u);
    EXPECT_EQ(stream.State(), "degraded unplaceable") << name;
  }
}

TEST(ReportedVectors, AChunkOfAnotherTierIsAsManyBlocks) {
  for (const uint32_t configured : {0u, 16u}) {
    VectorStream stream;
    stream.status().config.block_size_tokens = configured;
    stream.Apply({StoredIn("GPU", {100, 101, 102, 103}, 16)}).Reported("04_cpu_chunk_of_64");
    EXPECT_EQ(stream.Found(TokensFrom(1, 64)), (Blocks{4, 0, 0, 0}));
    EXPECT_EQ(stream.status().block_size_tokens.load(), 16u);
    stream.Apply({RemovedFrom("GPU", {100, 101, 102, 103})});
    EXPECT_EQ(stream.Found(TokensFrom(1, 64)), (Blocks{0, 4, 0, 0}));
    stream.Apply({RemovedFrom("CPU", {103})});
    EXPECT_EQ(stream.Holdings(), 0u);
    EXPECT_EQ(stream.State(), kExactState);
  }
}

TEST(ReportedVectors, BareIdentifiersAreHashedBare) {
  VectorStream stream;
  stream.Reported("10_bare_identifiers");
  const std::vector<TokenId> tokens = {
      1, 2, 3, 4, 5, 6, 151655, 151655, 151655, 151655, 151655, 151655, 151655, 151655, 7, 8};
  EXPECT_EQ(stream.Found(tokens, "", "", {{HashIdentifier("imgA"), 6, 14}}), (Blocks{4, 0, 0, 0}));
  EXPECT_EQ(stream.Found(tokens, "", "", {{HashIdentifier("imgB"), 6, 14}}), (Blocks{1, 0, 0, 0}));
  EXPECT_EQ(stream.Found(tokens), (Blocks{1, 0, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(ReportedVectors, NilTokensAreACopy) {
  VectorStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 4)}).Reported("17_nil_tokens_copy");
  EXPECT_EQ(stream.Found(TokensFrom(1, 8)), (Blocks{2, 0, 0, 0}));
  stream.Apply({RemovedFrom("GPU", {1, 2})});
  EXPECT_EQ(stream.Found(TokensFrom(1, 8)), (Blocks{0, 2, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

// ---- captured ----

const std::vector<TokenId> kVectorPrompt = TokensFrom(100, 160);

// Two blocks of 16 from the root without keys, whatever the form of their hashes; then none.
TEST(CapturedVectors, PlainStores) {
  for (const char* name : {"vllm033_plain_int", "vllm033_bytes32", "vllm033_bytes16",
                           "sglang0523_plain_session", "sglang0523_extra_key_default"}) {
    VectorStream stream;
    stream.Captured(name);
    EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{2, 0, 0, 0})) << name;
    EXPECT_EQ(stream.State(), kExactState) << name;
    stream.Captured("sglang0523_startup");
    EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{0, 0, 0, 0})) << name;
  }
}

// LoRA sql (id 3) and salt tenant-a, as far as each version says them.
TEST(CapturedVectors, LoraAndSaltOfEveryVersion) {
  struct Version {
    const char* name;
    const char* lora;
    const char* salt;
  };
  for (const Version& version : std::vector<Version>{{"vllm01011_builtin", "3", ""},
                                                     {"vllm01011_sha256_cbor_64bit", "3", ""},
                                                     {"vllm0102_sha256", "3", ""},
                                                     {"vllm0102_sha256_bytes", "3", ""},
                                                     {"vllm0140_sha256", "sql", ""},
                                                     {"vllm0170_sha256", "sql", "tenant-a"},
                                                     {"vllm0220_sha256", "sql", "tenant-a"},
                                                     {"vllm0250_sha256", "sql", "tenant-a"},
                                                     {"vllm0280_sha256", "sql", "tenant-a"},
                                                     {"vllm0300_sha256", "sql", "tenant-a"}}) {
    SCOPED_TRACE(version.name);
    VectorStream stream;
    stream.Captured(absl::StrCat(version.name, "_stored"));
    EXPECT_EQ(stream.Found(kVectorPrompt, version.lora, version.salt), (Blocks{2, 0, 0, 0}));
    EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{0, 0, 0, 0}));
    EXPECT_EQ(stream.State(), kExactState);
    stream.Captured(absl::StrCat(version.name, "_cleared"));
    EXPECT_EQ(stream.Holdings(), 0u);
    EXPECT_EQ(stream.State(), kExactState);
  }
  for (const char* name :
       {"vllm033_lora_salt", "sglang0523_lora_salt_default", "sglang0523_lora_salt_dynamo"}) {
    VectorStream stream;
    stream.Captured(name);
    EXPECT_EQ(stream.Found(kVectorPrompt, "sql", "tenant-a"), (Blocks{2, 0, 0, 0})) << name;
    EXPECT_EQ(stream.Found(kVectorPrompt, "sql"), (Blocks{0, 0, 0, 0})) << name;
    EXPECT_EQ(stream.State(), kExactState) << name;
    stream.Captured("vllm0200_sha256_cleared");
    EXPECT_EQ(stream.Holdings(), 0u) << name;
  }
}

TEST(CapturedVectors, EvictedBeforeTheStoreThatNeededTheRoom) {
  VectorStream stream;
  stream.Captured("vllm033_hybrid_swa");  // six blocks, of which the next takes some
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{6, 0, 0, 0}));
  stream.Captured("vllm033_evict_store");
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{0, 0, 0, 0}));
  EXPECT_EQ(stream.Found(TokensFrom(7'000, 288)), (Blocks{18, 0, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
  stream.Captured("vllm033_cleared_session");  // and then a store, in one batch
  EXPECT_EQ(stream.Found(TokensFrom(7'000, 288)), (Blocks{0, 0, 0, 0}));
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{1, 0, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(CapturedVectors, AllPagesOfANodeInOneRemoval) {
  VectorStream stream(EngineKind::kSglang);
  stream.Captured("sglang0523_plain_session");
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{2, 0, 0, 0}));
  stream.Captured("sglang0523_removed");
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{0, 0, 0, 0}));
  EXPECT_EQ(stream.Found(TokensFrom(4'000, 400)), (Blocks{25, 0, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(CapturedVectors, AnImageIsAtItsPlace) {
  VectorStream stream;
  stream.Captured("vllm033_multimodal");
  std::vector<TokenId> tokens = TokensFrom(100, 20);
  tokens.resize(50, 9);
  const uint64_t image = HashIdentifier("img-1");
  EXPECT_EQ(stream.Found(tokens, "", "", {{image, 20, 50}}), (Blocks{3, 0, 0, 0}));
  EXPECT_EQ(stream.Found(tokens, "", "", {{image, 21, 50}}), (Blocks{1, 0, 0, 0}));
  EXPECT_EQ(stream.Found(tokens), (Blocks{1, 0, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(CapturedVectors, TailsAreLeftOutAndTeachNothing) {
  for (const uint32_t configured : {0u, 64u}) {
    VectorStream stream;
    stream.status().config.block_size_tokens = configured;
    if (configured == 0) {
      stream.Captured("vllm033_partial_tail_1");
      EXPECT_EQ(stream.status().block_size_tokens.load(), 0u);
      EXPECT_EQ(stream.State(), kExactState);
    }
    const std::string full =
        StoredIn("GPU", {7'814'351'279'132'336'714u}, 64, 100, kNil, {{"group_idx", Uint(0)}});
    stream.Apply({full}).Captured("vllm033_partial_tail_1");
    // the prompt of 97: its tail continues that of 81
    stream.Apply({StoredIn("GPU", {97}, 16, 180, Uint(6'155'588'108'426'535'816u),
                           {{"group_idx", Uint(0)}})});
    EXPECT_EQ(stream.status().block_size_tokens.load(), 64u);
    EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{1, 0, 0, 0}));
    EXPECT_EQ(stream.State(), kExactState);
  }
}

TEST(CapturedVectors, PlaceholdersAreCopiesOfWhatTheGpuHolds) {
  VectorStream stream;
  stream.Captured("vllm033_plain_int").Captured("vllm033_cpu_placeholder");
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{2, 0, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
  stream.Apply({RemovedFrom("GPU", {15'126'711'022'707'342'677u, 3'356'471'519'746'799'895u})});
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{0, 2, 0, 0}));
}

TEST(CapturedVectors, SelfDescribingOffloadIsPlacedByItsTokens) {
  VectorStream stream;
  stream.Captured("vllm033_cpu_self_describing");
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{0, 8, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(CapturedVectors, AHostCopyOutlivesTheGpus) {
  VectorStream stream(EngineKind::kSglang);
  stream.Captured("sglang0523_hicache_backup");
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{2, 0, 0, 0}));
  stream.Apply({Map({{"type", Str("TierBlocksCleared")}, {"medium", Str("GPU")}})});
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{0, 2, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

// EAGLE: a block covers the token behind it, too.
TEST(CapturedVectors, PairsOfTokens) {
  VectorStream stream(EngineKind::kSglang);
  stream.status().config.bigram = true;
  stream.Captured("sglang0523_eagle");
  EXPECT_EQ(stream.Found(kVectorPrompt), (Blocks{2, 0, 0, 0}));
  std::vector<TokenId> other_end = kVectorPrompt;
  other_end[32] = 7;
  EXPECT_EQ(stream.Found(other_end), (Blocks{1, 0, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

// A block covers the token behind it, and an image that begins there.
TEST(CapturedVectors, TokensAheadOfABlock) {
  VectorStream plain;
  plain.Captured("vllm033_lookahead");
  EXPECT_EQ(plain.Found(kVectorPrompt), (Blocks{3, 0, 0, 0}));
  std::vector<TokenId> other_end = kVectorPrompt;
  other_end[48] = 7;
  EXPECT_EQ(plain.Found(other_end), (Blocks{2, 0, 0, 0}));
  EXPECT_EQ(plain.State(), kExactState);
  VectorStream image;
  image.Captured("vllm033_lookahead_multimodal");
  std::vector<TokenId> tokens = TokensFrom(100, 32);
  tokens.resize(80, 9);
  EXPECT_EQ(image.Found(tokens, "", "", {{HashIdentifier("img-1"), 32, 80}}), (Blocks{3, 0, 0, 0}));
  EXPECT_EQ(image.Found(tokens, "", "", {{HashIdentifier("img-2"), 32, 80}}), (Blocks{1, 0, 0, 0}));
  EXPECT_EQ(image.State(), kExactState);
}

// ---- all of them ----

// Each is read by a test above: a new one needs one. Of a version's store and clear only the
// version may be named.
TEST(AllVectors, AreReadByTheseTests) {
  std::ifstream source("indexer/stream/stream_vectors_test.cc");
  const std::string text{std::istreambuf_iterator<char>(source), std::istreambuf_iterator<char>()};
  size_t payloads = 0;
  for (const char* folder : {"test/vectors/reported", "test/vectors/captured/2026-11"}) {
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      if (file.path().extension() != ".msgpack") continue;
      ++payloads;
      std::string name = file.path().stem();
      for (const char* end : {"_stored", "_cleared"}) {
        if (name.ends_with(end) && text.find(name) == std::string::npos)
          name.resize(name.rfind('_'));
      }
      if (name.starts_with("03_medium_")) name = "03_medium_";
      EXPECT_TRUE(text.find(name) != std::string::npos) << name;
    }
  }
  EXPECT_GE(payloads, 53u);
}

}  // namespace
}  // namespace kvroute
