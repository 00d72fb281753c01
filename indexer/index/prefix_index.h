#ifndef KVROUTE_INDEXER_INDEX_PREFIX_INDEX_H_
#define KVROUTE_INDEXER_INDEX_PREFIX_INDEX_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/limits.h"
#include "indexer/base/strong_int.h"
#include "indexer/event/event.h"
#include "indexer/index/prefix_hash.h"

namespace kvroute {

// One (worker, rank)'s membership in the index. Never used twice in a process, so an answer that
// names a stream which has been closed meanwhile can only be unknown to its reader, never mistaken
// for another worker.
using StreamId = StrongInt<struct StreamIdTag, uint32_t>;

// What a second Stored of a block that is already held means.
//   kCounted: another physical copy (vLLM): the block is held until as many Removed have come.
//   kSet:     nothing new (SGLang): one Removed ends the holding.
enum class CopyMode : uint8_t { kCounted, kSet };
inline constexpr auto kCopyModeNames = NamesUpTo<CopyMode::kSet>("counted", "set");

// Copies of one (stream, engine hash, tier) are counted up to here; an engine that announces more
// is not believed.
inline constexpr uint32_t kMaxCopies = 65'535;

struct PrefixIndexOptions {
  size_t max_streams = limits::kMaxStreams;
  // Mixed into the prefix hashes inside the index so that a crafted prompt cannot aim at a shard; 0
  // draws one at random.
  uint64_t secret_seed = 0;
};

// A stretch of one chain that an engine stored: consecutive blocks, the first one a child of
// `parent`.
struct StoreRequest {
  std::optional<EngineHash> parent;  // nullopt: the first block of a prompt
  absl::Span<const EngineHash> engine_hashes;
  absl::Span<const LocalHash> local_hashes;  // as many as engine_hashes
  Tier tier = Tier::kGpu;                    // a scored tier
};

enum class StoreStatus : uint8_t {
  kStored,
  kUnknownParent,  // nothing was changed: the parent is not held by this stream in any tier
};

struct StoreResult {
  StoreStatus status = StoreStatus::kStored;
  uint32_t added = 0;      // blocks this stream did not hold in that tier before
  uint32_t duplicate = 0;  // blocks it did; the copy was counted in kCounted mode
  // Blocks whose engine hash this stream held for other content: every copy of the old holding was
  // dropped, since a later Removed could not say which is meant. Counted in `added` too. A sign of
  // hash schemes that are not chained.
  uint32_t rebound = 0;
};

struct RemoveResult {
  uint32_t removed = 0;      // no copy is left in that tier
  uint32_t copies_left = 0;  // a copy went, others are left in that tier
  uint32_t unknown = 0;      // not held in that tier
};

struct StreamMatch {
  friend bool operator==(const StreamMatch&, const StreamMatch&) = default;

  StreamId stream;
  // Leading blocks of the query that the stream holds without a hole, in whichever tier.
  uint32_t blocks = 0;
  // Those blocks by the fastest tier (gpu, cpu, disk, external) that has a copy; sums to `blocks`.
  std::array<uint32_t, kTierCount> blocks_by_tier{};
};

// The matches of one query; reused between queries so that steady state allocates nothing. Every
// stream with at least one block is named exactly once, in no particular order.
struct MatchResult {
  std::vector<StreamMatch> matches;
  void Clear() { matches.clear(); }
};

struct PrefixIndexStats {
  uint64_t streams = 0;
  uint64_t holdings = 0;         // (engine hash, stream, tier) memberships
  uint64_t distinct_blocks = 0;  // prefix hashes held by anyone, or by what is still being scrubbed
  uint64_t runs = 0;             // stretches they are stored in
  uint64_t bytes = 0;            // memory reserved by the index, all parts
};

// Which streams hold how much of a prompt's prefix: exact, 256-way sharded, run-compressed.
// docs/index.md explains the layout, its bytes and its cache lines.
//
// Thread safety: Match and Stats from any thread at any time. Open and Close from any thread.
// Store, AddCopies, Remove, Clear and Holds of one stream by one thread at a time (its lane);
// different streams in parallel. Consistency: a query that runs beside writers answers, for each
// stream, what that stream held at some moment of the query or an interleaving of the applied
// events explains; once writers pause, it equals the reference model
// (test/support/reference_index.h). Clear and Close take effect for readers at once, whatever they
// have to free. Errors: none on data: what cannot be applied is reported in the result and changes
// nothing. A stream that is not open, Tier::kUnknown and spans of different lengths are a
// programmer's errors.
//
// The exact meaning of every case is that of the reference model. In short: a request's parent is
// resolved and its blocks are chained before anything changes, then they are applied one by one; an
// engine hash names one block at a time (the last one stored under it); a stream holds a block as
// long as any of its engine hashes names it with a copy in any tier.
class PrefixIndex {
 public:
  explicit PrefixIndex(const PrefixIndexOptions& options = {});
  ~PrefixIndex();
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  // RESOURCE_EXHAUSTED at max_streams.
  absl::StatusOr<StreamId> Open(CopyMode mode);
  // Forgets the stream and everything it holds. Its writer must have stopped.
  void Close(StreamId stream);

  StoreResult Store(StreamId stream, const StoreRequest& request);
  // Another tier of blocks the stream already holds: an event without tokens (an offload
  // placeholder) names blocks that it cannot place. `unknown` counts the hashes that are not held
  // in any tier.
  struct AddCopiesResult {
    uint32_t added = 0;
    uint32_t duplicate = 0;
    uint32_t unknown = 0;
  };
  AddCopiesResult AddCopies(StreamId stream, absl::Span<const EngineHash> engine_hashes, Tier tier);
  RemoveResult Remove(StreamId stream, absl::Span<const EngineHash> engine_hashes, Tier tier);
  // Everything the stream holds, in every tier. Returns the number of holdings that went.
  uint64_t Clear(StreamId stream);
  // Whether the stream holds the block in any tier.
  bool Holds(StreamId stream, EngineHash engine_hash) const;

  // Fills `result` (cleared first) for the prompt whose blocks have these chained hashes, first
  // block first. They must be a chain (HashPrompt, ChainLocals): equal hashes at one place are
  // taken as proof that everything before is equal. For a sequence that is not a chain the answer
  // may be too high, never out of bounds.
  void Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const;
  // The same; hashes the prompt about as far as somebody holds it.
  void Match(PromptChain* prompt, MatchResult* result) const;

  PrefixIndexStats Stats() const;
  // Returns when what was cleared or closed before the call has been freed, and not only become
  // invisible.
  void WaitForScrub() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_PREFIX_INDEX_H_
