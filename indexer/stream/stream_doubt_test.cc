// What could not be used of a batch and may have been a removal puts in doubt what is held; what
// cannot have been one does not. And what is removed is found, however it was stored.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "indexer/base/limits.h"
#include "test/support/published_stream.h"

namespace kvroute {
namespace {

using namespace wire;

// Whatever else is wrong with the batch.
TEST(SkippedEvents, PutInDoubtWhatIsHeldBehindAnotherFaultToo) {
  const std::string unknown = Array({Str("BlockMigrated"), Hashes({1}), Str("peer")});
  const std::string damaged = Map({{"type", Str("BlockRemoved")}, {"block_hashes", Str("?")}});
  for (const std::string& event : {unknown, damaged}) {
    PublishedStream stream;
    stream.Apply({StoredIn("GPU", {1, 2}, 4), StoredIn("TAPE", {1}, 4), event});
    EXPECT_EQ(stream.State(), "degraded unknown_medium");
    EXPECT_EQ(stream.status().unconfirmed_holdings.load(), 2u);
    stream.Apply({StoredIn("TAPE", {1}, 4), event, AllCleared(), StoredIn("GPU", {1}, 4)});
    EXPECT_EQ(stream.State(), "exact cleared_by_engine");
    EXPECT_EQ(stream.status().unconfirmed_holdings.load(), 0u);
  }
}

// A store that cannot be read is missing; what is held is none the worse for it.
TEST(SkippedEvents, OfWhichItIsKnownThatTheyStoreDoubtNothing) {
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 4),
                StoredMap({{"block_hashes", Hashes({3})}, {"token_ids", Str("?")}})});
  EXPECT_EQ(stream.State(), "degraded decode_errors");
  EXPECT_EQ(stream.status().unconfirmed_holdings.load(), 0u);
  const std::string tag_last = Map({{"block_hashes", Str("?")}, {"type", Str("BlockStored")}});
  const std::string no_tag = Map({{"block_hashes", Hashes({1})}});
  stream.Apply({tag_last});
  EXPECT_EQ(stream.status().unconfirmed_holdings.load(), 0u);
  stream.Apply({no_tag});
  EXPECT_EQ(stream.status().unconfirmed_holdings.load(), 2u);
}

// A removal from a medium where the stream never stored may be of what it holds, by another name;
// one from a medium of which all is left out is not.
TEST(UnknownMedia, PutInDoubtOnlyWhatMayBeMeant) {
  for (const bool stored_there : {false, true}) {
    for (const std::string& event : {RemovedFrom("MARS", {2, 9}), TierCleared("MARS")}) {
      PublishedStream stream;
      stream.Apply({StoredIn("GPU", {1, 2}, 4)});
      if (stored_there) stream.Apply({StoredIn("MARS", {1}, 4)});
      stream.Apply({event});
      EXPECT_EQ(stream.status().unconfirmed_holdings.load(), stored_there ? 0u : 2u);
      EXPECT_EQ(stream.State(), "degraded unknown_medium");
    }
  }
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1, 2}, 4), RemovedFrom("MARS", {9})});  // which it does not hold
  EXPECT_EQ(stream.status().unconfirmed_holdings.load(), 0u);
}

// ---- what is remembered beside the index ----

TEST(MemoryBesideTheIndex, OfWhatIsCertainAfterALossIsCharged) {
  constexpr uint64_t kBlocks = 100;
  const auto charged = [](bool lost) {
    PublishedStream stream;
    stream.Apply({StoredIn("GPU", {1}, 4)});
    if (lost) stream.Apply({Map({{"type", Str("CacheReset")}})});
    for (uint64_t i = 0; i < kBlocks; ++i) stream.Apply({StoredIn("GPU", {100 + i}, 4, 100 * i)});
    return stream.ChargedBytes();
  };
  EXPECT_GE(charged(true), charged(false) + kBlocks * sizeof(EngineHash));
}

TEST(MemoryBesideTheIndex, OfChunksIsChargedAndGivenBack) {
  constexpr uint64_t kChunks = 100;
  PublishedStream stream;
  stream.Apply({StoredIn("GPU", {1}, 16)});
  const uint64_t before = stream.ChargedBytes();
  for (uint64_t i = 0; i < kChunks; ++i) {  // they wait, so that they take nothing in the index
    stream.Apply({StoredIn("CPU", {100 + i}, 64, 1'000, Uint(9'000 + i))});
  }
  EXPECT_GE(stream.ChargedBytes(), before + kChunks * 2 * sizeof(EngineHash));
  stream.Apply({AllCleared()});
  EXPECT_LE(stream.ChargedBytes(), before);
}

// ---- groups ----

std::string OfGroup(uint64_t group, const char* kind, uint64_t hash) {
  return StoredIn("GPU", {hash}, 4, 1, kNil,
                  {{"group_idx", Uint(group)}, {"kv_cache_spec_kind", Str(kind)}});
}
std::string RemovedFromGroup(uint64_t group, uint64_t hash) {
  return Map({{"type", Str("BlockRemoved")},
              {"block_hashes", Hashes({hash})},
              {"group_idx", Uint(group)}});
}

// What was stored can be removed, whatever its group is called meanwhile.
TEST(Groups, ThatWereOnceIndexedStayLookedUp) {
  PublishedStream stream;
  stream.Apply({OfGroup(1, "full_attention", 1), OfGroup(1, "mamba", 2), RemovedFromGroup(1, 1)});
  EXPECT_EQ(stream.Holdings(), 0u);
}

TEST(Groups, BeyondThoseThatAreRememberedAreLookedUp) {
  PublishedStream stream;
  for (uint64_t group = 0; group <= limits::kMaxGroupsPerStream; ++group) {
    stream.Apply({OfGroup(group, "full_attention", 7)});
  }
  stream.Apply({RemovedFromGroup(limits::kMaxGroupsPerStream, 7)});
  EXPECT_EQ(stream.Holdings(), 1u);
  for (uint64_t group = 0; group < limits::kMaxGroupsPerStream; ++group) {
    stream.Apply({RemovedFromGroup(group, 7)});
  }
  EXPECT_EQ(stream.Holdings(), 0u);
}

}  // namespace
}  // namespace kvroute
