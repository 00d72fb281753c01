// What engines, connectors and stores really publish beside plain stores and removals, from its
// bytes to the answer and the trust.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/support/published_stream.h"

namespace kvroute {
namespace {

using namespace wire;

const std::vector<TokenId> kPrompt = TokensFrom(1, 256);

// One entry a block: what is published of it beside its tokens.
Pairs Keys(const std::vector<std::string>& entries) { return {{"extra_keys", Array(entries)}}; }
std::string Texts(const std::vector<std::string>& texts) {
  std::vector<std::string> values;
  for (const std::string& text : texts) values.push_back(Str(text));
  return Array(values);
}

// ---- types that we do not know ----

TEST(UnknownEvents, ThatMayHaveChangedSomethingCostTrustUntilAClear) {
  for (const std::string& event :
       {Map({{"type", Str("BlockTransferred")},
             {"block_hashes", Hashes({1})},
             {"from_medium", Str("GPU")},
             {"to_medium", Str("CPU")}}),
        Array({Str("BlockMigrated"), Hashes({1}), Str("peer")}), Map({{"type", Str("CacheReset")}}),
        Map({{"event_type", Str("evicted")}, {"seq_hashes", Hashes({1})}}),
        Array({Str("Shrunk"), Str("GPU")})}) {
    PublishedStream stream;
    stream.Apply({StoredIn("GPU", {1, 2}, 4), event});
    EXPECT_EQ(stream.State(), "degraded unknown_event");
    EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 0, 0, 0}));  // what is known stays
    stream.Apply({event, AllCleared()});
    EXPECT_EQ(stream.State(), "exact cleared_by_engine");
    stream.Apply({AllCleared(), event});
    EXPECT_EQ(stream.State(), "degraded unknown_event");
  }
}

TEST(UnknownEvents, ThatSayNothingOfBlocksCostNone) {
  PublishedStream stream;
  stream.Apply({Map({{"type", Str("EngineStats")}, {"running", Uint(3)}}),
                Array({Str("Heartbeat")}),
                Map({{"type", Str("BlockInactive")}, {"block_hashes", Hashes({1})}})});
  EXPECT_EQ(stream.State(), kExactState);
}

// ---- clears of one tier ----

TEST(TierClears, LeaveEveryOtherTierAsItIs) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2, 3, 4}, 4), StoredIn("CPU", {1, 2, 3}, 4),
                StoredIn("FS", {1, 2}, 4), StoredIn("OBJ", {1}, 4)});
  stream.Apply({TierCleared("gpu")});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{0, 3, 0, 0}));
  stream.Apply({TierCleared("CPU_PINNED")});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{0, 0, 2, 0}));
  stream.Apply({StoredIn("GPU", {1, 2, 3}, 4)});  // the engine goes on
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{3, 0, 0, 0}));
  stream.Apply({TierCleared("GPU"), TierCleared("disk")});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{0, 0, 0, 1}));
  stream.Apply({TierCleared("external")});
  EXPECT_EQ(stream.Holdings(), 0u);
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(TierClears, AreOfWhatStillWaitsToo) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {3, 4}, 4, 9, Uint(2)), StoredIn("CPU", {3}, 4, 9, Uint(2)),
                TierCleared("GPU"), StoredIn("GPU", {1, 2}, 4)});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 1, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(TierClears, DoNotMakeALossGood) {
  PublishedStream stream;
  stream.Apply({Map({{"type", Str("CacheReset")}}), TierCleared("GPU")});
  EXPECT_EQ(stream.State(), "degraded unknown_event");
}

TEST(TierClears, KeepTheSaltOfWhatStays) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 4, 1, kNil, Keys({Texts({"salt"}), kNil})),
                StoredIn("CPU", {1, 2}, 4), TierCleared("GPU"),
                StoredIn("GPU", {3}, 4, 9, Uint(2), Keys({kNil}))});
  EXPECT_EQ(stream.Found(kPrompt, "", "salt"), (Blocks{1, 2, 0, 0}));
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{0, 0, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

// What a cache beside the engine looks after goes with that cache's clear, and nothing else does.
TEST(TierClears, OfAnOwnerAreOfHisCopies) {
  const Pairs owned = {{"ownership", Str("kvcr")}};
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 4), StoredIn("CPU", {1}, 4, 1, kNil, owned)});
  stream.Apply({Map({{"type", Str("AllBlocksCleared")}, {"ownership", Str("kvcr")}})});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 0, 0, 0}));
  EXPECT_EQ(stream.Holdings(), 2u);
  EXPECT_EQ(stream.State(), kExactState);
  stream.Apply({StoredIn("CPU", {1}, 4), StoredIn("CPU", {2}, 4, 5, Uint(1), owned),
                TierCleared("CPU", owned)});
  EXPECT_EQ(stream.Holdings(), 2u);
  EXPECT_EQ(stream.State(), "degraded unplaceable");  // whose copy was whose cannot be told
}

// ---- media ----

TEST(Media, UnknownOnesAreLeftOutAndSaid) {
  for (const std::string& event :
       {StoredIn("MARS", {1, 2}, 4), RemovedFrom("MARS", {1}), TierCleared("MARS"),
        Map({{"type", Str("AllBlocksCleared")}, {"medium", Str("MARS")}})}) {
    PublishedStream stream;
    stream.Apply({StoredIn("GPU", {1}, 4), event});
    EXPECT_EQ(stream.State(), "degraded unknown_medium");
    EXPECT_EQ(stream.Found(kPrompt), (Blocks{1, 0, 0, 0}));
    stream.Apply({AllCleared()});
    EXPECT_EQ(stream.State(), "exact cleared_by_engine");
  }
}

// ---- block sizes ----

TEST(Chunks, FollowOneAnother) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 16), StoredIn("CPU", {4, 8}, 64),
                StoredIn("CPU", {12}, 64, 129, Uint(8))});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 10, 0, 0}));
  stream.Apply({RemovedFrom("CPU", {8})});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 2, 0, 0}));
  stream.Apply({RemovedFrom("CPU", {4, 12}), RemovedFrom("GPU", {1, 2})});
  EXPECT_EQ(stream.Holdings(), 0u);
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(Chunks, WaitForTheirParentAsOthersDo) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 16), StoredIn("CPU", {8}, 64, 65, Uint(4)),
                StoredIn("CPU", {12}, 64, 129, Uint(8)), RemovedFrom("CPU", {12}),
                StoredIn("CPU", {4}, 64)});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 6, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

// What is said of another tier meanwhile does not change what they are in theirs: a connector may
// call a chunk by the engine's hash of its last block.
TEST(Chunks, ThatWaitAreRemovedAsThosePlacedAre) {
  for (const std::string& meanwhile : {RemovedFrom("GPU", {8}), TierCleared("FS")}) {
    PublishedStream stream;
    stream.Apply({StoredIn("GPU", {1, 2}, 16), StoredIn("CPU", {8}, 64, 65, Uint(4)), meanwhile,
                  RemovedFrom("CPU", {8}), StoredIn("CPU", {4}, 64)});
    EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 2, 0, 0}));
    EXPECT_EQ(stream.status().pending_events.load(), 0u);
    EXPECT_EQ(stream.State(), kExactState);
  }
}

TEST(Chunks, HaveFurtherCopiesInOtherTiers) {
  PublishedStream stream;
  const std::string placeholder = StoredMap({{"block_hashes", Hashes({4})},
                                             {"token_ids", Array({})},
                                             {"block_size", Uint(0)},
                                             {"medium", Str("FS")}});
  stream.Apply({StoredIn("GPU", {1, 2}, 16), StoredIn("CPU", {4}, 64), placeholder,
                TierCleared("GPU"), TierCleared("CPU")});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{0, 0, 4, 0}));
  stream.Apply({RemovedFrom("FS", {4})});
  EXPECT_EQ(stream.Holdings(), 0u);
  EXPECT_EQ(stream.State(), kExactState);
}

// Stored twice, a chunk is gone after its second removal.
TEST(Chunks, CopiesAreCounted) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 16), StoredIn("CPU", {4}, 64), StoredIn("CPU", {4}, 64),
                RemovedFrom("CPU", {4})});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 2, 0, 0}));
  stream.Apply({RemovedFrom("CPU", {4})});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 0, 0, 0}));
}

// The last chunk of a prompt is as long as the prompt.
TEST(Chunks, AreIndexedAsFarAsTheyFit) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 16), StoredIn("cpu", {900}, 64),
                StoredIn("cpu", {901}, 40, 65, Uint(900)),
                StoredIn("cpu", {902}, 9, 105, Uint(901))});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 4, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
  stream.Apply({StoredIn("cpu", {903}, 64, 105, Uint(901))});  // what begins within a block
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 4, 0, 0}));
  EXPECT_EQ(stream.State(), "degraded block_size_mismatch");
  stream.Apply({RemovedFrom("cpu", {900, 901}), RemovedFrom("GPU", {1, 2})});
  EXPECT_EQ(stream.Holdings(), 0u);
}

TEST(BlockSizes, OfAnotherTierDoNotChangeTheStreams) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1}, 16), StoredIn("CPU", {4}, 64), StoredIn("DISK", {90}, 256),
                StoredIn("GPU", {2}, 16, 17, Uint(1))});
  EXPECT_EQ(stream.status().block_size_tokens.load(), 16u);
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 2, 12, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

TEST(BlockSizes, ThatWereTakenFromAnotherTierAreTakenBackAndThatIsSaid) {
  PublishedStream stream;
  stream.Apply({StoredIn("CPU", {4, 8}, 64)});
  EXPECT_EQ(stream.status().block_size_tokens.load(), 64u);
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{0, 2, 0, 0}));
  stream.Apply({StoredIn("GPU", {1, 2}, 16)});
  EXPECT_EQ(stream.status().block_size_tokens.load(), 16u);
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{2, 0, 0, 0}));
  EXPECT_EQ(stream.State(), "degraded block_size_mismatch");
}

// What came before a size was known is placed once it is, or was a tail.
TEST(BlockSizes, OfWhatWaitedIsJudgedWhenItsParentComes) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {40}, 16, 33, Uint(2)), StoredIn("GPU", {3}, 16, 33, Uint(2))});
  EXPECT_EQ(stream.status().block_size_tokens.load(), 0u);
  stream.Apply({StoredIn("GPU", {1, 2}, 16)});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{3, 0, 0, 0}));
  PublishedStream tails;
  tails.Apply({StoredIn("GPU", {48}, 16, 33, Uint(2)), StoredIn("GPU", {1, 2}, 64)});
  EXPECT_EQ(tails.Found(kPrompt), (Blocks{2, 0, 0, 0}));
  EXPECT_EQ(tails.Holdings(), 2u);
  EXPECT_EQ(tails.State(), kExactState);
}

// ---- keys ----

// The salted prompt's own blocks are kept apart; the connector's other chunks are placed.
TEST(KeysLeftUnsaid, OnlyWhatMayBeASaltedBlockIsLeftOut) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 4, 1, kNil, Keys({Texts({"tenant-a"}), kNil}))});
  stream.Apply({StoredIn("cpu", {700, 701}, 4, 500)});
  EXPECT_EQ(stream.Found(TokensFrom(500, 8)), (Blocks{0, 2, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
  stream.Apply({StoredIn("cpu", {800}, 4)});  // the salted prompt's tokens, under another hash
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{0, 0, 0, 0}));
  EXPECT_EQ(stream.Found(kPrompt, "", "tenant-a"), (Blocks{2, 0, 0, 0}));
  EXPECT_EQ(stream.State(), "degraded unplaceable");
  stream.Apply({StoredIn("cpu", {702}, 4, 508, Uint(701))});
  EXPECT_EQ(stream.Found(TokensFrom(500, 12)), (Blocks{0, 3, 0, 0}));  // for good
}

TEST(KeysLeftUnsaid, OnlyWhatMayShowAnImageIsLeftOut) {
  PublishedStream stream;
  const std::string image = Array({Array({Str("img"), Int(1)})});
  stream.Apply({StoredIn("GPU", {1, 2, 3}, 4, 1, kNil, Keys({kNil, image, kNil}))});
  stream.Apply({StoredIn("CPU", {700}, 4)});  // the block before the image has no keys
  EXPECT_EQ(stream.State(), kExactState);
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{1, 0, 0, 0}));
  stream.Apply({StoredIn("CPU", {701}, 4, 5, Uint(700))});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{1, 0, 0, 0}));
  EXPECT_EQ(stream.State(), "degraded unplaceable");
}

TEST(KeysLeftUnsaid, ChunksToo) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 4, 1, kNil, Keys({Texts({"tenant-a"}), kNil})),
                StoredIn("cpu", {700}, 16, 500)});
  EXPECT_EQ(stream.Found(TokensFrom(500, 16)), (Blocks{0, 4, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
  stream.Apply({StoredIn("cpu", {701}, 16)});
  EXPECT_EQ(stream.Found(kPrompt), (Blocks{0, 0, 0, 0}));
  EXPECT_EQ(stream.State(), "degraded unplaceable");
}

// A hash that is held says which block is meant, whatever it has in common with others.
TEST(KeysLeftUnsaid, ACopyByItsHashIsACopy) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 4, 1, kNil, Keys({Texts({"tenant-a"}), kNil})),
                StoredIn("CPU", {1, 2}, 4), TierCleared("GPU")});
  EXPECT_EQ(stream.Found(kPrompt, "", "tenant-a"), (Blocks{0, 2, 0, 0}));
  EXPECT_EQ(stream.State(), kExactState);
}

// ---- identifiers without places ----

class BareIdentifiers : public testing::Test {
 protected:
  // The image is at tokens 2 to 10.
  Blocks FoundWithImage(const std::string& name, std::string_view salt = "") {
    return stream_.Found(kPrompt, "", salt, {{HashIdentifier(name), 2, 10}});
  }
  PublishedStream stream_;
};

TEST_F(BareIdentifiers, FromTheFirstBlockOnAreNoSalt) {
  stream_.Apply({StoredIn("GPU", {1, 2, 3, 4}, 4, 1, kNil,
                          Keys({Texts({"img"}), Texts({"img"}), Texts({"img"}), kNil}))});
  EXPECT_EQ(FoundWithImage("img"), (Blocks{4, 0, 0, 0}));
  EXPECT_EQ(FoundWithImage("other"), (Blocks{0, 0, 0, 0}));
}

TEST_F(BareIdentifiers, StandBesideASalt) {
  stream_.Apply({StoredIn("GPU", {1, 2, 3}, 4, 1, kNil,
                          Keys({Texts({"img", "salt"}), Texts({"img"}), Texts({"img"})}))});
  EXPECT_EQ(FoundWithImage("img", "salt"), (Blocks{3, 0, 0, 0}));
  EXPECT_EQ(FoundWithImage("img"), (Blocks{0, 0, 0, 0}));
}

TEST_F(BareIdentifiers, GoOnInTheNextEvent) {
  const std::string alone = Array({Array({Str("img")})});
  const std::string without_place = Array({Array({Str("img"), kNil})});
  stream_.Apply({StoredIn("GPU", {1, 2}, 4, 1, kNil, Keys({alone, without_place}))});
  stream_.Apply({StoredIn("GPU", {3, 4}, 4, 9, Uint(2), Keys({Texts({"img"}), kNil}))});
  EXPECT_EQ(FoundWithImage("img"), (Blocks{4, 0, 0, 0}));
}

TEST_F(BareIdentifiers, TwoInOneBlockAreInTheirOrder) {
  stream_.Apply(
      {StoredIn("GPU", {1, 2, 3}, 4, 1, kNil, Keys({kNil, Texts({"a", "b"}), Texts({"b"})}))});
  const uint64_t a = HashIdentifier("a");
  const uint64_t b = HashIdentifier("b");
  EXPECT_EQ(stream_.Found(kPrompt, "", "", {{a, 4, 6}, {b, 7, 12}}), (Blocks{3, 0, 0, 0}));
  EXPECT_EQ(stream_.Found(kPrompt, "", "", {{b, 4, 6}, {a, 7, 12}}), (Blocks{1, 0, 0, 0}));
}

}  // namespace
}  // namespace kvroute
