#ifndef KVROUTE_INDEXER_INDEX_PREFIX_INDEX_H_
#define KVROUTE_INDEXER_INDEX_PREFIX_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/base/limits.h"
#include "indexer/base/memory_budget.h"
#include "indexer/base/thread_pulse.h"
#include "indexer/event/event.h"
#include "indexer/index/match_result.h"
#include "indexer/index/prefix_hash.h"
#include "indexer/index/stream_changes.h"
#include "indexer/index/stream_id.h"

namespace kvroute {

struct PrefixIndexOptions {
  size_t max_streams = limits::kMaxStreams;
  // Mixed into the prefix hashes inside the index so that a crafted prompt cannot aim at a shard; 0
  // draws one at random.
  uint64_t secret_seed = 0;
  // What the index and those who keep something beside it for its streams may take; outlives it.
  // Null: no limit.
  MemoryBudget* memory = nullptr;
};

struct PrefixIndexStats {
  uint64_t streams = 0;
  uint64_t holdings = 0;         // (engine hash, stream, tier) memberships
  uint64_t distinct_blocks = 0;  // prefix hashes held by anyone, or by what is still being scrubbed
  uint64_t runs = 0;             // that they are stored in
  uint64_t bytes = 0;            // memory reserved by the index, all parts
  uint64_t used_bytes = 0;       // of it in use; what its limit is compared with
  // Blocks stored, since the start, under an engine hash that another block had in the index: two
  // hash schemes that collide by chance, or one that is broken. Such a block costs its own stream
  // some bytes, and nobody else anything.
  uint64_t twins = 0;
};

// Which streams hold how much of a prompt's prefix: exact, 256-way sharded, run-compressed.
// docs/index.md explains the layout, its bytes and its cache lines.
//
// Thread safety: Match and Stats from any thread at any time. Open and Close from any thread.
// Store, AddCopies, Remove, Adopt, Clear, ClearTier, Holdings and Holds of one stream by one thread
// at a time (its lane); different streams in parallel. Consistency: a query that runs beside
// writers answers, for each stream, what that stream held at some moment of the query or an
// interleaving of the applied events explains; once writers pause, it equals the reference model
// (test/support/reference_index.h). Clear and Close take effect for readers at once, whatever they
// have to free. Errors: none on data: what cannot be applied is reported in the result and changes
// nothing. Memory: at its limit a stream that stores gives up what it has held longest, never what
// another holds, and where that is not enough its new blocks are left out; the result says so, and
// what is held is from then on less than what was announced, never more. A stream that is not open,
// Tier::kUnknown and spans of different lengths are a programmer's errors.
//
// The exact meaning of every case is that of the reference model. In short: a request's parent is
// resolved and its blocks are chained before anything changes, then they are applied one by one; an
// engine hash stands for one block at a time (the last one stored under it); a stream holds a block
// as long as any of its engine hashes stands for it with a copy in any tier.
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
  // Another tier of blocks that the stream already holds. For events without tokens (an offload's
  // placeholders), which say which blocks but not where they belong.
  // `copies`: of each.
  AddCopiesResult AddCopies(StreamId stream, absl::Span<const EngineHash> engine_hashes, Tier tier,
                            uint32_t copies = 1);
  RemoveResult Remove(StreamId stream, absl::Span<const EngineHash> engine_hashes, Tier tier);
  // Of an engine hash that the stream does not hold, but that another stream's engine uses for the
  // same content: the stream holds that block, and those before it in its run, in the gpu tier.
  // Returns how many it did not hold before; 0 as well where it was never seen that hashes of the
  // two agree.
  uint32_t Adopt(StreamId stream, EngineHash engine_hash, std::vector<EngineHash>* adopted);
  // Everything the stream holds, in every tier. Returns the number of holdings that went.
  uint64_t Clear(StreamId stream);
  // Every copy in one tier; what has copies in others stays there. Costs as much as there are
  // blocks with copies in other tiers than the gpu. A query at the moment at which the gpu is
  // cleared may miss those that stay. Returns the number of holdings that went.
  uint64_t ClearTier(StreamId stream, Tier tier);
  // (engine hash, tier) memberships of the stream.
  uint64_t Holdings(StreamId stream) const;
  // Clear after an exception inside a call for the stream: what was kept of it is left where it is,
  // because it may be damaged.
  void Abandon(StreamId stream);
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
  uint64_t UsedBytes() const;  // that of Stats, at next to no cost
  // Whether so many blocks can be stored without the stream being cut back. By its lane.
  bool HasRoom(StreamId stream, size_t blocks) const;
  // Whether so much is free that a stream which was cut back may try to become complete again.
  bool HasRoomAgain() const;
  // For what is kept beside the index for its streams.
  MemoryBudget* memory();
  // Returns long stretches of free memory to the system. Takes milliseconds for each GiB.
  void ReturnFreeMemory();
  // Returns when what was cleared or closed before the call has been freed, and not only become
  // invisible.
  void WaitForScrub() const;
  // Of the thread that does it, for as long as the index lives.
  const ThreadPulse& scrub_pulse() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_PREFIX_INDEX_H_
