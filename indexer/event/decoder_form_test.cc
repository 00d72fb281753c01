// What the form of a stored event says of its engine: the tokens behind a block that its hash
// covers, and which kinds of keys it would name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "indexer/base/limits.h"
#include "indexer/event/decoder.h"
#include "test/support/vectors.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;
using testing::ElementsAre;

class DecoderFormTest : public testing::Test {
 protected:
  DecodeReason Decode(const std::string& payload, EngineKind engine = EngineKind::kAuto) {
    payload_ = payload;
    decoder_ = std::make_unique<Decoder>(engine);
    EXPECT_EQ(decoder_->Decode(payload_, &batch_), DecodeReason::kOk);
    return batch_.skipped.empty() ? DecodeReason::kOk : batch_.skipped[0].reason;
  }
  const Event& EventOf(const std::string& event, EngineKind engine = EngineKind::kAuto) {
    EXPECT_EQ(Decode(Batch({event}), engine), DecodeReason::kOk);
    return batch_.events[0];
  }
  // Blocks 7 and 8 of two tokens each, 100..103.
  static std::string TwoBlocks(const std::string& lookahead, const std::string& size = Uint(2)) {
    return StoredMap({{"block_hashes", Hashes({7, 8})},
                      {"block_size", size},
                      {"lookahead_token_ids", lookahead}});
  }
  DecodeReason ReasonFor(const std::string& lookahead) {
    return Decode(Batch({TwoBlocks(lookahead)}));
  }

  std::string payload_;
  std::unique_ptr<Decoder> decoder_;
  DecodedBatch batch_;
};

TEST_F(DecoderFormTest, TheTokensBehindEachBlockAreKept) {
  ASSERT_EQ(Decode(ReadVector("captured/2026-11/vllm033_lookahead.msgpack")), DecodeReason::kOk);
  const Event& captured = batch_.events[0];
  EXPECT_EQ(captured.lookahead_tokens, 1u);
  EXPECT_THAT(captured.lookahead_token_ids, ElementsAre(116, 132, 148));
  const Event& two = EventOf(TwoBlocks(Array({Tokens(102, 2), Tokens(104, 2)})));
  EXPECT_EQ(two.lookahead_tokens, 2u);
  EXPECT_THAT(two.lookahead_token_ids, ElementsAre(102, 103, 104, 105));
  EXPECT_EQ(EventOf(TwoBlocks(Array({Array({}), Array({})}))).lookahead_tokens, 0u);
  EXPECT_EQ(EventOf(TwoBlocks(kNil)).lookahead_tokens, 0u);
  EXPECT_EQ(EventOf(StoredMap()).lookahead_tokens, 0u);
}

TEST_F(DecoderFormTest, TheyMustBeAsManyForEachHashAndWhatTheNextBlockBeginsWith) {
  EXPECT_EQ(ReasonFor(Array({Tokens(102, 1), Tokens(104, 1)})), DecodeReason::kOk);
  for (const std::string& bad :
       {Uint(1), Array({Uint(102), Uint(104)}), Array({Tokens(102, 1)}), Array({}),
        Array({Tokens(102, 1), Array({})}), Array({Tokens(102, 1), Tokens(104, 2)}),
        Array({Array({Int(-1)}), Tokens(104, 1)}), Array({Array({Str("a")}), Tokens(104, 1)}),
        Array({Tokens(102, 1), Tokens(104, 1), Tokens(106, 1)}),
        Array({Tokens(103, 1), Tokens(104, 1)})}) {
    const bool none = bad == Array({});
    EXPECT_EQ(ReasonFor(bad), none ? DecodeReason::kOk : DecodeReason::kField);
  }
  const auto most = static_cast<uint32_t>(limits::kMaxLookaheadTokens);
  EXPECT_EQ(ReasonFor(Array({Tokens(102, most), Tokens(104, most)})), DecodeReason::kOk);
  EXPECT_EQ(ReasonFor(Array({Tokens(102, most + 1), Tokens(104, most + 1)})), DecodeReason::kField);
}

TEST_F(DecoderFormTest, WithoutTokensNothingStandsBehindThem) {
  const Event& event = EventOf(
      StoredMap({{"token_ids", Array({})}, {"lookahead_token_ids", Array({Tokens(104, 1)})}}));
  EXPECT_EQ(event.lookahead_tokens, 0u);
  EXPECT_TRUE(event.lookahead_token_ids.empty());
}

TEST_F(DecoderFormTest, EveryVersionSaysWhichKeysItWouldName) {
  struct Case {
    const char* vector;
    uint8_t named;
    bool one_copy;
  };
  const Case cases[] = {
      {"valid/vllm_v090_stored_int.msgpack", kAdapterKeys, false},
      {"valid/vllm_v0102_stored_int.msgpack", kAdapterKeys, false},
      {"captured/2026-11/vllm0140_sha256_stored.msgpack", kAdapterKeys, false},
      {"valid/vllm_v017_extra_keys_nil.msgpack", kAllKeys, false},
      {"captured/2026-11/vllm0220_sha256_stored.msgpack", kAllKeys, false},
      {"valid/vllm_v024_stored_required_only.msgpack", kAllKeys, false},
      {"captured/2026-11/vllm033_plain_int.msgpack", kAllKeys, false},
      {"valid/sglang_array_salt_metadata.msgpack", kSaltKeys, true},
      {"valid/sglang_map_stored.msgpack", kSaltKeys, true},
      {"captured/2026-11/sglang0523_eagle.msgpack", kSaltKeys, true},
      {"captured/2026-11/sglang0523_extra_key_default.msgpack", kSaltKeys, true},
      {"captured/2026-11/sglang0523_lora_salt_default.msgpack", kSaltKeys | kAdapterKeys, true},
      {"valid/dynamo_trtllm_bridge.msgpack", 0, false},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.vector);
    Decode(ReadVector(one.vector));
    EXPECT_EQ(batch_.events[0].named_keys, one.named);
    EXPECT_EQ(batch_.events[0].one_copy, one.one_copy);
  }
}

TEST_F(DecoderFormTest, WhoseEngineIsKnownIsNotTakenForAnother) {
  const std::string array = StoredArray();
  EXPECT_FALSE(EventOf(array).one_copy);
  EXPECT_EQ(EventOf(array, EngineKind::kSglang).named_keys, 0);
  EXPECT_TRUE(EventOf(array, EngineKind::kSglang).one_copy);
  EXPECT_EQ(EventOf(StoredMap(), EngineKind::kTrtllm).named_keys, kAdapterKeys);
  EXPECT_EQ(EventOf(StoredMap(), EngineKind::kVllm).named_keys, kAllKeys);
}

}  // namespace
}  // namespace kvroute
