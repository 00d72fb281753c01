#ifndef KVROUTE_INDEXER_INDEX_STREAM_CHANGES_H_
#define KVROUTE_INDEXER_INDEX_STREAM_CHANGES_H_

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "indexer/base/enum_names.h"
#include "indexer/event/event.h"
#include "indexer/index/prefix_hash.h"

namespace kvroute {

// What can be done to one stream's holdings, and what came of it.

// What a second Stored of a block that is already held means.
//   kCounted: another physical copy (vLLM): the block is held until as many Removed have come.
//   kSet:     nothing new (SGLang): one Removed ends the holding.
enum class CopyMode : uint8_t { kCounted, kSet };
inline constexpr auto kCopyModeNames = NamesUpTo<CopyMode::kSet>("counted", "set");

// Copies of one (stream, engine hash, tier) are counted up to here; an engine that announces more
// is not believed.
inline constexpr uint32_t kMaxCopies = 65'535;

// Engine hashes of one stream for one block, beside the one that all of its holders share.
inline constexpr uint32_t kMaxAliases = 64;

// Consecutive blocks of one chain that an engine stored, the first one a child of `parent`.
struct StoreRequest {
  std::optional<EngineHash> parent;  // nullopt: the first block of a prompt
  absl::Span<const EngineHash> engine_hashes;
  absl::Span<const LocalHash> local_hashes;  // as many as engine_hashes
  Tier tier = Tier::kGpu;                    // a scored tier
};

enum class StoreStatus : uint8_t {
  kStored,
  kUnknownParent,  // nothing was changed: the parent is not held by this stream in any tier
  kNoRoom,         // the index is at its limit: blocks at the end of the request were not stored
};

struct StoreResult {
  StoreStatus status = StoreStatus::kStored;
  uint32_t added = 0;      // blocks this stream did not hold in that tier before
  uint32_t duplicate = 0;  // blocks it did; the copy was counted in kCounted mode
  // Blocks whose engine hash this stream held for other content: every copy of the old holding was
  // dropped, since a later Removed could not say which is meant. Counted in `added` too. A sign of
  // hash schemes that are not chained. Also engine hashes beyond kMaxAliases of a block: the oldest
  // was dropped.
  uint32_t rebound = 0;
  // Blocks that the stream held in that tier by another engine hash. Counted in `added` too. A sign
  // that the engine tells blocks apart by something that is not in their local hashes.
  uint32_t renamed = 0;
  uint32_t no_room = 0;   // blocks that were not stored
  uint64_t cut_back = 0;  // older holdings of this stream that were given up for these
};

struct AddCopiesResult {
  uint32_t added = 0;
  uint32_t duplicate = 0;
  uint32_t unknown = 0;  // not held in any tier
  uint32_t no_room = 0;  // of which no copy was added, see StoreResult
  uint64_t cut_back = 0;
};

struct RemoveResult {
  uint32_t removed = 0;      // no copy is left in that tier
  uint32_t copies_left = 0;  // a copy went, others are left in that tier
  uint32_t unknown = 0;      // not held in that tier
  uint64_t cut_back = 0;     // see StoreResult: what is left can take more memory than before
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_STREAM_CHANGES_H_
