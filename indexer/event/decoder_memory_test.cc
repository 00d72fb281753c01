// What a batch takes decoded, whatever its bytes: counted in a binary of its own, allocation by
// allocation; the pages of events apart, by what is in use.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "indexer/base/limits.h"
#include "indexer/event/decoder.h"
#include "test/support/counted_allocations.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;

std::string Repeat(const std::string& value, size_t count) {
  std::string out = Head(0xdd, count, 4);
  for (size_t i = 0; i < count; ++i) out += value;
  return out;
}
// Neighbours that are equal would be no chain.
std::string ShortHashes(size_t count) {
  std::string out = Head(0xdd, count, 4);
  for (size_t i = 0; i < count; ++i) out += Uint(i % 100);
  return out;
}
std::string Event(size_t blocks, const std::string& extra_keys) {
  return Array({Str("BlockStored"), ShortHashes(blocks), kNil, Repeat(Uint(1), blocks), Uint(1),
                kNil, Str("GPU"), kNil, extra_keys});
}
std::string BatchOf(const std::string& event, size_t count) {
  return Array({Double(1.0), Repeat(event, count), Uint(0)});
}

struct Case {
  std::string_view name;
  std::string payload;
};
std::vector<Case> Cases() {
  constexpr size_t kBytes = 1 << 20;
  std::vector<Case> cases;
  const auto add = [&](std::string_view name, const std::string& event) {
    cases.push_back({name, BatchOf(event, kBytes / event.size() + 1)});
  };
  add("nil items in one block", Event(1, Array({Repeat(kNil, kBytes / 4)})));
  add("nil items up to the limit", Event(1, Array({Repeat(kNil, limits::kMaxExtraKeysPerBlock)})));
  add("empty strings", Event(1, Array({Repeat(Str(""), 4'000)})));
  add("images without a name", Event(1, Array({Repeat(Array({Str("")}), 4'000)})));
  add("small integers", Event(1, Array({Repeat(Uint(1), 4'000)})));
  add("one item a block", Event(2'000, Repeat(Array({kNil}), 2'000)));
  add("one bare item a block", Event(2'000, Repeat(Uint(7), 2'000)));
  add("one block an event", Event(1, Array({Array({kNil})})));
  add("hashes of one byte", Array({Str("BlockRemoved"), Repeat(Uint(1), 100'000)}));
  add("hashes that just do not fit", Array({Str("BlockRemoved"), Repeat(Uint(1), 513)}));
  add("removals of nothing", Array({Str("BlockRemoved"), Array({})}));
  add("removals of one block", Array({Str("BlockRemoved"), Hashes({1})}));
  add("clears", Array({Str("AllBlocksCleared")}));
  add("tokens of one byte", Event(1, kNil).substr(0, 1) + Event(40'000, kNil).substr(1));
  add("what is no event", kNil);
  return cases;
}

int64_t PagesOf(const DecodedBatch& batch) {
  return static_cast<int64_t>(batch.events.size() * sizeof(kvroute::Event) +
                              batch.skipped.size() * sizeof(SkippedEvent));
}

TEST(DecoderMemoryTest, ABatchTakesABoundedMultipleOfItsBytes) {
  for (const Case& each : Cases()) {
    const auto allowed = static_cast<int64_t>(
        limits::kMaxDecodedBytesPerByte * each.payload.size() + limits::kDecodedSlackBytes);
    DecodedBatch batch;
    const int64_t before = live_bytes;
    most_live_bytes = before;
    {
      Decoder decoder;
      decoder.Decode(each.payload, &batch);
      const int64_t taken = most_live_bytes - before + PagesOf(batch);
      EXPECT_LE(taken, allowed) << each.name << ": " << each.payload.size() << " bytes";
    }
    EXPECT_EQ(live_bytes, before);
  }
}

TEST(DecoderMemoryTest, WhatALargeBatchTookIsGivenBack) {
  Decoder decoder;
  DecodedBatch batch;
  const std::vector<Case> cases = Cases();
  const int64_t before = live_bytes;
  for (const Case& each : cases) {
    decoder.Decode(each.payload, &batch);
    decoder.Decode(Batch({Removed(1)}), &batch);
    EXPECT_LE(live_bytes - before, 8 << 20) << each.name;
  }
}

// Real batches are far below the bound: hashes of 9 bytes, tokens of 3.
TEST(DecoderMemoryTest, NoBatchOfAnEngineComesNearTheBound) {
  const std::string removed = Array({Str("BlockRemoved"), Hashes({~uint64_t{0}}), Str("GPU")});
  const std::string image = Array({Str("an-image-of-some-name"), Uint(3)});
  const std::string stored = StoredMap({{"extra_keys", Array({Array({image, Str("salt")})})}});
  for (const std::string& event : {removed, stored}) {
    const std::string payload = BatchOf(event, 20'000);
    Decoder decoder;
    DecodedBatch batch;
    ASSERT_EQ(decoder.Decode(payload, &batch), DecodeReason::kOk);
    EXPECT_EQ(batch.events.size(), 20'000u);
    EXPECT_TRUE(batch.skipped.empty());
  }
}

TEST(DecoderMemoryTest, LessMayBeAllowed) {
  const std::string payload = BatchOf(Event(1'000, kNil), 20);
  DecodedBatch batch;
  Decoder decoder(EngineKind::kAuto, {}, 40'000);
  ASSERT_EQ(decoder.Decode(payload, &batch), DecodeReason::kOk);
  EXPECT_GE(batch.events.size(), 1u);
  EXPECT_EQ(batch.events.size() + batch.skipped.size(), 20u);
  EXPECT_EQ(batch.skipped.back().reason, DecodeReason::kMemory);
}

}  // namespace
}  // namespace kvroute
