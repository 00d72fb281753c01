#ifndef KVROUTE_INDEXER_STREAM_STREAM_APPLIER_H_
#define KVROUTE_INDEXER_STREAM_STREAM_APPLIER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "indexer/event/decoder.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/block_contents.h"
#include "indexer/stream/block_size_watch.h"
#include "indexer/stream/chunks.h"
#include "indexer/stream/group_kinds.h"
#include "indexer/stream/ingest_counters.h"
#include "indexer/stream/keyed_tokens.h"
#include "indexer/stream/loss_ledger.h"
#include "indexer/stream/pending_events.h"
#include "indexer/stream/stream.h"

namespace kvroute {

// What a batch did to the knowledge of its stream.
struct AppliedBatch {
  bool cleared = false;  // the engine said that it holds nothing, in no tier
  // the first thing after that clear which could not be used as meant
  TrustReason fault = TrustReason::kNone;
  // Blocks were stored as only an engine stores them that tells blocks apart by something it does
  // not publish, if nothing of the stream is missing. See StreamApplier::LookForHiddenKeys.
  bool hidden_keys = false;
  bool no_full_attention = false;  // so far only blocks of other groups were stored
};

// Turns the events of one stream into operations on the index.
//
// Stored events become runs of local hashes; those whose parent is unknown wait (PendingEvents);
// those without tokens to match a prompt by are further copies of blocks already held. Groups other
// than full attention and tails are counted and left out. What else cannot be used (unknown media,
// block sizes that do not fit, copies of what is not held, events of a type we do not know) is a
// fault of the batch. A salt is inherited along a chain, because vLLM names it only on a prompt's
// first block. vLLM's offload tiers publish no extra keys even of blocks that have some: what they
// store is a copy of blocks already held, and a block of its own only where no block with keys has
// these tokens.
//
// Where the index has no room, it has cut the stream back: blocks are missing, and the batch is at
// fault for it (kMemoryLimit).
//
// Thread safety: one thread at a time, the stream's lane. Ownership: everything passed in outlives
// it.
class StreamApplier {
 public:
  // `pending_budget`: of all streams; may be null.
  StreamApplier(StreamStatus* status, size_t max_pending_memory_bytes, PrefixIndex* index,
                IngestCounters* counters, MemoryBudget* pending_budget = nullptr);
  ~StreamApplier();

  // `incomplete`: batches of before are missing for good, so that a block's parent may be unknown
  // though its engine holds it.
  AppliedBatch Apply(const DecodedBatch& batch, bool incomplete = false);
  // Batches are lost for good. What is held is kept, in doubt, if it may be and most of it is
  // probably right; else it is forgotten.
  LossOutcome Lose(uint64_t batches, bool may_keep);
  // Called before the index gives up anything that the stream holds, so that whoever finds it gone
  // finds it said.
  void OnCutBack(std::function<void()> on_cut_back) { on_cut_back_ = std::move(on_cut_back); }
  // Whether a stream that was cut back may try to become complete again.
  bool HasRoomAgain() const { return index_->HasRoomAgain(); }
  // Forgets all that the stream holds and waits for.
  void Clear();
  // Clear after an exception inside Apply: what was kept is left where it is, because it may be
  // damaged.
  void Abandon();
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
  EventOutcome ApplyTokens(const Event& event);
  EventOutcome ApplyPieces(const Event& event);
  void ForgetChunks(absl::Span<const EngineHash> chunks);
  EventOutcome StoreOrWait(const Event& event, absl::Span<const EngineHash> hashes,
                           const BlockContents& contents);
  EventOutcome ApplyCopies(const Event& event);
  EventOutcome ApplyRemoved(const Event& event);
  EventOutcome ApplyCleared(const Event& event);
  StoreResult StoreBlocks(std::optional<EngineHash> parent, absl::Span<const EngineHash> hashes,
                          const BlockContents& contents, Tier tier);
  AddCopiesResult AddCopies(absl::Span<const EngineHash> hashes, Tier tier, uint32_t copies);
  RemoveResult Remove(absl::Span<const EngineHash> hashes, Tier tier);
  uint64_t ClearAll();  // how many holdings went
  void ClearTier(Tier tier);

  void LearnNothing();
  bool Holds(EngineHash hash) const { return index_->Holds(status_->id, hash); }
  bool HoldsOrWaits(EngineHash hash) const { return pending_.Waits(hash) || Holds(hash); }
  void NoteOwner(const Event& event);
  void Flush();

  // stream_room.cc
  void MakeSureOfRoom(size_t blocks, std::optional<EngineHash> parent);
  void CountCutBack(uint64_t cut_back, uint64_t no_room);
  void PurgeKept();
  size_t KeptEntries() const;
  void ChargeKept();
  void GiveBackScratch();

  // stream_keys.cc
  // An engine hashes all its blocks alike, so its first one tells.
  bool IsOfOurLookahead(const Event& event) {
    const uint32_t lookahead = LookaheadOf(event);
    if (!lookahead_tokens_) LearnLookahead(lookahead);
    return *lookahead_tokens_ == lookahead;
  }
  void LearnLookahead(uint32_t lookahead);
  // What the fields of an event say of its engine: mostly what those before it said.
  void LearnForm(const Event& event) {
    const bool new_keys = (event.named_keys & ~named_keys_) != 0;
    const bool new_parent = event.published_parent && !event.parent && !content_hashes_;
    if (!form_known_ || new_keys || new_parent || (event.one_copy && !one_copy_)) {
      LearnNewForm(event);
    }
  }
  void LearnNewForm(const Event& event);
  bool IsCopyWithoutKeys(const Event& event, absl::Span<const EngineHash> hashes,
                         const BlockContents& contents) const;
  void LookForHiddenKeys(const StoreResult& result, Tier tier);
  void KeepSalts(absl::Span<const EngineHash> hashes, std::optional<NamespaceSeed> seed);
  void ForgetSalts(absl::Span<const EngineHash> hashes);

  // stream_waiting.cc
  void ResolvePending(absl::Span<const EngineHash> stored);
  void ReplayCopies(absl::Span<const PendingEvents::Entry> resolved);
  void CountForgotten();

  // stream_losses.cc: what is in doubt (loss_ledger.h) is counted anew when it is stored again.
  void DropInDoubt(absl::Span<const EngineHash> hashes, Tier tier);
  AddCopiesResult AddCopiesInDoubt(absl::Span<const EngineHash> hashes, Tier tier);
  // Whether the blocks up to an event's unknown parent are held now, because another stream knows
  // them.
  bool AdoptParent(const Event& event);
  void Confirm(absl::Span<const EngineHash> hashes, Tier tier);
  void PublishHoldings();

  // stream_refusals.cc
  void ApplySkipped(const SkippedEvent& skipped, std::string_view unknown_tag);
  EventOutcome RefuseMedium(const Event& event);
  EventOutcome RefuseSize(const Event& event);
  void SayUnplaceable(const Event& event);
  void Fault(TrustReason reason) {
    if (applied_.fault == TrustReason::kNone) applied_.fault = reason;
  }
  // Whether it is to be logged: once in a life of the engine each; the trust and the counters go on
  // saying it.
  bool SayOnce(TrustReason reason);

  StreamStatus* const status_;
  PrefixIndex* const index_;
  IngestCounters* const counters_;
  const CopyMode mode_;
  const bool room_is_limited_;  // the index's
  PendingEvents pending_;
  LossLedger ledger_;
  BlockSizeWatch block_size_;
  Chunks chunks_;
  bool gpu_chunks_ = false;   // some are in the gpu's memory, of another group
  uint64_t said_ = 0;         // bits: the reasons that were logged
  uint8_t owned_tiers_ = 0;   // bits: where somebody else than the engine looks after copies
  uint8_t engine_tiers_ = 0;  // bits: where the engine does
  ContentsReader contents_reader_;
  GroupKinds groups_;
  absl::flat_hash_map<EngineHash, NamespaceSeed> salted_;  // held blocks of salted prompts only
  KeyedTokens keyed_tokens_;
  bool keys_misfit_ = false;  // blocks had keys of which it is not known which has which
  std::optional<uint32_t> lookahead_tokens_;  // nullopt: not known yet
  bool form_known_ = false;                   // an event has told of the following
  uint8_t named_keys_ = 0;                    // bits of KeyKind that its events would name
  bool one_copy_ = false;                     // the engine's cache keeps one copy of a prefix
  bool content_hashes_ = false;  // its hashes say nothing of a block's place (early SGLang)
  bool full_attention_seen_ = false;
  bool other_group_seen_ = false;
  bool unknown_medium_stored_ = false;  // and left out
  bool incomplete_ = false;
  // Not once its own state was forgotten: what the index has still to scrub of that would be taken
  // for another stream's.
  bool may_adopt_ = true;
  std::function<void()> on_cut_back_ = [] {};
  bool was_cut_back_ = false;       // blocks of this life are missing in the index
  uint64_t kept_bytes_ = 0;         // of salted_, chunks_ and ledger_, as charged to the index
  size_t purge_kept_at_ = 0;        // entries; those of blocks that were given up are dropped then
  uint64_t removals_ = 0;           // of the batch being applied: blocks that its events remove
  bool missed_removals_ = false;    // what was skipped of it may have been a removal
  AppliedBatch applied_;            // of it, too
  Tally tally_;                     // and this
  std::vector<LocalHash> locals_;   // scratch
  std::vector<EngineHash> hashes_;  // scratch
  std::vector<EngineHash> pieces_;  // scratch
  std::vector<EngineHash> in_doubt_;  // scratch
  std::vector<EngineHash> adopted_;   // scratch
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_APPLIER_H_
