#include "indexer/event/event_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "test/support/vectors.h"

namespace kvroute {
namespace {

constexpr double kTs = 1757500000.25;

Digest FromHex(absl::string_view hex) {
  const std::string bytes = absl::HexStringToBytes(hex);
  Digest digest{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), digest.size()), digest.begin());
  return digest;
}

// The blocks of the vectors: two hashes, a parent, tokens 100, 101, …
const Digest kFirst = FromHex("1ca3c063ae95ef8d4f6d50f694a5df3b47df5a4aec6dada057c85c5dfdff0090");
const Digest kSecond = FromHex("87a4658e4596d0b1dd21cbd06afbcc9df78a21a6c031fcf742cfd41a689aa4f4");
const Digest kParent = FromHex("99fbc1ee808dacc1e24e4e5c2d5648a81417917613c07059cd70e0339faaa340");
const Digest kOtherGroup =
    FromHex("00000000000000000000000000000000000000000000000021163445e4756c5b");

Digest VllmDigest(uint64_t event_hash) {
  Digest digest{};
  for (size_t i = 0; i < 8; ++i) digest[24 + i] = static_cast<uint8_t>(event_hash >> (8 * (7 - i)));
  return digest;
}

Digest SglangDigest(int64_t event_hash) {
  Digest digest{};
  for (size_t i = 0; i < 8; ++i)
    digest[i] = static_cast<uint8_t>(static_cast<uint64_t>(event_hash) >> (8 * (7 - i)));
  return digest;
}

class EventEncoderTest : public testing::Test {
 protected:
  EventEncoderTest() : tokens_(32) { std::iota(tokens_.begin(), tokens_.end(), 100); }

  StoredBlocks Stored(std::vector<Digest> digests) {
    const std::vector<Digest>& hashes = kept_.emplace_back(std::move(digests));
    StoredBlocks blocks;
    blocks.hashes = hashes;
    blocks.token_ids = absl::MakeConstSpan(tokens_).first(16 * hashes.size());
    blocks.block_size_tokens = 16;
    return blocks;
  }

  // Encodes what `write` adds and compares with the vector's bytes.
  template <typename Write>
  void ExpectVector(const std::string& name, const WireFormat& format, std::optional<uint32_t> rank,
                    Write write) {
    const std::string expected = ReadVector("valid/" + name + ".msgpack");
    EventEncoder encoder(format);
    write(&encoder);
    std::string payload = "left over";
    encoder.Finish(kTs, rank, &payload);
    EXPECT_EQ(absl::BytesToHexString(payload), absl::BytesToHexString(expected)) << name;
  }

  std::vector<TokenId> tokens_;
  std::deque<std::vector<Digest>> kept_;  // what the blocks' spans point into
};

TEST_F(EventEncoderTest, PositionalVersionsEqualTheVectors) {
  const auto positional = [](int length) {
    return WireFormat{
        .style = WireStyle::kVllmPositional, .positional_length = length, .rank_in_batch = true};
  };
  WireFormat v090 = positional(6);
  v090.rank_in_batch = false;
  ExpectVector("vllm_v090_cleared", v090, std::nullopt,
               [](EventEncoder* encoder) { encoder->Cleared(); });
  ExpectVector("vllm_v091_dp3", positional(6), 3,
               [&](EventEncoder* encoder) { encoder->Stored(Stored({VllmDigest(42)})); });
  ExpectVector("vllm_v0102_stored_int", positional(7), 0, [&](EventEncoder* encoder) {
    encoder->Stored(Stored({kFirst, kSecond}));
  });
  ExpectVector("vllm_v0102_removed_medium_nil", positional(7), 0, [&](EventEncoder* encoder) {
    encoder->Removed({.hashes = {&kFirst, 1}, .medium = std::nullopt, .group_idx = {}});
  });
  ExpectVector("vllm_v014_lora_name", positional(8), 0, [&](EventEncoder* encoder) {
    StoredBlocks blocks = Stored({kFirst});
    blocks.lora_id = 3;
    blocks.names.lora_name = "sql-adapter";
    encoder->Stored(blocks);
  });
  ExpectVector("vllm_v017_extra_keys_nil", positional(9), 0,
               [&](EventEncoder* encoder) { encoder->Stored(Stored({kFirst})); });
  ExpectVector("vllm_v020_group_idx", positional(10), 0, [&](EventEncoder* encoder) {
    StoredBlocks blocks = Stored({kFirst});
    blocks.extra_keys = false;
    encoder->Stored(blocks);
    encoder->Removed({.hashes = {&kFirst, 1}});
  });
  ExpectVector("vllm_v022_spec_kind", positional(12), 0, [&](EventEncoder* encoder) {
    encoder->Stored(Stored({kFirst}));
    StoredBlocks window = Stored({kOtherGroup});
    window.token_ids = tokens_;
    window.group_idx = 1;
    window.spec_kind = "sliding_window";
    window.sliding_window = 128;
    encoder->Stored(window);
  });
}

TEST_F(EventEncoderTest, VllmMapsEqualTheVectors) {
  const WireFormat map{.style = WireStyle::kVllmMap};
  ExpectVector("vllm_v024_stored_full_attention", map, 0, [&](EventEncoder* encoder) {
    StoredBlocks blocks = Stored({kFirst, kSecond});
    blocks.parent = &kParent;
    encoder->Stored(blocks);
  });
  ExpectVector("vllm_v024_stored_required_only", map, 0, [&](EventEncoder* encoder) {
    StoredBlocks blocks = Stored({kFirst, kSecond});
    blocks.extra_keys = false;
    blocks.group_idx.reset();
    blocks.spec_kind.reset();
    encoder->Stored(blocks);
  });
  ExpectVector("vllm_v024_removed_cleared", map, 0, [&](EventEncoder* encoder) {
    encoder->Removed({.hashes = {&kFirst, 1}});
    encoder->Cleared();
  });
  ExpectVector("vllm_v024_dp7", map, 7, [&](EventEncoder* encoder) { encoder->Cleared(); });
  ExpectVector("vllm_v024_bytes", {.style = WireStyle::kVllmBytes}, 0, [&](EventEncoder* encoder) {
    StoredBlocks blocks = Stored({kFirst, kSecond});
    blocks.parent = &kParent;
    encoder->Stored(blocks);
  });
}

TEST_F(EventEncoderTest, SglangMapsEqualTheVectors) {
  const WireFormat sglang{.style = WireStyle::kSglangMap};
  const std::vector<Digest> hashes = {SglangDigest(-6027424741621457181), SglangDigest(5)};
  ExpectVector("sglang_map_stored", sglang, 0,
               [&](EventEncoder* encoder) { encoder->Stored(Stored(hashes)); });
  const Digest nine = SglangDigest(9);
  ExpectVector("sglang_map_medium_absent", sglang, std::nullopt, [&](EventEncoder* encoder) {
    StoredBlocks blocks = Stored({nine});
    blocks.medium.reset();
    encoder->Stored(blocks);
    encoder->Removed({.hashes = {&nine, 1}, .medium = std::nullopt});
  });
}

TEST_F(EventEncoderTest, FinishStartsAnewAndKeepsNothing) {
  EventEncoder encoder({.style = WireStyle::kSglangMap});
  encoder.Cleared();
  EXPECT_EQ(encoder.event_count(), 1u);
  std::string first, second;
  encoder.Finish(kTs, 0, &first);
  EXPECT_EQ(encoder.event_count(), 0u);
  encoder.Finish(kTs, std::nullopt, &second);
  EXPECT_EQ(absl::BytesToHexString(first),
            "93cb41da30549810000091"
            "81a474797065"
            "b0416c6c426c6f636b73436c6561726564"
            "00");
  EXPECT_EQ(absl::BytesToHexString(second), "93cb41da30549810000090c0");
}

// The LoRA name is on every block, the salt only on the first block of a prompt.
TEST_F(EventEncoderTest, ExtraKeysFollowTheBlocks) {
  EventEncoder encoder({.style = WireStyle::kVllmMap});
  const std::vector<Digest> hashes = {kFirst, kSecond};
  StoredBlocks blocks = Stored(hashes);
  blocks.names = {.lora_name = "lo", .cache_salt = "sa"};
  std::string root, child;
  encoder.Stored(blocks);
  encoder.Finish(kTs, 0, &root);
  blocks.parent = &kParent;
  encoder.Stored(blocks);
  encoder.Finish(kTs, 0, &child);
  EXPECT_NE(root.find("extra_keys\x92\x92\xa2lo\xa2sa\x91\xa2lo"), std::string::npos);
  EXPECT_NE(child.find("extra_keys\x92\x91\xa2lo\x91\xa2lo"), std::string::npos);
}

TEST(WireStyle, NamesGoThereAndBack) {
  for (WireStyle style : {WireStyle::kVllmPositional, WireStyle::kVllmMap, WireStyle::kVllmBytes,
                          WireStyle::kSglangMap}) {
    EXPECT_EQ(ParseWireStyle(WireStyleName(style)), style);
  }
  EXPECT_EQ(ParseWireStyle("vllm"), std::nullopt);
}

}  // namespace
}  // namespace kvroute
