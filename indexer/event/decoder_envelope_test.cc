#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "indexer/base/limits.h"
#include "indexer/event/decoder.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;

DecodeReason ReasonFor(const std::string& payload) {
  Decoder decoder;
  DecodedBatch batch;
  const DecodeReason reason = decoder.Decode(payload, &batch);
  if (reason != DecodeReason::kOk) {
    EXPECT_TRUE(batch.events.empty());
    EXPECT_TRUE(batch.skipped.empty());
  }
  return reason;
}

DecodedBatch Envelope(Decoder* decoder, const std::string& payload) {
  DecodedBatch batch;
  EXPECT_EQ(decoder->Decode(payload, &batch), DecodeReason::kOk);
  return batch;
}

const std::string kEvents = Array({Removed(7)});

TEST(DecoderEnvelope, TakesTwoThreeAndMoreElements) {
  Decoder decoder;
  EXPECT_EQ(Envelope(&decoder, Array({Double(2.5), kEvents})).rank, std::nullopt);
  EXPECT_EQ(Envelope(&decoder, Array({Double(2.5), kEvents, kNil})).rank, std::nullopt);
  EXPECT_EQ(Envelope(&decoder, Array({Double(2.5), kEvents, Uint(3)})).rank, 3u);
  const std::string longer = Array({Double(2.5), kEvents, Uint(3), Str("x"), Array({kNil})});
  EXPECT_EQ(Envelope(&decoder, longer).rank, 3u);
}

TEST(DecoderEnvelope, TakesEveryWayToWriteACount) {
  Decoder decoder;
  for (const std::string& head : {Head(0x93), Head(0xdc, 3, 2), Head(0xdd, 3, 4)}) {
    for (const std::string& events : {Head(0x91), Head(0xdc, 1, 2), Head(0xdd, 1, 4)}) {
      const DecodedBatch batch =
          Envelope(&decoder, head + Double(2.5) + events + Removed(7) + Uint(1));
      EXPECT_EQ(batch.events.size(), 1u);
    }
  }
}

TEST(DecoderEnvelope, TimestampIsAnyNumber) {
  Decoder decoder;
  EXPECT_EQ(Envelope(&decoder, Array({Double(2.5), kEvents})).ts_seconds, 2.5);
  EXPECT_EQ(Envelope(&decoder, Array({Float(2.5), kEvents})).ts_seconds, 2.5);
  EXPECT_EQ(Envelope(&decoder, Array({Int(-100), kEvents})).ts_seconds, -100);
  EXPECT_EQ(Envelope(&decoder, Array({Uint(1'757'500'000), kEvents})).ts_seconds, 1'757'500'000);
  const DecodedBatch mooncake = Envelope(&decoder, Array({Uint(1'757'500'000'250), kEvents}));
  EXPECT_EQ(mooncake.ts_seconds, 1'757'500'000.25);
  EXPECT_EQ(mooncake.ts_published, 1'757'500'000'250);
}

TEST(DecoderEnvelope, TimestampThatIsNoMomentIsIgnored) {
  Decoder decoder;
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Envelope(&decoder, Array({Double(infinity), kEvents})).ts_seconds, 0);
  EXPECT_EQ(Envelope(&decoder, Array({Double(-infinity), kEvents})).ts_seconds, 0);
  const DecodedBatch nan = Envelope(&decoder, Array({Double(std::nan("")), kEvents}));
  EXPECT_EQ(nan.ts_seconds, 0);
  EXPECT_TRUE(std::isnan(nan.ts_published));
  EXPECT_EQ(nan.events.size(), 1u);
}

TEST(DecoderEnvelope, TimestampOfAnotherTypeRejects) {
  for (const std::string& ts : {kNil, kTrue, Str("now"), Bin("12345678"), Array({}), Ext("1234")}) {
    EXPECT_EQ(ReasonFor(Array({ts, kEvents, Uint(0)})), DecodeReason::kTimestamp);
  }
}

TEST(DecoderEnvelope, RankIsASmallCountOrNil) {
  EXPECT_EQ(ReasonFor(Array({Double(1), kEvents, Uint(limits::kMaxRank)})), DecodeReason::kOk);
  for (const std::string& rank : {Uint(limits::kMaxRank + 1), Int(-1), Uint(uint64_t{1} << 63),
                                  Str("0"), Double(0), kTrue, Array({}), Bin("1")}) {
    EXPECT_EQ(ReasonFor(Array({Double(1), kEvents, rank})), DecodeReason::kRank);
  }
}

TEST(DecoderEnvelope, OnlyAnArrayOfAtLeastTwoIsABatch) {
  EXPECT_EQ(ReasonFor(""), DecodeReason::kEnvelope);
  EXPECT_EQ(ReasonFor(kNil), DecodeReason::kEnvelope);
  EXPECT_EQ(ReasonFor(Array({})), DecodeReason::kEnvelope);
  EXPECT_EQ(ReasonFor(Array({Double(1)})), DecodeReason::kEnvelope);
  EXPECT_EQ(ReasonFor(Map({{"ts", Double(1)}, {"events", kEvents}})), DecodeReason::kEnvelope);
  for (const std::string& events : {kNil, Map({}), Str("x"), Bin("x"), Uint(1)}) {
    EXPECT_EQ(ReasonFor(Array({Double(1), events, Uint(0)})), DecodeReason::kEnvelope);
  }
}

TEST(DecoderEnvelope, NothingMayFollow) {
  EXPECT_EQ(ReasonFor(Batch({Removed(7)}) + kNil), DecodeReason::kEnvelope);
  EXPECT_EQ(ReasonFor(Batch({Removed(7)}) + Batch({Removed(7)})), DecodeReason::kEnvelope);
}

TEST(DecoderEnvelope, ClaimsBeyondTheBytesReject) {
  const std::string start = Head(0x93) + Double(1);
  for (const std::string& claim : {Head(0xdd, 0xffff'ffff, 4), Head(0xdc, 0xffff, 2), Head(0x9f)}) {
    EXPECT_EQ(ReasonFor(start + claim + Removed(7).substr(0, 10)), DecodeReason::kEnvelope);
    EXPECT_EQ(ReasonFor(claim + Double(1) + Array({})), DecodeReason::kEnvelope);
  }
  for (const std::string& claim :
       {Head(0xdf, 0xffff'ffff, 4), Head(0xdb, 0xffff'ffff, 4), Head(0xc6, 0xffff'ffff, 4),
        Head(0xc9, 0xffff'ffff, 4), Head(0xde, 0xffff, 2)}) {
    EXPECT_EQ(ReasonFor(start + Head(0x91) + claim + "xxxx"), DecodeReason::kEnvelope);
  }
  const std::string tokens = Head(0xdd, 200'000'000, 4) + std::string(64, '\1');
  const std::string stored = Head(0x96) + Str("BlockStored") + Hashes({7}) + kNil + tokens;
  EXPECT_EQ(ReasonFor(start + Head(0x91) + stored), DecodeReason::kEnvelope);
}

TEST(DecoderEnvelope, TheReservedByteRejectsAnywhere) {
  EXPECT_EQ(ReasonFor(Batch({Head(0xc1)})), DecodeReason::kEnvelope);
  EXPECT_EQ(ReasonFor(Batch({StoredMap({{"future", Head(0xc1)}})})), DecodeReason::kEnvelope);
  EXPECT_EQ(ReasonFor(Batch({StoredMap({{"medium", Head(0xc1)}})})), DecodeReason::kEnvelope);
  EXPECT_EQ(ReasonFor(Batch({StoredMap({{"token_ids", Array({Head(0xc1)})}})})),
            DecodeReason::kEnvelope);
}

TEST(DecoderEnvelope, APayloadOverTheLimitIsNotRead) {
  EXPECT_EQ(ReasonFor(std::string(limits::kMaxPayloadBytes + 1, '\x90')), DecodeReason::kTooLarge);
}

// A container nested within `levels - 1` others.
std::string Nested(size_t levels, std::string_view head) {
  std::string out;
  for (size_t i = 0; i < levels; ++i) out += head;
  return out + kNil;
}

TEST(DecoderEnvelope, NestingIsSteppedOverUpToTheLimitAndRejectedBeyond) {
  const size_t limit = limits::kMaxSkipDepth;
  for (const std::string& head : {Head(0x91), Head(0x81) + Str("a"), Head(0xdd, 1, 4)}) {
    EXPECT_EQ(ReasonFor(Batch({Nested(limit, head), Removed(7)})), DecodeReason::kOk);
    EXPECT_EQ(ReasonFor(Batch({Nested(limit + 1, head), Removed(7)})), DecodeReason::kEnvelope);
    EXPECT_EQ(ReasonFor(Batch({Nested(100'000, head), Removed(7)})), DecodeReason::kEnvelope);
    // The event itself is one level.
    EXPECT_EQ(ReasonFor(Batch({StoredMap({{"x", Nested(limit - 1, head)}})})), DecodeReason::kOk);
    EXPECT_EQ(ReasonFor(Batch({StoredMap({{"x", Nested(limit, head)}})})), DecodeReason::kEnvelope);
    EXPECT_EQ(ReasonFor(Array({Double(1), kEvents, Uint(0), Nested(limit + 1, head)})),
              DecodeReason::kEnvelope);
  }
}

}  // namespace
}  // namespace kvroute
