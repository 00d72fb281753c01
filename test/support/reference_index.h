#ifndef KVROUTE_TEST_SUPPORT_REFERENCE_INDEX_H_
#define KVROUTE_TEST_SUPPORT_REFERENCE_INDEX_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {

// What PrefixIndex must answer, written down literally: per stream a map from engine hash to the
// block it names and its copies per tier; a query walks the prompt block by block. Slow and
// obviously right; nothing is shared between streams.
//
// The cases that a fast index could decide differently, decided here:
//   - Store with an unknown parent changes nothing. The parent is resolved, and all blocks of the
//   request are chained,
//     before anything changes, so a request that rebinds its own parent still means the old one.
//   - The blocks of a request are applied one after the other. The same engine hash twice in one
//   request is therefore a
//     rebind by the second one.
//   - A rebind drops every copy in every tier that the engine hash had, then holds the new block
//   once in the request's tier.
//     Children of the old block are not touched: a prompt that runs through it now has a hole
//     there.
//   - Two engine hashes of one stream may name one block. Each is a holding of its own with its own
//   copies; the stream holds
//     the block until both are gone, and the block's tier is the fastest that any of them has a
//     copy in.
//   - Copies saturate at kMaxCopies: a further duplicate is reported as such but not counted.
//
// Thread safety: none. Streams are opened under the ids that the index under test gave out.
class ReferenceIndex {
 public:
  void Open(StreamId stream, CopyMode mode);
  void Close(StreamId stream);

  StoreResult Store(StreamId stream, const StoreRequest& request);
  AddCopiesResult AddCopies(StreamId stream, absl::Span<const EngineHash> engine_hashes, Tier tier);
  RemoveResult Remove(StreamId stream, absl::Span<const EngineHash> engine_hashes, Tier tier);
  uint64_t Clear(StreamId stream);
  uint64_t ClearTier(StreamId stream, Tier tier);
  bool Holds(StreamId stream, EngineHash engine_hash) const;

  // In ascending order of streams; PrefixIndex names them in any order.
  void Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const;

  // `streams`, `holdings` and `distinct_blocks`; the rest is the business of an implementation.
  PrefixIndexStats Stats() const;

 private:
  struct Holding {
    PrefixHash prefix;
    std::array<uint32_t, kTierCount> copies{};
    bool AnyCopy() const;
  };
  struct Stream {
    CopyMode mode = CopyMode::kCounted;
    std::map<EngineHash, Holding> holdings;
    std::multimap<PrefixHash, EngineHash> names;  // every engine hash that names a block
  };

  Stream& Get(StreamId stream);
  const Stream& Get(StreamId stream) const;
  static bool AddCopy(CopyMode mode, Tier tier, Holding* holding);  // false: there was one already
  // By whichever engine hash.
  static bool HasCopy(const Stream& stream, PrefixHash prefix, Tier tier);
  static void Drop(Stream* stream, EngineHash engine_hash);

  std::map<StreamId, Stream> streams_;
};

// The answer's matches in ascending order of streams, to compare two answers.
std::vector<StreamMatch> SortedMatches(const MatchResult& result);
// "stream 3: 12 blocks (gpu 10 cpu 2 disk 0 external 0)", one line a match, for failure messages.
std::string DescribeMatches(const MatchResult& result);

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_REFERENCE_INDEX_H_
