#include "indexer/event/block_hasher.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "test/support/vectors.h"

namespace kvroute {
namespace {

// The 32 tokens of hashes.json: two blocks of 16.
const std::vector<TokenId> kTokens = {
    151644, 872, 198, 9064, 374, 279, 6722, 315, 5616, 30,  151645, 198, 151644, 77091, 198, 151667,
    100,    101, 102, 103,  104, 105, 106,  107, 108,  109, 110,    111, 112,    113,   114, 115};

absl::Span<const TokenId> Block(size_t index) {
  return absl::MakeConstSpan(kTokens).subspan(16 * index, 16);
}

std::string Hex(const Digest& digest) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

TEST(BlockHasher, VllmChainsFromTheSeedOverTokens) {
  BlockHasher hasher(HashScheme::kVllmSha256Cbor, "0");
  const Digest first = hasher.Hash(nullptr, Block(0));
  const Digest second = hasher.Hash(&first, Block(1));
  EXPECT_EQ(Hex(first), "01d05b6f65e01869495b2fea10fc39faaf80fd6592bda930d20799bf0f09a40d");
  EXPECT_EQ(VllmEventHash(first), 15134234118671934477u);
  EXPECT_EQ(Hex(second), "1416145aef72626c6e4cbaa6570fe81bbfc8b28377c5261d3d9940d100d5a115");
  EXPECT_EQ(VllmEventHash(second), 4438650174156677397u);
}

TEST(BlockHasher, VllmHashesTheLoraNameEverywhereAndTheSaltOnceAtTheRoot) {
  BlockHasher hasher(HashScheme::kVllmSha256Cbor, "vllm-none-hash");
  const HashNamespace lora{.lora_name = "sql-adapter", .cache_salt = {}};
  const Digest with_lora = hasher.Hash(nullptr, Block(0), lora);
  EXPECT_EQ(VllmEventHash(with_lora), 4328826003002352584u);
  EXPECT_EQ(VllmEventHash(hasher.Hash(&with_lora, Block(1), lora)), 1038564926023992056u);

  const HashNamespace salt{.lora_name = {}, .cache_salt = "tenant-a"};
  const Digest salted = hasher.Hash(nullptr, Block(0), salt);
  EXPECT_EQ(VllmEventHash(salted), 10664053700115598240u);
  EXPECT_EQ(VllmEventHash(hasher.Hash(&salted, Block(1), salt)), 13351134117619444414u);
  EXPECT_EQ(hasher.Hash(&salted, Block(1), salt), hasher.Hash(&salted, Block(1)));
}

TEST(BlockHasher, SglangChainsAndStartsFromTheSalt) {
  BlockHasher hasher(HashScheme::kSglangSha256);
  const Digest first = hasher.Hash(nullptr, Block(0));
  EXPECT_EQ(Hex(first), "26f200c48c507f7f1be587e2de14b6fbdf99a370c143b278698092c6d0c0704d");
  EXPECT_EQ(SglangEventHash(first), 2806306361972916095);
  EXPECT_EQ(SglangEventHash(hasher.Hash(&first, Block(1))), 7230793887415234912);

  const HashNamespace salt{.lora_name = {}, .cache_salt = "tenant-a"};
  const Digest salted = hasher.Hash(nullptr, Block(0), salt);
  EXPECT_EQ(SglangEventHash(salted), 4260322780772766375);
  EXPECT_EQ(SglangEventHash(hasher.Hash(&salted, Block(1), salt)), 8931953891186575659);
}

TEST(BlockHasher, EventHashesReadOppositeEndsOfTheDigest) {
  Digest digest{};
  for (size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<uint8_t>(i);
  digest[0] = 0x80;
  EXPECT_EQ(VllmEventHash(digest), 1736447835066146335u);
  EXPECT_EQ(SglangEventHash(digest), INT64_MIN + 283686952306183);
}

// Every case of the vectors that these two schemes cover.
TEST(BlockHasher, EqualsTheVectors) {
  const nlohmann::json vectors = ReadVectorJson("hashes.json");
  const auto tokens = vectors.at("tokens").get<std::vector<TokenId>>();
  int cases = 0;
  for (const auto& entry : vectors.at("vllm")) {
    const std::string keys = entry.at("extra_keys");
    if (entry.at("algo") != "sha256_cbor" || (keys != "none" && keys != "lora" && keys != "salt"))
      continue;
    const HashNamespace names{.lora_name = keys == "lora" ? "sql-adapter" : "",
                              .cache_salt = keys == "salt" ? "tenant-a" : ""};
    BlockHasher hasher(HashScheme::kVllmSha256Cbor, entry.at("seed").get<std::string>());
    std::optional<Digest> parent;
    for (size_t i = 0; i < entry.at("blocks").size(); ++i) {
      const auto block = absl::MakeConstSpan(tokens).subspan(16 * i, 16);
      parent = hasher.Hash(parent ? &*parent : nullptr, block, names);
      EXPECT_EQ(Hex(*parent), entry["blocks"][i].at("digest")) << keys << " block " << i;
    }
    ++cases;
  }
  for (const auto& entry : vectors.at("sglang")) {
    const std::string name = entry.at("case");
    const bool pairs = name == "eagle bigram";
    const HashNamespace names{.lora_name = {},
                              .cache_salt = name == "cache_salt tenant-a" ? "tenant-a" : ""};
    const size_t size = entry.at("page_size");
    BlockHasher hasher(HashScheme::kSglangSha256);
    std::optional<Digest> parent;
    for (size_t i = 0; i < entry.at("pages").size(); ++i) {
      const auto block = absl::MakeConstSpan(tokens).subspan(size * i, size);
      const auto ahead = absl::MakeConstSpan(tokens).subspan(size * (i + 1), pairs ? 1 : 0);
      parent = hasher.Hash(parent ? &*parent : nullptr, block, names, ahead);
      EXPECT_EQ(std::to_string(SglangEventHash(*parent)),
                entry["pages"][i].at("event_int_i64").get<std::string>());
    }
    ++cases;
  }
  EXPECT_EQ(cases, 9) << "3 extra-key cases x 2 seeds of vLLM, 3 of SGLang";
}

// Computed apart from this code, as vLLM 0.33 lays the tokens out in its default scheme, which is
// the same tuple in other bytes.
TEST(BlockHasher, VllmHashesTheTokensAheadBesideTheKeys) {
  const TokenId tokens[] = {1, 2, 300};
  BlockHasher hasher(HashScheme::kVllmSha256Cbor, "vllm-none-hash");
  const Digest plain = hasher.Hash(nullptr, absl::MakeConstSpan(tokens).first(2), {},
                                   absl::MakeConstSpan(tokens).last(1));
  EXPECT_EQ(Hex(plain), "b6bc919c66beb8154189e0706429317e6504ad943f7fde921cb3e666442f1617");
  const HashNamespace names{.lora_name = "sql", .cache_salt = "tenant"};
  const Digest keyed = hasher.Hash(nullptr, absl::MakeConstSpan(tokens).first(2), names,
                                   absl::MakeConstSpan(tokens).last(1));
  EXPECT_EQ(Hex(keyed), "9498d9ea64abf528cf5089128c81949a829e1fffe6c556525a9ded9e49decbce");
}

}  // namespace
}  // namespace kvroute
