#include "indexer/stream/stream_applier.h"

#include <gtest/gtest.h>

#include <numeric>

namespace kvroute {
namespace {

constexpr uint32_t kBlock = 4;

class StreamApplierTest : public testing::Test {
 protected:
  StreamApplierTest() { status_.id = *index_.Open(CopyMode::kCounted); }

  // Blocks `first`..`first + count - 1` of the prompt 0, 1, 2, ...; the hash of block n is 100 + n.
  Event Stored(uint32_t first, uint32_t count) {
    Event event;
    event.block_hashes = Hashes(first, count);
    if (first > 0) event.parent = EngineHash(99 + first);
    event.token_ids = absl::MakeConstSpan(tokens_).subspan(first * kBlock, count * kBlock);
    event.block_size = event.tokens_per_hash = kBlock;
    return event;
  }
  Event Removed(uint32_t block) {
    Event event;
    event.type = EventType::kRemoved;
    event.block_hashes = Hashes(block, 1);
    return event;
  }
  absl::Span<const EngineHash> Hashes(uint32_t first, uint32_t count) {
    return absl::MakeConstSpan(hashes_).subspan(first, count);
  }
  AppliedBatch Apply(const Event& event) {
    DecodedBatch batch;
    batch.events = {&event, 1};
    return Applier().Apply(batch);
  }
  StreamApplier& Applier() {
    if (!applier_) applier_.emplace(&status_, max_pending_bytes_, &index_, &counters_);
    return *applier_;
  }
  uint32_t Held(std::string_view lora = "", std::string_view salt = "") {
    std::vector<PrefixHash> prompt;
    HashPrompt(tokens_, kBlock, MakeNamespaceSeed(lora, salt), &prompt, status_.config.bigram);
    MatchResult result;
    index_.Match(prompt, &result);
    return result.matches.empty() ? 0 : result.matches[0].blocks;
  }
  uint64_t Count(EventType type, EventOutcome outcome) {
    return counters_.Events(EngineKind::kAuto, type, outcome);
  }

  std::vector<TokenId> tokens_ = [] {
    std::vector<TokenId> tokens(64);
    std::iota(tokens.begin(), tokens.end(), 0);
    return tokens;
  }();
  std::vector<EngineHash> hashes_ = [] {
    std::vector<EngineHash> hashes;
    for (uint64_t i = 0; i < 16; ++i) hashes.push_back(EngineHash(100 + i));
    return hashes;
  }();
  size_t max_pending_bytes_ = 10'000;
  PrefixIndex index_;
  IngestCounters counters_;
  StreamStatus status_;
  std::optional<StreamApplier> applier_;
};

TEST_F(StreamApplierTest, ChildrenWaitForTheirParentInAnyOrder) {
  Apply(Stored(6, 2));
  Apply(Stored(2, 2));
  Apply(Stored(4, 2));
  EXPECT_EQ(Held(), 0u);
  EXPECT_EQ(status_.pending_events.load(), 3u);
  Apply(Stored(0, 2));
  EXPECT_EQ(Held(), 8u);
  EXPECT_EQ(status_.pending_events.load(), 0u);
}

TEST_F(StreamApplierTest, WhatHappensToPendingBlocksHoldsOnceTheyAreResolved) {
  Apply(Stored(2, 3));
  Apply(Removed(3));
  Apply(Stored(5, 1));  // a child of the pending block 4
  Event cpu_copy;
  cpu_copy.block_hashes = Hashes(2, 1);
  cpu_copy.tier = Tier::kCpu;
  Apply(cpu_copy);
  Apply(Removed(2));  // its copy in memory stays
  Apply(Stored(0, 2));
  EXPECT_EQ(Held(), 3u);
  EXPECT_FALSE(index_.Holds(status_.id, hashes_[3]));
  EXPECT_TRUE(index_.Holds(status_.id, hashes_[5]));
}

TEST_F(StreamApplierTest, PendingIsBoundedAndSaysSo) {
  max_pending_bytes_ = 600;
  EXPECT_EQ(Apply(Stored(2, 1)).fault, TrustReason::kNone);
  EXPECT_EQ(Apply(Stored(3, 8)).fault, TrustReason::kPendingOverflow);
  EXPECT_EQ(Count(EventType::kStored, EventOutcome::kPendingDropped), 1u);
}

// What has waited longest makes room for what comes, and that is no loss unless its parent comes.
TEST_F(StreamApplierTest, AnEventThatWaitedInVainIsForgottenAndALateParentSaysSo) {
  max_pending_bytes_ = 1'000;
  for (const uint32_t first : {2, 5, 8}) {
    EXPECT_EQ(Apply(Stored(first, 1)).fault, TrustReason::kNone);
  }
  EXPECT_EQ(Count(EventType::kStored, EventOutcome::kPendingDropped), 1u);
  EXPECT_EQ(status_.pending_events.load(), 2u);
  EXPECT_EQ(Apply(Stored(0, 1)).fault, TrustReason::kNone);
  EXPECT_EQ(Apply(Stored(1, 1)).fault, TrustReason::kPendingOverflow);
  EXPECT_EQ(Held(), 2u);
}

TEST_F(StreamApplierTest, AClearEmptiesPendingToo) {
  Apply(Stored(2, 2));
  Event clear;
  clear.type = EventType::kCleared;
  clear.every_tier = true;
  EXPECT_TRUE(Apply(clear).cleared);
  Apply(Stored(0, 2));
  EXPECT_EQ(Held(), 2u);
}

TEST_F(StreamApplierTest, ChildrenInheritTheSaltThatOnlyTheFirstBlockNames) {
  const std::string_view salt = "tenant";
  BlockExtraKeys keys;
  keys.strings = {&salt, 1};
  Event root = Stored(0, 1);
  root.extra_keys = {&keys, 1};
  Apply(Stored(1, 2));  // pending; inherits when it is resolved
  Apply(root);
  Apply(Stored(3, 1));
  EXPECT_EQ(Held(), 0u);
  EXPECT_EQ(Held("", "tenant"), 4u);
}

// vLLM's offload tiers publish no extra keys, even of blocks that have some.
TEST_F(StreamApplierTest, AnOffloadedSaltedBlockIsACopyAndNeverAnUnsaltedBlock) {
  const std::string_view salt = "tenant";
  BlockExtraKeys salted;
  salted.strings = {&salt, 1};
  const std::vector<BlockExtraKeys> keys = {salted, BlockExtraKeys{}};
  Event gpu = Stored(0, 2);
  gpu.extra_keys = keys;
  gpu.extra_keys_raw = "published";
  Apply(gpu);
  ASSERT_EQ(Held("", "tenant"), 2u);

  Event offloaded = Stored(0, 2);
  offloaded.tier = Tier::kCpu;
  EXPECT_EQ(Apply(offloaded).fault, TrustReason::kNone);
  Event removed = Removed(0);
  removed.block_hashes = Hashes(0, 2);
  Apply(removed);
  EXPECT_EQ(Held("", "tenant"), 2u);  // in the other tier
  EXPECT_EQ(Held(), 0u);

  removed.tier = Tier::kCpu;
  Apply(removed);
  Apply(offloaded);  // no longer held: which of the blocks with these tokens it is cannot be known
  EXPECT_EQ(Held(), 0u);
  EXPECT_EQ(Held("", "tenant"), 0u);
  EXPECT_EQ(Count(EventType::kStored, EventOutcome::kUnplaceable), 1u);
}

TEST_F(StreamApplierTest, AnOffloadedBlockIsPlacedByItsTokensWhereNoKeysAreInUse) {
  Event offloaded = Stored(0, 2);
  offloaded.tier = Tier::kCpu;
  Apply(offloaded);
  EXPECT_EQ(Held(), 2u);
}

TEST_F(StreamApplierTest, AnAdapterIsANamespace) {
  Event event = Stored(0, 2);
  event.lora_name = "sql";
  Apply(event);
  EXPECT_EQ(Held(), 0u);
  EXPECT_EQ(Held("sql"), 2u);
}

TEST_F(StreamApplierTest, BlocksWithAnImageAreNotThoseWithout) {
  const MultimodalKey image{"image", 1, true};
  std::vector<BlockExtraKeys> keys(2);
  keys[1].multimodal = {&image, 1};
  Event event = Stored(0, 2);
  event.extra_keys = keys;
  Apply(event);
  EXPECT_EQ(Held(), 1u);
}

// Its blocks may be salted ones: taken for plain ones they would answer prompts they do not hold.
TEST_F(StreamApplierTest, BlocksWhoseExtraKeysCannotBeToldApartMatchNothing) {
  Event event = Stored(0, 2);
  event.extra_keys_misfit = true;
  EXPECT_EQ(Apply(event).fault, TrustReason::kDecodeErrors);
  EXPECT_EQ(Held(), 0u);
  EXPECT_EQ(Count(EventType::kStored, EventOutcome::kExtraKeys), 1u);
  EXPECT_FALSE(index_.Holds(status_.id, hashes_[0]));
  Apply(Stored(0, 2));
  event.tier = Tier::kCpu;
  Apply(event);  // a copy of blocks that are held all the same
  Event removed = Removed(0);
  removed.block_hashes = Hashes(0, 2);
  Apply(removed);
  EXPECT_EQ(Held(), 2u);
}

TEST_F(StreamApplierTest, BigramBlocksCoverTheNextToken) {
  status_.config.bigram = true;
  Event event = Stored(0, 2);
  event.bigram = true;
  event.bigram_last = 8;
  Apply(event);
  EXPECT_EQ(Held(), 2u);
  EXPECT_EQ(Apply(Stored(0, 2)).fault, TrustReason::kBlockSizeMismatch);
}

TEST_F(StreamApplierTest, OtherGroupsAreLeftOutTheirRemovalsToo) {
  Event window = Stored(0, 2);
  window.group_idx = 0;
  window.spec_kind = "sliding_window";
  Apply(window);
  EXPECT_EQ(Held(), 0u);
  Event full = Stored(0, 2);
  full.group_idx = 1;
  full.spec_kind = "full_attention";
  Apply(full);
  EXPECT_EQ(Held(), 2u);
  Event removed = Removed(0);
  removed.group_idx = 0;
  Apply(removed);
  EXPECT_EQ(Held(), 2u);
  removed.group_idx = 1;
  Apply(removed);
  EXPECT_EQ(Held(), 0u);
}

TEST_F(StreamApplierTest, PlaceholdersAreCopiesOfWhatIsHeldAndNeverSliced) {
  Apply(Stored(0, 2));
  Event placeholder = Stored(1, 1);
  placeholder.token_ids = absl::MakeConstSpan(tokens_).subspan(0, 2 * kBlock);
  placeholder.tokens_per_hash = 0;
  placeholder.tier = Tier::kCpu;
  Apply(placeholder);
  Apply(Removed(1));
  EXPECT_EQ(Held(), 2u);  // block 1 still has its copy in memory
  placeholder.block_hashes = Hashes(9, 1);
  Apply(placeholder);
  EXPECT_EQ(Count(EventType::kStored, EventOutcome::kUnplaceable), 1u);
}

TEST_F(StreamApplierTest, ForeignBlockSizesAreLeftOut) {
  Apply(Stored(0, 2));
  EXPECT_EQ(status_.block_size_tokens.load(), kBlock);
  Event tail = Stored(2, 1);
  tail.token_ids = tail.token_ids.subspan(0, 2);
  tail.tokens_per_hash = 2;
  EXPECT_EQ(Apply(tail).fault, TrustReason::kNone);  // the partial tail of a prompt
  Event wide = Stored(2, 2);
  wide.block_hashes = Hashes(2, 1);
  wide.tokens_per_hash = 2 * kBlock;
  EXPECT_EQ(Apply(wide).fault, TrustReason::kBlockSizeMismatch);
  EXPECT_EQ(Count(EventType::kStored, EventOutcome::kBlockSize), 2u);
}

TEST_F(StreamApplierTest, ASizeLearnedFromAPartialTailGivesWayToAFullBlock) {
  Event tail = Stored(9, 1);
  tail.parent.reset();
  tail.token_ids = tail.token_ids.subspan(0, 3);
  tail.tokens_per_hash = 3;
  Apply(tail);
  EXPECT_EQ(status_.block_size_tokens.load(), 3u);
  EXPECT_EQ(Apply(Stored(0, 2)).fault, TrustReason::kNone);
  EXPECT_EQ(status_.block_size_tokens.load(), kBlock);
  EXPECT_EQ(Held(), 2u);
  EXPECT_EQ(Apply(tail).fault, TrustReason::kNone);
  EXPECT_EQ(Count(EventType::kStored, EventOutcome::kBlockSize), 1u);
}

// With half the configured size, each block on its own: an engine that decodes.
TEST_F(StreamApplierTest, ShortBlocksThatOthersContinueAreNoTails) {
  status_.config.block_size_tokens = 2 * kBlock;
  EXPECT_EQ(Apply(Stored(0, 1)).fault, TrustReason::kNone);
  EXPECT_EQ(Apply(Stored(1, 1)).fault, TrustReason::kBlockSizeMismatch);
}

TEST_F(StreamApplierTest, ManyShortBlocksAndNeverAFullOneAreNoTails) {
  status_.config.block_size_tokens = 2 * kBlock;
  for (uint32_t i = 1; i < BlockSizeWatch::kTailsAlike; ++i) {
    EXPECT_EQ(Apply(Stored(0, 1)).fault, TrustReason::kNone);
  }
  EXPECT_EQ(Apply(Stored(0, 1)).fault, TrustReason::kBlockSizeMismatch);
}

TEST_F(StreamApplierTest, AFaultBeforeAClearIsForgiven) {
  Event clear;
  clear.type = EventType::kCleared;
  clear.every_tier = true;
  clear.position = 1;
  const SkippedEvent skipped[] = {{0, DecodeReason::kTokenIds}, {2, DecodeReason::kUnknownTag}};
  DecodedBatch batch;
  batch.events = {&clear, 1};
  batch.skipped = skipped;
  EXPECT_EQ(Applier().Apply(batch).fault, TrustReason::kNone);
  const SkippedEvent after[] = {{2, DecodeReason::kTokenIds}};
  batch.skipped = after;
  EXPECT_EQ(Applier().Apply(batch).fault, TrustReason::kDecodeErrors);
}

}  // namespace
}  // namespace kvroute
