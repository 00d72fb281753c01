#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/event/decoder.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;
using testing::ElementsAre;
using testing::IsEmpty;

class ExtraKeys : public testing::Test {
 protected:
  // Of a store of as many blocks as `hashes`, of an adapter named "sql".
  const Event& EventWith(const std::string& extra_keys, const std::string& hashes = Hashes({7})) {
    payload_ = Batch({StoredMap({{"block_hashes", hashes},
                                 {"token_ids", Array({})},
                                 {"extra_keys", extra_keys},
                                 {"lora_name", Str("sql")}})});
    EXPECT_EQ(decoder_.Decode(payload_, &batch_), DecodeReason::kOk);
    EXPECT_EQ(batch_.events.size(), 1u);
    return batch_.events[0];
  }

 private:
  Decoder decoder_;
  std::string payload_;
  DecodedBatch batch_;
};

TEST_F(ExtraKeys, AreSortedByKindBlockByBlock) {
  const std::string digest(32, 'd');
  const std::string first = Array({Str("sql"), Array({Str("image"), Uint(4)}),
                                   Array({Str("image 2"), Int(-5)}), Str("salt"), Bin(digest)});
  const std::string second = Array({Str("sql"), Array({Str("image"), Int(-12)}), Uint(3)});
  const Event& event = EventWith(Array({first, kNil, second}), Hashes({7, 8, 9}));
  ASSERT_EQ(event.extra_keys.size(), 3u);

  const BlockExtraKeys& keys = event.extra_keys[0];
  ASSERT_EQ(keys.multimodal.size(), 2u);
  EXPECT_EQ(keys.multimodal[0].identifier, "image");
  EXPECT_EQ(keys.multimodal[0].offset_tokens, 4);
  EXPECT_TRUE(keys.multimodal[0].has_offset);
  EXPECT_EQ(keys.multimodal[1].offset_tokens, -5);
  EXPECT_THAT(keys.strings, ElementsAre("salt"));
  EXPECT_THAT(keys.digests, ElementsAre(digest));
  EXPECT_THAT(keys.integers, IsEmpty());

  EXPECT_TRUE(event.extra_keys[1].empty());
  EXPECT_EQ(event.extra_keys[2].multimodal[0].offset_tokens, -12);
  EXPECT_THAT(event.extra_keys[2].integers, ElementsAre(3));
}

TEST_F(ExtraKeys, OnlyALeadingLoraNameIsLeftOut) {
  const Event& event = EventWith(Array({Array({Str("other"), Str("sql")})}));
  EXPECT_THAT(event.extra_keys[0].strings, ElementsAre("other", "sql"));
}

TEST_F(ExtraKeys, NilsAreNoExtraKeys) {
  const Event& event = EventWith(Array({kNil, kNil}), Hashes({7, 8}));
  EXPECT_THAT(event.extra_keys, IsEmpty());
  EXPECT_EQ(event.extra_keys_raw, Array({kNil, kNil}));
  EXPECT_EQ(EventWith(kNil).extra_keys_raw.data(), nullptr);
}

TEST_F(ExtraKeys, AnotherNumberOfEntriesThanBlocksIsIgnored) {
  for (const std::string& wrong : {Array({}), Array({kNil, kNil}), Array({kNil, Str("salt")}),
                                   Array({Array({Str("salt")}), kNil, kNil})}) {
    const Event& event = EventWith(wrong);
    EXPECT_THAT(event.extra_keys, IsEmpty());
    EXPECT_EQ(event.extra_keys_raw.data(), nullptr);
    EXPECT_EQ(event.extra_keys_misfit, wrong.find("salt") != std::string::npos);
  }
  EXPECT_FALSE(EventWith(Array({Array({Str("salt")})})).extra_keys_misfit);
}

TEST_F(ExtraKeys, AnUnknownShapeStillTellsBlocksApart) {
  const std::string tagged = Array({Str("lora"), Str("name"), Str("path")});
  for (const std::string& odd : {tagged, Map({{"k", Uint(1)}}), Double(1), kTrue, Ext("x"),
                                 Array({Uint(1), Uint(2)}), Array({Str("a"), Array({})})}) {
    const Event& event = EventWith(Array({Array({odd, Str("salt")})}));
    ASSERT_EQ(event.extra_keys.size(), 1u);
    EXPECT_THAT(event.extra_keys[0].digests, ElementsAre(odd));
    EXPECT_THAT(event.extra_keys[0].strings, ElementsAre("salt"));
  }
  EXPECT_THAT(EventWith(Array({Str("bare")})).extra_keys[0].strings, ElementsAre("bare"));
}

TEST_F(ExtraKeys, AnIdentifierMayHaveNoOffset) {
  const Event& event = EventWith(Array({Array({Array({Str("image")})})}));
  ASSERT_EQ(event.extra_keys[0].multimodal.size(), 1u);
  EXPECT_FALSE(event.extra_keys[0].multimodal[0].has_offset);
}

}  // namespace
}  // namespace kvroute
