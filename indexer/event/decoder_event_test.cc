#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/event/decoder.h"
#include "indexer/event/medium.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;
using testing::ElementsAre;
using testing::IsEmpty;

class DecoderEvent : public testing::Test {
 protected:
  const DecodedBatch& Decode(const std::vector<std::string>& events,
                             EngineKind engine = EngineKind::kAuto) {
    decoder_ = std::make_unique<Decoder>(engine);
    payload_ = Batch(events);
    EXPECT_EQ(decoder_->Decode(payload_, &batch_), DecodeReason::kOk);
    return batch_;
  }
  DecodeReason ReasonFor(const std::string& event) {
    const DecodedBatch& batch = Decode({event, Removed(9)});
    EXPECT_EQ(batch.events.back().position, 1u);
    return batch.skipped.empty() ? DecodeReason::kOk : batch.skipped[0].reason;
  }

 private:
  std::unique_ptr<Decoder> decoder_;
  std::string payload_;
  DecodedBatch batch_;
};

TEST_F(DecoderEvent, WhatIsNoEventIsSkipped) {
  for (const std::string& other :
       {kNil, kTrue, Uint(1), Double(1), Str("BlockRemoved"), Bin("x"), Ext("x"), Array({}),
        Map({}), Array({Uint(1)}), Array({kNil}), Array({Bin("BlockRemoved"), Hashes({1})}),
        Array({Array({Str("BlockRemoved")})}), Array({Str("\xff\xfe")}),
        Map({{"type", kNil}, {"block_hashes", Hashes({1})}}), Map({{"block_hashes", Hashes({1})}}),
        Map({{"type", Map({})}})}) {
    EXPECT_EQ(ReasonFor(other), DecodeReason::kNotAnEvent);
  }
}

TEST_F(DecoderEvent, UnknownTagsAreSkippedInBothForms) {
  for (const char* tag : {"BlockInactive", "blockstored", "BlockStored ", "stored", ""}) {
    EXPECT_EQ(ReasonFor(Array({Str(tag), Hashes({1})})), DecodeReason::kUnknownTag);
    EXPECT_EQ(ReasonFor(Map({{"type", Str(tag)}})), DecodeReason::kUnknownTag);
    EXPECT_EQ(ReasonFor(Map({{"x", kNil}, {"type", Str(tag)}})), DecodeReason::kUnknownTag);
  }
}

TEST_F(DecoderEvent, EveryWayToWriteATagAndAKey) {
  for (const std::string& head :
       {Head(0xac), Head(0xd9, 12, 1), Head(0xda, 12, 2), Head(0xdb, 12, 4)}) {
    EXPECT_EQ(ReasonFor(Array({head + "BlockRemoved", Hashes({1})})), DecodeReason::kOk);
    const std::string key = head + "block_hashes" + Hashes({1});
    EXPECT_EQ(ReasonFor(Head(0x82) + Str("type") + Str("BlockRemoved") + key), DecodeReason::kOk);
  }
  for (const std::string& head : {Head(0x81), Head(0xde, 1, 2), Head(0xdf, 1, 4)}) {
    EXPECT_EQ(ReasonFor(head + Str("type") + Str("AllBlocksCleared")), DecodeReason::kOk);
  }
}

TEST_F(DecoderEvent, RemovedInEveryLength) {
  const DecodedBatch& batch =
      Decode({Array({Str("BlockRemoved"), Hashes({1, 2})}),
              Array({Str("BlockRemoved"), Hashes({1}), kNil}),
              Array({Str("BlockRemoved"), Hashes({1}), Str("STORAGE"), Uint(3)}),
              Array({Str("BlockRemoved"), Hashes({1}), Str("GPU"), kNil, Array({kNil}), Uint(9)}),
              Map({{"medium", Str("CPU")},
                   {"block_hashes", Hashes({5})},
                   {"locality", Str("LOCAL")},
                   {"type", Str("BlockRemoved")},
                   {"token_ids", Str("not looked at")}}),
              Array({Str("BlockRemoved"), Array({})})});
  ASSERT_EQ(batch.events.size(), 6u);
  EXPECT_THAT(batch.events[0].block_hashes, ElementsAre(EngineHash(1), EngineHash(2)));
  EXPECT_EQ(batch.events[0].tier, Tier::kGpu);
  EXPECT_EQ(batch.events[1].tier, Tier::kGpu);
  EXPECT_EQ(batch.events[2].tier, Tier::kDisk);
  EXPECT_EQ(batch.events[2].group_idx, 3u);
  EXPECT_EQ(batch.events[3].group_idx, std::nullopt);
  EXPECT_EQ(batch.events[4].tier, Tier::kCpu);
  EXPECT_THAT(batch.events[4].block_hashes, ElementsAre(EngineHash(5)));
  EXPECT_THAT(batch.events[5].block_hashes, IsEmpty());
}

TEST_F(DecoderEvent, BadRemovals) {
  EXPECT_EQ(ReasonFor(Array({Str("BlockRemoved")})), DecodeReason::kMissingField);
  EXPECT_EQ(ReasonFor(Map({{"type", Str("BlockRemoved")}})), DecodeReason::kMissingField);
  EXPECT_EQ(ReasonFor(Array({Str("BlockRemoved"), kNil})), DecodeReason::kBlockHashes);
  EXPECT_EQ(ReasonFor(Array({Str("BlockRemoved"), Hashes({1}), Uint(1)})), DecodeReason::kMedium);
  EXPECT_EQ(ReasonFor(Array({Str("BlockRemoved"), Hashes({1}), kNil, Int(-1)})),
            DecodeReason::kGroup);
}

TEST_F(DecoderEvent, ClearedIsOfEveryTier) {
  const DecodedBatch& batch =
      Decode({Array({Str("AllBlocksCleared")}), Array({Str("AllBlocksCleared"), Uint(1), Map({})}),
              Array({Str("AllBlocksCleared"), kNil, Str("later")}),
              Map({{"type", Str("AllBlocksCleared")}}),
              Map({{"type", Str("AllBlocksCleared")}, {"medium", kNil}}),
              Map({{"block_hashes", Uint(1)}, {"type", Str("AllBlocksCleared")}}),
              Map({{"event_type", Str("cleared")}, {"medium", kNil}, {"tenant_id", Str("x")}}),
              Map({{"tenant_id", Str("x")}, {"event_type", Str("cleared")}}),
              Map({{"type", Str("KvEvent")}, {"event_type", Str("cleared")}})});
  ASSERT_EQ(batch.events.size(), 9u);
  for (const Event& event : batch.events) {
    EXPECT_EQ(event.type, EventType::kCleared);
    EXPECT_TRUE(event.every_tier);
    EXPECT_THAT(event.block_hashes, IsEmpty());
  }
}

TEST_F(DecoderEvent, ClearedIsOfTheTierThatItNames) {
  const DecodedBatch& batch =
      Decode({Map({{"type", Str("AllBlocksCleared")}, {"medium", Str("CPU")}}),
              Map({{"medium", Str("cpu")}, {"type", Str("AllBlocksCleared")}}),
              Array({Str("AllBlocksCleared"), Str("CPU")}),
              Map({{"type", Str("TierBlocksCleared")}, {"medium", Str("CPU")}}),
              Map({{"type", Str("TierBlocksCleared")},
                   {"medium", Str("cpu_pinned")},
                   {"ownership", Str("kvcr")}}),
              Array({Str("TierBlocksCleared"), Str("CPU"), kNil, Uint(3)}),
              Map({{"event_type", Str("cleared")}, {"medium", Str("cpu")}})});
  ASSERT_EQ(batch.events.size(), 7u);
  for (const Event& event : batch.events) {
    EXPECT_EQ(event.type, EventType::kCleared);
    EXPECT_FALSE(event.every_tier);
    EXPECT_EQ(event.tier, Tier::kCpu);
  }
  EXPECT_TRUE(batch.events[4].owned);
  EXPECT_FALSE(batch.events[3].owned);
}

TEST_F(DecoderEvent, AClearedTierHasAMedium) {
  for (const std::string& event :
       {Map({{"type", Str("TierBlocksCleared")}, {"medium", kNil}}),
        Map({{"type", Str("TierBlocksCleared")}, {"tier", Str("CPU")}}),
        Array({Str("TierBlocksCleared")}), Array({Str("TierBlocksCleared"), kNil}),
        Array({Str("TierBlocksCleared"), Uint(1)})}) {
    EXPECT_EQ(ReasonFor(event), DecodeReason::kMissingField);
  }
  EXPECT_EQ(ReasonFor(Map({{"type", Str("TierBlocksCleared")}, {"medium", Uint(1)}})),
            DecodeReason::kMedium);
  EXPECT_EQ(ReasonFor(Map({{"type", Str("AllBlocksCleared")}, {"medium", Uint(1)}})),
            DecodeReason::kMedium);
}

TEST_F(DecoderEvent, AnUnknownEventThatNamesBlocksOrATierMayHaveChangedWhatIsHeld) {
  for (const std::string& event :
       {Array({Str("BlockMigrated"), Hashes({1}), Str("peer")}), Array({Str("X"), Hashes({1})}),
        Array({Str("X"), kNil, Str("CPU")}), Array({Str("X"), Bin("12345678")}),
        Array({Str("CacheFlushed")}), Array({Str("EVICTED"), Uint(1)}),
        Map({{"type", Str("X")}, {"block_hashes", Hashes({1})}}),
        Map({{"seq_hashes", Hashes({1})}, {"event_type", Str("renamed")}}),
        Map({{"type", Str("X")}, {"from_medium", Str("GPU")}, {"to_medium", Str("CPU")}}),
        Map({{"type", Str("X")}, {"tier", Uint(2)}}), Map({{"type", Str("TierDropped")}}),
        Map({{"type", Str("BlocksTransferred")}, {"count", Uint(7)}})}) {
    const DecodedBatch& batch = Decode({event});
    ASSERT_EQ(batch.skipped.size(), 1u);
    EXPECT_EQ(batch.skipped[0].reason, DecodeReason::kUnknownTag);
    EXPECT_TRUE(batch.skipped[0].may_change_holdings);
    EXPECT_FALSE(batch.unknown_tag.empty());
  }
}

TEST_F(DecoderEvent, AnUnknownEventThatNamesNeitherHasNot) {
  for (const std::string& event :
       {Array({Str("Heartbeat")}), Array({Str("Heartbeat"), Uint(1'757'500'000'250)}),
        Array({Str("Heartbeat"), Array({}), kNil, Str("some text")}),
        Map({{"type", Str("EngineStats")}, {"running", Uint(3)}, {"waiting", Uint(0)}}),
        Map({{"type", Str("EngineStats")}, {"block_size", Uint(16)}, {"medium", kNil}}),
        // What no request uses any more is still there for the next one.
        Map({{"type", Str("BlockInactive")},
             {"block_hashes", Hashes({1})},
             {"medium", Str("GPU")}})}) {
    const DecodedBatch& batch = Decode({event});
    ASSERT_EQ(batch.skipped.size(), 1u);
    EXPECT_EQ(batch.skipped[0].reason, DecodeReason::kUnknownTag);
    EXPECT_FALSE(batch.skipped[0].may_change_holdings);
    EXPECT_TRUE(batch.unknown_tag.empty());
  }
}

TEST_F(DecoderEvent, AKnownKeyTwiceIsRefusedAndAnUnknownOneIsNot) {
  EXPECT_EQ(ReasonFor(Map({{"type", Str("BlockRemoved")},
                           {"block_hashes", Hashes({1})},
                           {"block_hashes", Hashes({2})}})),
            DecodeReason::kDuplicateKey);
  EXPECT_EQ(ReasonFor(Map({{"block_hashes", Hashes({1})},
                           {"block_hashes", Hashes({2})},
                           {"type", Str("BlockRemoved")}})),
            DecodeReason::kDuplicateKey);
  EXPECT_EQ(ReasonFor(Map({{"type", Str("BlockRemoved")},
                           {"type", Str("BlockRemoved")},
                           {"block_hashes", Hashes({1})}})),
            DecodeReason::kDuplicateKey);
  EXPECT_EQ(ReasonFor(Map({{"type", Str("BlockRemoved")},
                           {"x", kNil},
                           {"x", kNil},
                           {"block_hashes", Hashes({1})}})),
            DecodeReason::kOk);
}

TEST_F(DecoderEvent, KeysThatAreNoStringsAreSteppedOver) {
  const std::string head = Head(0x83) + Str("type") + Str("BlockRemoved");
  const std::string tail = Str("block_hashes") + Hashes({1});
  for (const std::string& key : {Uint(7), kNil, Bin("block_hashes"), Array({Uint(1), Map({})}),
                                 Map({{"a", Array({})}}), Ext("x"), Str("\xff")}) {
    EXPECT_EQ(ReasonFor(head + key + Hashes({2}) + tail), DecodeReason::kOk);
  }
}

TEST_F(DecoderEvent, MooncakeStoreNames) {
  const DecodedBatch& batch =
      Decode({Map({{"event_id", Uint(1)},
                   {"event_type", Str("stored")},
                   {"seq_hashes", Hashes({8})},
                   {"block_size", kNil},
                   {"token_ids", kNil},
                   {"parent_hash", Uint(4)},
                   {"medium", Str("CPU")}}),
              Map({{"event_type", Str("stored")},
                   {"type", Str("BlockStored")},
                   {"seq_hashes", Str("not looked at")},
                   {"block_hashes", Array({Int(-8)})},
                   {"parent_hash", Str("not looked at")},
                   {"parent_block_hash", kNil},
                   {"token_ids", kNil},
                   {"block_size", kNil},
                   {"medium", kNil}}),
              Map({{"event_type", Str("Removed")}, {"seq_hashes", Hashes({8})}}),
              Map({{"event_type", Str("renamed")}, {"seq_hashes", Hashes({8})}})});
  ASSERT_EQ(batch.events.size(), 3u);
  EXPECT_EQ(batch.events[0].type, EventType::kStored);
  EXPECT_THAT(batch.events[0].block_hashes, ElementsAre(EngineHash(8)));
  EXPECT_EQ(batch.events[0].parent, EngineHash(4));
  EXPECT_EQ(batch.events[0].tier, Tier::kCpu);
  EXPECT_THAT(batch.events[1].block_hashes, ElementsAre(EngineHash(~uint64_t{7})));
  EXPECT_EQ(batch.events[1].parent, std::nullopt);
  EXPECT_EQ(batch.events[1].tier, Tier::kExternal);  // a pool of its own, not the engine's GPU
  EXPECT_EQ(batch.events[2].type, EventType::kRemoved);
  EXPECT_EQ(batch.skipped[0].reason, DecodeReason::kUnknownTag);
}

TEST_F(DecoderEvent, MediumsInAnyLetterCase) {
  for (const char* name : {"GPU", "gpu", "Device", "cuda", "cuda:0", "CUDA:12", "NPU", "npu:3",
                           "xpu", "hpu", "TPU", "HBM", "g1"}) {
    EXPECT_EQ(TierOfMedium(name), Tier::kGpu) << name;
  }
  for (const char* name : {"CPU", "cpu_pinned", "CPU_Tier1", "cpu:0", "HOST", "host-pinned", "DRAM",
                           "Memory", "LocalCPUBackend", "G2"}) {
    EXPECT_EQ(TierOfMedium(name), Tier::kCpu) << name;
  }
  for (const char* name : {"CPU_TIER2", "disk", "Nvme", "STORAGE", "FS", "fs", "Filesystem", "SSD",
                           "local_disk", "LocalDiskBackend", "G3"}) {
    EXPECT_EQ(TierOfMedium(name), Tier::kDisk) << name;
  }
  for (const char* name : {"EXTERNAL", "network", "Remote", "SHARED", "SHARED_STORAGE", "OBJ",
                           "obj", "object-store", "S3", "mooncake", "RemoteBackend", "P2P", "G4"}) {
    EXPECT_EQ(TierOfMedium(name), Tier::kExternal) << name;
  }
  for (const char* name : {"", "MARS", "GPU ", "CPU_TIER3", "gp", "L2", "cuda:", "cuda:x", ":0"}) {
    EXPECT_EQ(TierOfMedium(name), Tier::kUnknown) << name;
  }
}

TEST_F(DecoderEvent, ADeploymentNamesFurtherMedia) {
  Decoder decoder(EngineKind::kAuto, {{"MARS", Tier::kDisk}, {"STORAGE", Tier::kExternal}});
  const std::string payload = Batch({Array({Str("BlockRemoved"), Hashes({1}), Str("mars")}),
                                     Array({Str("BlockRemoved"), Hashes({1}), Str("storage")}),
                                     Array({Str("BlockRemoved"), Hashes({1})}),
                                     Array({Str("BlockRemoved"), Hashes({1}), Str("VENUS")}),
                                     Array({Str("X"), Str("MARS")})});
  DecodedBatch batch;
  ASSERT_EQ(decoder.Decode(payload, &batch), DecodeReason::kOk);
  ASSERT_EQ(batch.events.size(), 4u);
  EXPECT_EQ(batch.events[0].tier, Tier::kDisk);
  EXPECT_EQ(batch.events[1].tier, Tier::kExternal);
  EXPECT_EQ(batch.events[2].tier, Tier::kGpu);
  EXPECT_EQ(batch.events[3].tier, Tier::kUnknown);
  EXPECT_TRUE(batch.skipped[0].may_change_holdings);
}

TEST_F(DecoderEvent, ABatchIsForgottenByTheNext) {
  Decoder decoder;
  DecodedBatch batch;
  const std::string good = Batch({Removed(1), kNil});
  ASSERT_EQ(decoder.Decode(good, &batch), DecodeReason::kOk);
  EXPECT_EQ(batch.events.size(), 1u);
  EXPECT_EQ(batch.skipped.size(), 1u);
  ASSERT_EQ(decoder.Decode(good.substr(1), &batch), DecodeReason::kEnvelope);
  EXPECT_TRUE(batch.events.empty() && batch.skipped.empty());
  ASSERT_EQ(decoder.Decode(Batch({}), &batch), DecodeReason::kOk);
  EXPECT_TRUE(batch.events.empty() && batch.skipped.empty());
}

}  // namespace
}  // namespace kvroute
