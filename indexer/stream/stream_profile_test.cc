// What a stream learns of its engine from the form of its events: how prompts are to be hashed for
// it, and what it cannot vouch for.
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "test/support/stream_machine_fixture.h"
#include "test/support/vectors.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;

constexpr char kCaptured[] = "captured/2026-11/";

class StreamProfileTest : public StreamMachineFixture {
 protected:
  // The engine's first batch, as its replay brings it.
  void Start(const std::string& payload) {
    Machine().OnConnected();
    ASSERT_TRUE(Machine().TakeReplayRequest().has_value());
    Machine().OnReplayedBatch(next_++, payload);
    Machine().OnReplayEnd();
  }
  void Publish(const std::string& payload) {
    Machine().OnLiveBatch(next_++, payload);
    // A batch that decodes badly is asked for again; none of these does.
    ASSERT_FALSE(Machine().HasReplayRequest());
  }
  static std::string Captured(const std::string& name) {
    return ReadVector(kCaptured + name + ".msgpack");
  }
  uint32_t Held(const std::vector<TokenId>& prompt, uint32_t block_size,
                absl::Span<const PromptInput> inputs = {}) {
    std::vector<LocalHash> memory;
    PromptChain chain(PromptBlocks(prompt, block_size, MakeNamespaceSeed("", ""),
                                   status_.lookahead_tokens, inputs),
                      &memory);
    MatchResult result;
    index_.Match(&chain, &result);
    return result.matches.empty() ? 0 : result.matches[0].blocks;
  }
  static std::vector<TokenId> From(TokenId first, size_t count) {
    std::vector<TokenId> tokens(count);
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
  }
  void ExpectTrust(Trust trust, TrustReason reason) {
    EXPECT_EQ(TrustName(status_.trust.load()), TrustName(trust));
    EXPECT_EQ(TrustReasonName(status_.reason.load()), TrustReasonName(reason));
  }
  void ExpectExact() { ExpectTrust(Trust::kExact, TrustReason::kReplayComplete); }

  // A root block of tokens 100..103 as vLLM 0.10.2 publishes it.
  static std::string OldVllm(uint64_t hash, const char* medium = "GPU") {
    return Array(
        {Str("BlockStored"), Hashes({hash}), kNil, Tokens(100, 4), Uint(4), kNil, Str(medium)});
  }
  static std::string OfGroup(uint32_t group, const char* kind) {
    return StoredMap({{"group_idx", Uint(group)}, {"kv_cache_spec_kind", Str(kind)}});
  }
  static std::string Sglang(const char* medium = "GPU") {
    return Map({{"type", Str("BlockStored")},
                {"block_hashes", Hashes({7})},
                {"parent_block_hash", kNil},
                {"token_ids", Tokens(100, 4)},
                {"block_size", Uint(4)},
                {"lora_id", kNil},
                {"medium", Str(medium)}});
  }
  const std::string clear_ = Map({{"type", Str("AllBlocksCleared")}});

  uint64_t next_ = 0;
};

TEST_F(StreamProfileTest, ABlockIsItsTokensAndThoseThatItsHashCoversBehindIt) {
  Start(Captured("vllm033_lookahead"));
  ExpectExact();
  EXPECT_EQ(status_.lookahead_tokens, 1u);
  EXPECT_EQ(Held(From(100, 49), 16), 3u);
  EXPECT_EQ(Held(From(100, 48), 16), 2u) << "what follows the third is not known yet";
  std::vector<TokenId> branch = From(100, 49);
  branch[48] = 7;  // differs behind the third block
  EXPECT_EQ(Held(branch, 16), 2u);
}

TEST_F(StreamProfileTest, AnImageThatBeginsBehindABlockTellsItFromOthers) {
  Start(Captured("vllm033_lookahead_multimodal"));
  ExpectExact();
  std::vector<TokenId> prompt = From(100, 32);
  prompt.resize(49, 9);
  const PromptInput image{HashIdentifier("img-1"), 32, 49};
  EXPECT_EQ(Held(prompt, 16, {image}), 3u);
  // The engine hashes it into the block before.
  const PromptInput another{HashIdentifier("img-2"), 32, 49};
  EXPECT_EQ(Held(prompt, 16, {another}), 1u);
  EXPECT_EQ(Held(prompt, 16), 1u);
}

TEST_F(StreamProfileTest, PairsOfTokensAreLearnedLikeAnyLookahead) {
  Start(Captured("sglang0523_eagle"));
  ExpectExact();
  EXPECT_EQ(status_.lookahead_tokens, 1u);
  EXPECT_EQ(Held(From(100, 33), 16), 2u);
  EXPECT_EQ(Held(From(100, 32), 16), 1u);
}

TEST_F(StreamProfileTest, SeveralTokensAheadAreLearnedToo) {
  Start(
      wire::Batch({StoredMap({{"block_hashes", Hashes({7, 8})},
                              {"block_size", Uint(2)},
                              {"lookahead_token_ids", Array({Tokens(102, 3), Tokens(104, 3)})}})}));
  // The first list must agree with what follows, as far as that is known.
  EXPECT_EQ(status_.lookahead_tokens, 3u);
  EXPECT_EQ(Held(From(100, 7), 2), 2u);
  EXPECT_EQ(Held(From(100, 6), 2), 1u);
}

TEST_F(StreamProfileTest, AnEngineHashesAllItsBlocksAlike) {
  Start(wire::Batch({StoredMap({{"lookahead_token_ids", Array({Tokens(104, 1)})}})}));
  ExpectExact();
  Publish(wire::Batch({StoredMap({{"block_hashes", Hashes({8})}})}));
  ExpectTrust(Trust::kDegraded, TrustReason::kBlockSizeMismatch);
  EXPECT_FALSE(index_.Holds(status_.id, EngineHash(8)));
  // Another life of it may have been started with other options.
  next_ = 0;
  Machine().OnLiveBatch(next_++, wire::Batch({StoredMap()}));
  EXPECT_EQ(status_.lookahead_tokens, 0u);
  EXPECT_EQ(Held(From(100, 4), 4), 1u);
}

// Of an engine that keeps one copy of a prefix: another request's blocks, which it does not mix up
// with these. Seen so with extra_key (captured: the namespace is nowhere on the wire).
TEST_F(StreamProfileTest, StoredAgainWhileHeldMeansKeysThatAreNotPublished) {
  const std::string payload = Captured("sglang0523_extra_key_default");
  Start(payload);
  ExpectExact();
  Publish(payload);
  ExpectTrust(Trust::kDegraded, TrustReason::kHiddenKeys);
  Publish(wire::Batch({clear_}));
  ExpectTrust(Trust::kDegraded, TrustReason::kHiddenKeys);  // the engine is what it was
  Publish(wire::Batch({Sglang()}));
  ExpectTrust(Trust::kDegraded, TrustReason::kHiddenKeys);
  next_ = 0;
  Machine().OnLiveBatch(next_++, wire::Batch({clear_}));  // a restart
  Wait(std::chrono::seconds(3));
  EXPECT_EQ(status_.trust.load(), Trust::kExact);
}

TEST_F(StreamProfileTest, CopiesAndOtherTiersAreStoredAgainByRight) {
  Start(wire::Batch({Sglang()}));
  Publish(wire::Batch({Sglang("CPU_PINNED")}));
  Publish(wire::Batch({Removed(7), Sglang()}));
  ExpectExact();
  Publish(wire::Batch({Sglang()}));
  ExpectTrust(Trust::kDegraded, TrustReason::kHiddenKeys);
}

TEST_F(StreamProfileTest, ABackupInAnotherTierIsNoSecondCopy) {
  Start(Captured("sglang0523_hicache_backup"));
  ExpectExact();
}

TEST_F(StreamProfileTest, AnEngineThatKeepsSeveralCopiesMayStoreAgain) {
  Start(wire::Batch({StoredMap(), StoredMap()}));
  Publish(wire::Batch({StoredMap()}));
  Publish(wire::Batch({OldVllm(7)}));
  ExpectExact();
}

// Two prompts with different salts, before salts were on the wire.
TEST_F(StreamProfileTest, ASecondHashForHeldContentMeansKeysThatAreNotPublished) {
  Start(wire::Batch({OldVllm(7)}));
  ExpectExact();
  Publish(wire::Batch({OldVllm(8)}));
  ExpectTrust(Trust::kDegraded, TrustReason::kHiddenKeys);
}

TEST_F(StreamProfileTest, ConnectorsHaveHashesOfTheirOwn) {
  Start(wire::Batch({OldVllm(8, "CPU")}));
  Publish(wire::Batch({OldVllm(7)}));
  Publish(wire::Batch({OldVllm(9, "CPU")}));
  Publish(wire::Batch({Removed(7)}));
  Publish(wire::Batch({OldVllm(10)}));
  ExpectExact();
  Publish(wire::Batch({OldVllm(11)}));
  ExpectTrust(Trust::kDegraded, TrustReason::kHiddenKeys);
}

TEST_F(StreamProfileTest, AfterALossBlocksStoredAgainProveNothing) {
  status_.config.replay_endpoint.clear();
  Machine().OnConnected();
  next_ = 5;  // joined late
  Publish(wire::Batch({OldVllm(7)}));
  Publish(wire::Batch({OldVllm(8)}));
  ExpectTrust(Trust::kDegraded, TrustReason::kNoReplay);
  Publish(wire::Batch({clear_}));
  ExpectTrust(Trust::kExact, TrustReason::kClearedByEngine);
}

TEST_F(StreamProfileTest, AModelWithoutFullAttentionIsSaidToBeOne) {
  for (const char* kind : {"sliding_window", "chunked_local_attention", "mamba", "unknown"}) {
    Start(wire::Batch({OfGroup(0, kind)}));
    ExpectTrust(Trust::kDegraded, TrustReason::kNoFullAttention);
    EXPECT_EQ(Held(From(100, 4), 4), 0u);
    Publish(wire::Batch({clear_}));
    ExpectTrust(Trust::kDegraded, TrustReason::kNoFullAttention);
    // A hybrid model whose other group has smaller blocks and was heard first.
    Publish(wire::Batch({OfGroup(1, "full_attention")}));
    EXPECT_EQ(status_.trust.load(), Trust::kExact);
    machine_.reset();
    index_.Clear(status_.id);
    next_ = 0;
  }
}

TEST_F(StreamProfileTest, AHybridModelIsExactInItsFullAttentionGroup) {
  Start(Captured("vllm033_hybrid_swa"));
  ExpectExact();
  EXPECT_EQ(Held(From(100, 96), 16), 6u);
  Publish(wire::Batch({OfGroup(1, "sliding_window")}));
  ExpectExact();
}

TEST_F(StreamProfileTest, WhichKeysAnEngineWouldNotNameIsKnownOnceItHasStored) {
  EXPECT_EQ(status_.unnamed_keys, 0);
  Start(wire::Batch({OldVllm(7)}));
  EXPECT_EQ(status_.unnamed_keys, kSaltKeys | kImageKeys);
  Publish(wire::Batch({StoredMap()}));  // what it can say it always could
  EXPECT_EQ(status_.unnamed_keys, 0);
}

TEST_F(StreamProfileTest, KeysThatWereHeardAreNamed) {
  Start(Captured("sglang0523_extra_key_default"));
  EXPECT_EQ(status_.unnamed_keys, kImageKeys | kAdapterKeys);
  Publish(Captured("sglang0523_lora_salt_default"));
  EXPECT_EQ(status_.unnamed_keys, kImageKeys);
}

}  // namespace
}  // namespace kvroute
