#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "indexer/base/limits.h"
#include "indexer/event/decoder.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;
using testing::ElementsAre;

constexpr uint64_t kEmptyTupleHash = 5'740'354'900'026'072'187u;

// What becomes of one event that is followed by a good one, which must be kept in any case.
class DecoderStored : public testing::Test {
 protected:
  DecodeReason ReasonFor(const std::string& event, EngineKind engine = EngineKind::kAuto) {
    decoder_ = std::make_unique<Decoder>(engine);
    payload_ = Batch({event, Removed(9)});
    EXPECT_EQ(decoder_->Decode(payload_, &batch_), DecodeReason::kOk);
    EXPECT_EQ(batch_.events.size() + batch_.skipped.size(), 2u);
    if (batch_.events.empty()) return DecodeReason::kEnvelope;
    EXPECT_EQ(batch_.events.back().position, 1u);
    EXPECT_THAT(batch_.events.back().block_hashes, ElementsAre(EngineHash(9)));
    return batch_.skipped.empty() ? DecodeReason::kOk : batch_.skipped[0].reason;
  }
  const Event& EventOf(const std::string& event, EngineKind engine = EngineKind::kAuto) {
    EXPECT_EQ(ReasonFor(event, engine), DecodeReason::kOk);
    return batch_.events[0];
  }
  DecodeReason ReasonWith(const Pairs& changes) { return ReasonFor(StoredMap(changes)); }
  const Event& EventWith(const Pairs& changes) { return EventOf(StoredMap(changes)); }

 private:
  std::unique_ptr<Decoder> decoder_;
  std::string payload_;
  DecodedBatch batch_;
};

TEST_F(DecoderStored, ReadsEveryFieldOfAMap) {
  const Event& event = EventWith({{"parent_block_hash", Uint(6)},
                                  {"lora_id", Uint(3)},
                                  {"medium", Str("cpu_Pinned")},
                                  {"lora_name", Str("sql")},
                                  {"cache_salt", Str("tenant")},
                                  {"group_idx", Uint(2)},
                                  {"kv_cache_spec_kind", Str("sliding_window")},
                                  {"kv_cache_spec_sliding_window", Uint(128)}});
  EXPECT_EQ(event.type, EventType::kStored);
  EXPECT_THAT(event.block_hashes, ElementsAre(EngineHash(7)));
  EXPECT_EQ(event.parent, EngineHash(6));
  EXPECT_THAT(event.token_ids, ElementsAre(100, 101, 102, 103));
  EXPECT_EQ(event.block_size, 4u);
  EXPECT_EQ(event.tokens_per_hash, 4u);
  EXPECT_EQ(event.lora_id, 3);
  EXPECT_EQ(event.tier, Tier::kCpu);
  EXPECT_EQ(event.medium, "cpu_Pinned");
  EXPECT_EQ(event.lora_name, "sql");
  EXPECT_EQ(event.cache_salt, "tenant");
  EXPECT_EQ(event.group_idx, 2u);
  EXPECT_EQ(event.spec_kind, "sliding_window");
  EXPECT_EQ(event.sliding_window, 128u);
  EXPECT_FALSE(IsFullAttention(event));
}

TEST_F(DecoderStored, ReadsEveryPositionOfAnArray) {
  const Event& event = EventOf(StoredArray(
      {Str("sql"), kNil, Uint(0), Str("mla_attention"), kNil, Str("later"), Map({{"k", kNil}})}));
  EXPECT_EQ(event.lora_name, "sql");
  EXPECT_EQ(event.group_idx, 0u);
  EXPECT_EQ(event.spec_kind, "mla_attention");
  EXPECT_EQ(event.sliding_window, std::nullopt);
  EXPECT_EQ(event.tokens_per_hash, 4u);
  EXPECT_TRUE(IsFullAttention(event));
}

TEST_F(DecoderStored, ShortestPositionalFormEndsWithTheBlockSize) {
  const std::vector<std::string> fields = {Hashes({7}), kNil, Tokens(1, 4), Uint(4)};
  for (size_t count = 0; count <= fields.size(); ++count) {
    std::vector<std::string> event = {Str("BlockStored")};
    event.insert(event.end(), fields.begin(), fields.begin() + static_cast<long>(count));
    EXPECT_EQ(ReasonFor(Array(event)),
              count == 4 ? DecodeReason::kOk : DecodeReason::kMissingField);
  }
}

TEST_F(DecoderStored, RequiredKeysAreRequiredAndOrderIsNot) {
  const Pairs pairs = {{"block_size", Uint(4)},
                       {"token_ids", Tokens(1, 4)},
                       {"parent_block_hash", kNil},
                       {"block_hashes", Hashes({7})}};
  for (size_t left_out = 0; left_out <= pairs.size(); ++left_out) {
    Pairs event = pairs;
    if (left_out < pairs.size()) event.erase(event.begin() + static_cast<long>(left_out));
    event.emplace_back("type", Str("BlockStored"));  // the last key
    EXPECT_EQ(ReasonFor(Map(event)),
              left_out == pairs.size() ? DecodeReason::kOk : DecodeReason::kMissingField);
  }
}

TEST_F(DecoderStored, HashesOfEveryFormFoldTo64Bits) {
  const std::string digest = std::string(24, 'x') + BigEndian(0x1122334455667788, 8);
  const std::string hashes =
      Array({Int(-1), Head(0xd0, 0x80, 1), Head(0xd1, 0x8000, 2), Head(0xd2, 0x80000000, 4),
             Head(0xcf, 5, 8), Head(0xcc, 200, 1), Bin(digest), Bin(digest.substr(16)),
             Bin(digest.substr(24)), Head(0xc5, 32, 2) + digest, Head(0xc6, 32, 4) + digest});
  const Event& event = EventWith({{"block_hashes", hashes}, {"token_ids", Array({})}});
  const EngineHash folded(0x1122334455667788);
  EXPECT_THAT(event.block_hashes,
              ElementsAre(EngineHash(~uint64_t{0}), EngineHash(~uint64_t{127}),
                          EngineHash(~uint64_t{0x7fff}), EngineHash(~uint64_t{0x7fffffff}),
                          EngineHash(5), EngineHash(200), folded, folded, folded, folded, folded));
}

TEST_F(DecoderStored, OtherHashesAreRefused) {
  for (const std::string& bad :
       {kNil, kTrue, Double(1), Str("12345678"), Bin(""), Bin("1234567"), Bin(std::string(33, 'x')),
        Ext("12345678"), Array({Uint(1)}), Map({})}) {
    EXPECT_EQ(ReasonWith({{"block_hashes", Array({Uint(3), bad})}}), DecodeReason::kBlockHashes);
    if (bad == kNil) continue;
    EXPECT_EQ(ReasonWith({{"parent_block_hash", bad}}), DecodeReason::kParent);
  }
  for (const std::string& bad : {kNil, Bin(std::string(32, 'x')), Map({}), Uint(1), Str("x")}) {
    EXPECT_EQ(ReasonWith({{"block_hashes", bad}}), DecodeReason::kBlockHashes);
  }
}

TEST_F(DecoderStored, TokensOfEveryWidth) {
  const std::string tokens =
      Array({Uint(127), Head(0xcc, 1, 1), Head(0xcd, 2, 2), Head(0xce, 3, 4), Head(0xcf, 4, 8),
             Head(0xd0, 5, 1), Head(0xd1, 6, 2), Head(0xd2, 7, 4), Head(0xd3, 8, 8),
             Uint(0xffff'ffff), Uint(65'536), Uint(0)});
  const Event& event = EventWith({{"token_ids", tokens}, {"block_size", Uint(12)}});
  EXPECT_THAT(event.token_ids, ElementsAre(127, 1, 2, 3, 4, 5, 6, 7, 8, 0xffff'ffff, 65'536, 0));
  EXPECT_FALSE(event.bigram);
}

TEST_F(DecoderStored, OtherTokensAreRefused) {
  for (const std::string& bad : {Int(-1), Uint(uint64_t{1} << 32), Double(1), kNil, kTrue, Str("a"),
                                 Bin("a"), Map({}), Array({Uint(1), Uint(2)})}) {
    EXPECT_EQ(ReasonWith({{"token_ids", Array({Uint(1), bad})}, {"block_size", Uint(2)}}),
              DecodeReason::kTokenIds);
  }
  for (const std::string& bad : {Str("abc"), Bin("abc"), Map({}), Uint(4)}) {
    EXPECT_EQ(ReasonWith({{"token_ids", bad}}), DecodeReason::kTokenIds);
  }
}

TEST_F(DecoderStored, BigramCellsGiveTheirFirstTokens) {
  const std::string cells =
      Array({Array({Uint(21), Uint(22)}), Head(0xdc, 2, 2) + Uint(22) + Uint(70'000)});
  const Event& event = EventWith({{"token_ids", cells}, {"block_size", Uint(2)}});
  EXPECT_TRUE(event.bigram);
  EXPECT_THAT(event.token_ids, ElementsAre(21, 22));
  EXPECT_EQ(event.bigram_last, 70'000u);
  const std::string good = Array({Uint(1), Uint(2)});
  for (const std::string& bad :
       {Array({Uint(1), Uint(2), Uint(3)}), Array({Uint(1)}), Array({Uint(1), Int(-2)}),
        Array({Array({}), Uint(1)}), Uint(1), kNil, Array({Uint(3), Uint(4)})}) {
    EXPECT_EQ(ReasonWith({{"token_ids", Array({good, bad})}, {"block_size", Uint(2)}}),
              DecodeReason::kTokenIds);
  }
}

TEST_F(DecoderStored, BlockSizeIsACountWithinItsLimit) {
  for (const std::string& bad : {Int(-16), Uint(uint64_t{1} << 63), Str("16"), Double(16), kTrue,
                                 Uint(limits::kMaxBlockSizeTokens + 1), Array({})}) {
    EXPECT_EQ(ReasonWith({{"block_size", bad}}), DecodeReason::kBlockSize);
  }
}

TEST_F(DecoderStored, WithoutTokensItOnlySaysWhoIsHeld) {
  for (const std::string& size : {Uint(0), Uint(16), kNil}) {
    const Event& event = EventWith({{"token_ids", Array({})}, {"block_size", size}});
    EXPECT_EQ(event.tokens_per_hash, 0u);
    EXPECT_EQ(event.has_block_size, size != kNil);
  }
  for (const std::string& size : {Uint(0), Uint(16), kNil}) {
    const Event& event = EventWith({{"token_ids", kNil}, {"block_size", size}});
    EXPECT_EQ(event.tokens_per_hash, 0u);
    EXPECT_TRUE(event.token_ids.empty());
    EXPECT_EQ(
        ReasonFor(Array({Str("BlockStored"), Hashes({7, 8}), kNil, kNil, size, kNil, Str("CPU")})),
        DecodeReason::kOk);
  }
}

TEST_F(DecoderStored, TokensWithoutABlockSizeAreOnlyOldSimulators) {
  EXPECT_EQ(ReasonWith({{"block_size", Uint(0)}}), DecodeReason::kBlockSize);
  EXPECT_EQ(ReasonWith({{"block_size", kNil}}), DecodeReason::kBlockSize);
  const auto positional = [](const std::string& tokens, const std::string& size) {
    return Array({Str("BlockStored"), Hashes({7, 8}), kNil, tokens, size});
  };
  const Event& event = EventOf(positional(Tokens(1, 8), Uint(0)));
  EXPECT_EQ(event.block_size, 0u);
  EXPECT_EQ(event.tokens_per_hash, 4u);
  EXPECT_EQ(ReasonFor(positional(Tokens(1, 7), Uint(0))), DecodeReason::kBlockSize);
  EXPECT_EQ(ReasonFor(positional(Tokens(1, 8), kNil)), DecodeReason::kBlockSize);
  EXPECT_EQ(ReasonFor(Array({Str("BlockStored"), Hashes({7}), kNil, Tokens(1, 4), Uint(0), kNil,
                             Str("GPU"), kNil, kNil, Uint(0)})),
            DecodeReason::kBlockSize);  // it knows groups, so it knows its block size
}

TEST_F(DecoderStored, TokensMustCoverTheHashes) {
  const auto reason = [this](uint32_t tokens, uint64_t group, const std::string& kind) {
    return ReasonWith({{"token_ids", Tokens(1, tokens)},
                       {"group_idx", Uint(group)},
                       {"kv_cache_spec_kind", kind}});
  };
  for (const char* kind : {"full_attention", "mla_attention", "sink_full_attention"}) {
    EXPECT_EQ(reason(5, 1, Str(kind)), DecodeReason::kTokenCount);
  }
  EXPECT_EQ(reason(5, 0, kNil), DecodeReason::kTokenCount);
  EXPECT_EQ(reason(3, 0, kNil), DecodeReason::kTokenCount);
  EXPECT_EQ(reason(3, 1, Str("sliding_window")), DecodeReason::kTokenCount);
  EXPECT_EQ(reason(5, 1, kNil), DecodeReason::kOk);
  EXPECT_EQ(reason(5, 0, Str("mamba")), DecodeReason::kOk);
}

TEST_F(DecoderStored, FewerHashesThanTheTokensSpanAreNeverSliced) {
  for (const char* kind : {"full_attention", "sliding_window"}) {
    const Event& event =
        EventWith({{"token_ids", Tokens(1, 12)}, {"kv_cache_spec_kind", Str(kind)}});
    EXPECT_EQ(event.tokens_per_hash, 0u);
    EXPECT_EQ(event.token_ids.size(), 12u);
  }
  const Event& masked = EventWith({{"block_hashes", Array({})}});
  EXPECT_EQ(masked.tokens_per_hash, 0u);
}

TEST_F(DecoderStored, AParentAmongItsOwnBlocksIsRefused) {
  const std::string eight = Tokens(1, 8);
  EXPECT_EQ(ReasonWith({{"parent_block_hash", Uint(7)}}), DecodeReason::kSelfParent);
  EXPECT_EQ(
      ReasonWith(
          {{"block_hashes", Hashes({8, 7})}, {"token_ids", eight}, {"parent_block_hash", Uint(7)}}),
      DecodeReason::kSelfParent);
  EXPECT_EQ(ReasonWith({{"block_hashes", Hashes({7, 7})}, {"token_ids", eight}}),
            DecodeReason::kSelfParent);
}

TEST_F(DecoderStored, WaysToSayFirstBlockWithoutNil) {
  EXPECT_EQ(EventWith({{"parent_block_hash", Uint(0)}}).parent, std::nullopt);
  EXPECT_EQ(EventWith({{"parent_block_hash", Uint(0)}}).published_parent, EngineHash(0));

  const EngineHash empty_tuple(kEmptyTupleHash);
  const std::string positional =
      Array({Str("BlockStored"), Hashes({7}), Uint(kEmptyTupleHash), Tokens(1, 4), Uint(4)});
  const std::string map = StoredMap({{"parent_block_hash", Uint(kEmptyTupleHash)}});
  EXPECT_EQ(EventOf(positional).parent, std::nullopt);
  EXPECT_EQ(EventOf(positional, EngineKind::kSglang).parent, std::nullopt);
  EXPECT_EQ(EventOf(positional, EngineKind::kVllm).parent, empty_tuple);
  EXPECT_EQ(EventOf(map, EngineKind::kSglang).parent, std::nullopt);
  EXPECT_EQ(EventOf(map).parent, empty_tuple);
  EXPECT_EQ(EventOf(map).published_parent, empty_tuple);
}

TEST_F(DecoderStored, OtherFieldsOfTheWrongTypeOrBeyondTheirLimit) {
  const std::string too_long = Str(std::string(limits::kMaxNamespaceBytes + 1, 'x'));
  for (const std::string& bad : {Uint(1), Bin("x"), Array({}), too_long, Str("\xff\xfe"),
                                 Str("\xc0\x80"), Str("\xed\xa0\x80"), Str("\xf4\x90\x80\x80")}) {
    EXPECT_EQ(ReasonWith({{"medium", bad}}), DecodeReason::kMedium);
    EXPECT_EQ(ReasonWith({{"lora_name", bad}}), DecodeReason::kField);
    EXPECT_EQ(ReasonWith({{"cache_salt", bad}}), DecodeReason::kField);
    EXPECT_EQ(ReasonWith({{"kv_cache_spec_kind", bad}}), DecodeReason::kField);
  }
  for (const std::string& bad : {Int(-1), Uint(uint64_t{1} << 32), Str("0"), kTrue, Double(0)}) {
    EXPECT_EQ(ReasonWith({{"group_idx", bad}}), DecodeReason::kGroup);
    EXPECT_EQ(ReasonWith({{"kv_cache_spec_sliding_window", bad}}), DecodeReason::kField);
  }
  EXPECT_EQ(ReasonWith({{"lora_id", Str("3")}}), DecodeReason::kField);
  EXPECT_EQ(ReasonWith({{"lora_id", Uint(~uint64_t{0})}}), DecodeReason::kField);
  EXPECT_EQ(ReasonWith({{"extra_keys", Str("salt")}}), DecodeReason::kField);
}

TEST_F(DecoderStored, SlotSevenIsDecidedByItsType) {
  const Event& vllm = EventOf(StoredArray({Str("sql"), kNil, Uint(1)}));
  EXPECT_EQ(vllm.lora_name, "sql");
  EXPECT_EQ(vllm.group_idx, 1u);
  for (const EngineKind engine : {EngineKind::kAuto, EngineKind::kSglang}) {
    const std::string metadata = Map({{"future", Array({kNil})}, {"cache_salt", Str("tenant")}});
    const Event& sglang = EventOf(StoredArray({metadata, Str("not extra keys")}), engine);
    EXPECT_EQ(sglang.cache_salt, "tenant");
    EXPECT_EQ(sglang.lora_name.data(), nullptr);
  }
  EXPECT_EQ(ReasonFor(StoredArray({Map({}), Str("not extra keys")})), DecodeReason::kOk);
  EXPECT_EQ(ReasonFor(StoredArray({Map({{"cache_salt", Uint(1)}})})), DecodeReason::kField);
  EXPECT_EQ(ReasonFor(StoredArray({Map({{"cache_salt", Str("a")}, {"cache_salt", Str("a")}})})),
            DecodeReason::kDuplicateKey);
  EXPECT_EQ(ReasonFor(StoredArray({Array({})})), DecodeReason::kField);
}

// Events in vLLM's order of fields are read by a way of their own, as far as they keep to it.
TEST_F(DecoderStored, TheOrderOfTheFieldsOfAMapMeansNothing) {
  const Pairs pairs = {{"type", Str("BlockStored")},
                       {"block_hashes", Array({Uint(7)})},
                       {"parent_block_hash", Uint(6)},
                       {"token_ids", Array({Uint(100), Uint(101), Uint(102), Uint(103)})},
                       {"block_size", Uint(4)},
                       {"lora_id", Uint(3)},
                       {"medium", Str("cpu")},
                       {"lora_name", Str("sql")},
                       {"extra_keys", Array({Array({Str("sql"), Str("salt")})})},
                       {"group_idx", Uint(2)},
                       {"kv_cache_spec_kind", Str("sliding_window")},
                       {"kv_cache_spec_sliding_window", Uint(128)}};
  std::mt19937 random(1);
  for (int turn = 0; turn < 200; ++turn) {
    Pairs some = pairs;
    if (turn % 3 == 1) some.insert(some.begin() + 1 + turn % 12, {"future", Array({kNil})});
    if (turn % 3 == 2) std::swap(some[1 + turn % 11], some[1 + turn % 7]);
    if (turn % 4 == 3) std::shuffle(some.begin(), some.end(), random);
    const Event& event = EventOf(Map(some));
    EXPECT_EQ(event.type, EventType::kStored) << turn;
    EXPECT_THAT(event.block_hashes, ElementsAre(EngineHash(7))) << turn;
    EXPECT_EQ(event.parent, EngineHash(6)) << turn;
    EXPECT_THAT(event.token_ids, ElementsAre(100, 101, 102, 103)) << turn;
    EXPECT_EQ(event.tokens_per_hash, 4u) << turn;
    EXPECT_EQ(event.lora_id, 3) << turn;
    EXPECT_EQ(event.tier, Tier::kCpu) << turn;
    EXPECT_EQ(event.lora_name, "sql") << turn;
    ASSERT_EQ(event.extra_keys.size(), 1u) << turn;
    EXPECT_THAT(event.extra_keys[0].strings, ElementsAre("salt")) << turn;
    EXPECT_EQ(event.group_idx, 2u) << turn;
    EXPECT_EQ(event.spec_kind, "sliding_window") << turn;
    EXPECT_EQ(event.sliding_window, 128u) << turn;

    Pairs twice = some;
    twice.insert(twice.begin() + 1 + turn % 12, pairs[1 + turn % 11]);
    EXPECT_EQ(ReasonFor(Map(twice)), DecodeReason::kDuplicateKey) << turn;
  }
}

}  // namespace
}  // namespace kvroute
