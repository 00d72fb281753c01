#include <gtest/gtest.h>

#include <random>

#include "indexer/event/decoder.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;

std::vector<std::string> Payloads() {
  const std::string digest(32, 'd');
  const std::string bigrams = Array({Array({Uint(1), Uint(2)}), Array({Uint(2), Uint(70'000)})});
  const std::string extra_keys =
      Array({Array({Str("lora"), Array({Str("image"), Int(-4)}), Str("salt"), Bin(digest)})});
  return {
      Batch({StoredMap({{"extra_keys", extra_keys}, {"lora_name", Str("lora")}}), Removed(7)}),
      Batch({StoredArray({Str("lora"), extra_keys, Uint(0), Str("full_attention"), kNil})}),
      Batch({StoredArray({Map({{"cache_salt", Str("tenant")}, {"x", Array({kNil})}})})}),
      Batch({StoredMap({{"block_hashes", Array({Bin(digest)})}, {"parent_block_hash", Int(-9)}})}),
      Batch({StoredMap({{"token_ids", bigrams}, {"block_size", Uint(2)}})}),
      Batch({Map({{"x", Map({{"y", Array({Double(1), Ext("abc")})}})},
                  {"token_ids", Tokens(65'530, 12)},
                  {"block_size", Uint(4)},
                  {"block_hashes", Hashes({1, 2, 3})},
                  {"parent_block_hash", Uint(uint64_t{1} << 60)},
                  {"type", Str("BlockStored")}}),
             kNil, Array({Str("Future"), Uint(1)})}),
  };
}

TEST(DecoderTruncation, EveryPrefixIsRejected) {
  Decoder decoder;
  DecodedBatch batch;
  for (const std::string& payload : Payloads()) {
    ASSERT_EQ(decoder.Decode(payload, &batch), DecodeReason::kOk);
    for (size_t length = 0; length < payload.size(); ++length) {
      // A copy of its own, so that a sanitizer sees a read beyond the end.
      const std::vector<char> cut(payload.begin(), payload.begin() + static_cast<long>(length));
      EXPECT_EQ(decoder.Decode({cut.data(), cut.size()}, &batch), DecodeReason::kEnvelope)
          << length << " of " << payload.size();
    }
  }
}

bool Inside(const std::string& payload, std::string_view view) {
  if (view.data() == nullptr) return true;
  return view.data() >= payload.data() &&
         view.data() + view.size() <= payload.data() + payload.size();
}

// Whatever the bytes: every event is skipped or kept, in order, and points only into the payload.
void ExpectSound(const std::string& payload, const DecodedBatch& batch) {
  std::vector<bool> named(batch.events.size() + batch.skipped.size());
  for (const Event& event : batch.events) {
    ASSERT_LT(event.position, named.size());
    named[event.position] = true;
    EXPECT_TRUE(Inside(payload, event.medium) && Inside(payload, event.lora_name) &&
                Inside(payload, event.cache_salt) && Inside(payload, event.extra_keys_raw));
    EXPECT_LE(event.block_hashes.size() + event.token_ids.size(), payload.size());
    if (event.tokens_per_hash != 0) {
      EXPECT_EQ(event.token_ids.size(), event.block_hashes.size() * event.tokens_per_hash);
    }
  }
  for (const SkippedEvent& skipped : batch.skipped) {
    ASSERT_LT(skipped.position, named.size());
    named[skipped.position] = true;
    EXPECT_GE(skipped.reason, DecodeReason::kNotAnEvent);
  }
  for (const bool name : named) EXPECT_TRUE(name);
}

TEST(DecoderTruncation, RandomDamageNeverBreaksAnInvariant) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  Decoder decoder;
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    for (std::string payload : Payloads()) {
      const int changes = 1 + static_cast<int>(random() % 4);
      for (int i = 0; i < changes; ++i) {
        payload[random() % payload.size()] = static_cast<char>(random());
      }
      DecodedBatch batch;
      if (decoder.Decode(payload, &batch) != DecodeReason::kOk) continue;
      ++accepted;
      ExpectSound(payload, batch);
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace kvroute
