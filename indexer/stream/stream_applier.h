#ifndef KVROUTE_INDEXER_STREAM_STREAM_APPLIER_H_
#define KVROUTE_INDEXER_STREAM_STREAM_APPLIER_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "indexer/event/decoder.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/block_contents.h"
#include "indexer/stream/block_size_watch.h"
#include "indexer/stream/ingest_counters.h"
#include "indexer/stream/pending_events.h"
#include "indexer/stream/stream.h"

namespace kvroute {

// What a batch did to the knowledge of its stream.
struct AppliedBatch {
  bool cleared = false;  // the engine said that it holds nothing
  // the first thing after that clear which could not be used as meant
  TrustReason fault = TrustReason::kNone;
};

// Turns the events of one stream into operations on the index.
//
// Stored events become runs of local hashes; those whose parent is unknown wait (PendingEvents);
// those without tokens to match a prompt by are further copies of blocks already held. Groups other
// than full attention, unknown tiers and foreign block sizes are counted and left out. A salt is
// inherited along a chain, because vLLM names it only on a prompt's first block. vLLM's offload
// tiers publish no extra keys even of blocks that have some: what they store is a copy of blocks
// already held, and never a block of its own where extra keys are in use.
//
// Thread safety: one thread at a time, the stream's lane. Ownership: everything passed in outlives
// it.
class StreamApplier {
 public:
  StreamApplier(StreamStatus* status, size_t max_pending_memory_bytes, PrefixIndex* index,
                IngestCounters* counters);

  AppliedBatch Apply(const DecodedBatch& batch);
  // Forgets all that the stream holds and waits for.
  void Clear();
  // Another life of the engine: its block size and its groups are forgotten, too.
  void StartOver();

 private:
  // What the batch being applied adds to the process-wide counters, each of which is then touched
  // once.
  struct Tally {
    std::array<uint64_t, kEventTypeCount * kEventOutcomeCount> events{};
    std::array<uint64_t, kBlockOutcomeCount> blocks{};
    uint32_t touched_events = 0;  // bits: what is not 0 above
    uint32_t touched_blocks = 0;
    static_assert(kEventTypeCount * kEventOutcomeCount <= 32 && kBlockOutcomeCount <= 32);

    void Count(BlockOutcome outcome, uint64_t count) {
      blocks[static_cast<size_t>(outcome)] += count;
      touched_blocks |= uint32_t{count != 0} << static_cast<int>(outcome);
    }
    void Count(EventType type, EventOutcome outcome) {
      const size_t index =
          static_cast<size_t>(type) * kEventOutcomeCount + static_cast<size_t>(outcome);
      ++events[index];
      touched_events |= uint32_t{1} << index;
    }
  };

  EventOutcome ApplyEvent(const Event& event);
  EventOutcome ApplyStored(const Event& event);
  EventOutcome ApplyTokens(const Event& event, uint32_t block_size);
  EventOutcome ApplyCopies(const Event& event);
  EventOutcome ApplyRemoved(const Event& event);

  bool IsOtherGroup(const Event& event);
  bool IsCopyWithoutKeys(const Event& event) const;
  void SayMismatch(const Event& event);
  void Fault(TrustReason reason) {
    if (applied_.fault == TrustReason::kNone) applied_.fault = reason;
  }

  StoreStatus StoreBlocks(std::optional<EngineHash> parent, absl::Span<const EngineHash> hashes,
                          const BlockContents& contents, Tier tier);
  void ResolvePending(absl::Span<const EngineHash> stored);
  void ReplayCopies(absl::Span<const PendingEvents::Entry> resolved);
  void ForgetSalts(absl::Span<const EngineHash> hashes);
  void Flush();

  StreamStatus* const status_;
  PrefixIndex* const index_;
  IngestCounters* const counters_;
  const CopyMode mode_;
  PendingEvents pending_;
  BlockSizeWatch block_size_;
  bool said_mismatch_ = false;
  ContentsReader contents_reader_;
  absl::flat_hash_map<uint32_t, bool> full_attention_groups_;  // at most kMaxGroupsPerStream
  absl::flat_hash_map<EngineHash, NamespaceSeed> salted_;      // held blocks of salted prompts only
  bool keyed_ = false;    // blocks of this stream have been told apart by more than their tokens
  AppliedBatch applied_;  // of the batch being applied
  Tally tally_;           // of it, too
  std::vector<LocalHash> locals_;   // scratch
  std::vector<EngineHash> hashes_;  // scratch
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_APPLIER_H_
