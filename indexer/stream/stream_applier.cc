#include "indexer/stream/stream_applier.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

// Calls `visit` with the number of each bit that is set.
template <typename Visit>
void ForEachBit(uint32_t bits, Visit visit) {
  for (; bits != 0; bits &= bits - 1) visit(static_cast<size_t>(std::countr_zero(bits)));
}

}  // namespace

StreamApplier::StreamApplier(StreamStatus* status, size_t max_pending_memory_bytes,
                             PrefixIndex* index, IngestCounters* counters,
                             MemoryBudget* pending_budget)
    : status_(status),
      index_(index),
      counters_(counters),
      mode_(CopyModeOf(status->config)),
      room_is_limited_(index->memory()->limit() != MemoryBudget::kUnlimited),
      pending_(mode_, max_pending_memory_bytes, pending_budget),
      block_size_(status->config.block_size_tokens) {
  LearnNothing();
}

StreamApplier::~StreamApplier() { index_->memory()->Charge(-static_cast<int64_t>(kept_bytes_)); }

AppliedBatch StreamApplier::Apply(const DecodedBatch& batch, bool incomplete) {
  applied_ = {};
  incomplete_ = incomplete;
  size_t skipped = 0;
  const auto apply_skipped_before = [&](uint64_t position) {
    for (; skipped < batch.skipped.size() && batch.skipped[skipped].position < position;
         ++skipped) {
      ApplySkipped(batch.skipped[skipped], batch.unknown_tag);
    }
  };
  for (const Event& event : batch.events) {
    apply_skipped_before(event.position);
    tally_.Count(event.type, ApplyEvent(event));
  }
  apply_skipped_before(~uint64_t{0});
  ledger_.CountBatch(std::exchange(removals_, 0));
  if (std::exchange(missed_removals_, false)) Lose(1, /*may_keep=*/true);
  CountForgotten();
  PurgeKept();
  GiveBackScratch();
  Flush();
  PublishHoldings();
  status_->pending_events.store(pending_.size(), std::memory_order_relaxed);
  AppliedBatch applied = applied_;  // not through memory: that would wait for the last byte written
  applied.no_full_attention = other_group_seen_ && !full_attention_seen_;
  return applied;
}

void StreamApplier::Clear() {
  ClearAll();
  status_->pending_events.store(0, std::memory_order_relaxed);
  PublishHoldings();
}

void StreamApplier::Abandon() {
  index_->Abandon(status_->id);
  new (&salted_) decltype(salted_)();
  new (&groups_) decltype(groups_)();
  new (&chunks_) decltype(chunks_)();
  new (&ledger_) decltype(ledger_)();
  pending_.Abandon();
  tally_ = {};
  Clear();
}

void StreamApplier::StartOver() {
  Clear();
  ledger_.StartOver();
  may_adopt_ = true;
  groups_ = {};
  keyed_tokens_.Clear();
  keys_misfit_ = false;
  block_size_ = BlockSizeWatch(status_->config.block_size_tokens);
  said_ = 0;
  full_attention_seen_ = other_group_seen_ = unknown_medium_stored_ = false;
  named_keys_ = 0;
  one_copy_ = content_hashes_ = false;
  LearnNothing();
}

// What is known of the engine before its first event: its configuration.
void StreamApplier::LearnNothing() {
  form_known_ = false;
  lookahead_tokens_.reset();
  if (status_->config.bigram) lookahead_tokens_ = 1;
  status_->lookahead_tokens.store(lookahead_tokens_.value_or(0), std::memory_order_relaxed);
  status_->unnamed_keys.store(0, std::memory_order_relaxed);
  status_->bare_inputs.store(false, std::memory_order_relaxed);
  status_->block_size_tokens.store(block_size_.size(), std::memory_order_relaxed);
}

EventOutcome StreamApplier::ApplyEvent(const Event& event) {
  if (event.type == EventType::kCleared) return ApplyCleared(event);
  if (groups_.IsOther(event)) {
    other_group_seen_ |= event.type == EventType::kStored;
    return EventOutcome::kOtherGroup;
  }
  if (event.tier == Tier::kUnknown) return RefuseMedium(event);
  return event.type == EventType::kStored ? ApplyStored(event) : ApplyRemoved(event);
}

// A clear that names an owner is of the copies that he looks after.
EventOutcome StreamApplier::ApplyCleared(const Event& event) {
  if (!event.every_tier && event.tier == Tier::kUnknown) return RefuseMedium(event);
  if (event.every_tier && !event.owned) {
    tally_.Count(BlockOutcome::kCleared, ClearAll());
    applied_.cleared = true;
    applied_.fault = TrustReason::kNone;
    return EventOutcome::kApplied;
  }
  for (int i = 0; i < kTierCount; ++i) {
    const Tier tier = static_cast<Tier>(i);
    if (!event.every_tier && event.tier != tier) continue;
    if (event.owned && (owned_tiers_ >> i & 1) == 0) continue;
    // Whose copies are whose is not remembered: all of them go, and it is said.
    const bool others_too = event.owned && (engine_tiers_ >> i & 1) != 0;
    if (others_too) Fault(TrustReason::kUnplaceable);
    ClearTier(tier);
  }
  return EventOutcome::kApplied;
}

uint64_t StreamApplier::ClearAll() {
  pending_.Clear();
  decltype(salted_)().swap(salted_);
  chunks_.Clear();
  gpu_chunks_ = false;
  ledger_.Clear();
  was_cut_back_ = false;
  purge_kept_at_ = 0;
  ChargeKept();
  owned_tiers_ = engine_tiers_ = 0;
  missed_removals_ = false;
  return index_->Clear(status_->id);
}

void StreamApplier::ClearTier(Tier tier) {
  tally_.Count(BlockOutcome::kCleared, index_->ClearTier(status_->id, tier));
  pending_.ClearTier(tier);
  const auto held = [this](EngineHash hash) { return Holds(hash); };
  absl::erase_if(salted_, [&](const auto& salted) { return !held(salted.first); });
  chunks_.ForgetAll([this](EngineHash hash) { return HoldsOrWaits(hash); });
  ledger_.Clear(tier);
  const auto others = static_cast<uint8_t>(~(1u << static_cast<int>(tier)));
  owned_tiers_ &= others;
  engine_tiers_ &= others;
}

// Never sliced from the head: which of the tokens a shorter list of hashes belongs to cannot be
// known.
EventOutcome StreamApplier::ApplyStored(const Event& event) {
  if (event.block_hashes.empty()) return EventOutcome::kApplied;
  full_attention_seen_ = true;
  NoteOwner(event);
  if (event.tokens_per_hash == 0) return ApplyCopies(event);
  LearnForm(event);
  if (event.extra_keys_misfit) {
    keys_misfit_ = true;
    Fault(TrustReason::kDecodeErrors);
    ApplyCopies(event);
    return EventOutcome::kExtraKeys;
  }
  return ApplyTokens(event);
}

EventOutcome StreamApplier::ApplyTokens(const Event& event) {
  const auto verdict = block_size_.Judge(event, event.tokens_per_hash);
  status_->block_size_tokens.store(block_size_.size(), std::memory_order_relaxed);
  if (block_size_.retracted()) {  // what is held was cut into other blocks than prompts are
    ClearAll();
    Fault(TrustReason::kBlockSizeMismatch);
  }
  if (verdict == BlockSizeWatch::Verdict::kTail) return EventOutcome::kBlockSize;
  if (verdict == BlockSizeWatch::Verdict::kMismatch || !IsOfOurLookahead(event)) {
    return RefuseSize(event);
  }
  if (verdict == BlockSizeWatch::Verdict::kPieces) return ApplyPieces(event);
  return StoreOrWait(event, event.block_hashes,
                     contents_reader_.Read(event, event.tokens_per_hash));
}

// Blocks as long as several of the stream's own are stored as those. What the last one of them has
// beyond its last full piece matches no full block of a prompt; nothing can stand behind it.
EventOutcome StreamApplier::ApplyPieces(const Event& event) {
  const uint32_t block_size = block_size_.size();
  const uint32_t pieces = event.tokens_per_hash / block_size;
  const bool ragged = event.tokens_per_hash % block_size != 0;
  if (pieces > limits::kMaxChunkPieces) return RefuseSize(event);
  BlockContents contents = contents_reader_.Read(event, block_size);
  if (contents.inputs != BlockContents::Inputs::kNone || !contents.mix.empty()) {
    SayUnplaceable(event);  // which of the pieces an input is in is not said
    return ApplyCopies(event);
  }
  const size_t chunks = ragged ? 1 : event.block_hashes.size();
  contents.tokens = contents.tokens.first(chunks * pieces * block_size + contents.lookahead_tokens);
  contents.mix_ends = {};
  gpu_chunks_ |= event.tier == Tier::kGpu;
  pieces_.clear();
  for (const EngineHash hash : event.block_hashes.first(chunks)) {
    chunks_.Add(hash, pieces, ragged, event.tier, &pieces_);
  }
  const EventOutcome outcome = StoreOrWait(event, pieces_, contents);
  if (outcome != EventOutcome::kApplied && outcome != EventOutcome::kPending) {
    ForgetChunks(event.block_hashes);
  }
  return chunks < event.block_hashes.size() ? RefuseSize(event) : outcome;
}

void StreamApplier::ForgetChunks(absl::Span<const EngineHash> chunks) {
  chunks_.Forget(chunks, [this](EngineHash hash) { return HoldsOrWaits(hash); });
}

EventOutcome StreamApplier::StoreOrWait(const Event& event, absl::Span<const EngineHash> hashes,
                                        const BlockContents& contents) {
  if (event.parent && chunks_.IsRagged(*event.parent) && !Holds(*event.parent)) {
    return RefuseSize(event);
  }
  if (contents.inputs != BlockContents::Inputs::kNone) {
    status_->bare_inputs.store(contents.inputs == BlockContents::Inputs::kBare,
                               std::memory_order_relaxed);
  }
  if (event.tier != Tier::kGpu && IsCopyWithoutKeys(event, hashes, contents))
    return ApplyCopies(event);
  DropInDoubt(hashes, event.tier);
  StoreResult result = StoreBlocks(event.parent, hashes, contents, event.tier);
  if (result.status == StoreStatus::kUnknownParent && AdoptParent(event)) {
    result = StoreBlocks(event.parent, hashes, contents, event.tier);
  }
  if (result.status == StoreStatus::kStored) {
    Confirm(hashes, event.tier);
    LookForHiddenKeys(result, event.tier);
    if (pending_.awaits_any()) ResolvePending(hashes);
    return EventOutcome::kApplied;
  }
  // Of a stream that was cut back, a parent that is not held is most likely one that was given up.
  if (result.status == StoreStatus::kNoRoom || was_cut_back_) return EventOutcome::kMemoryLimit;
  keyed_tokens_.Add(contents, contents.salted);
  if (pending_.Add(*event.parent, hashes, contents, event.tier)) return EventOutcome::kPending;
  Fault(TrustReason::kPendingOverflow);
  return EventOutcome::kPendingDropped;
}

void StreamApplier::NoteOwner(const Event& event) {
  uint8_t& tiers = event.owned ? owned_tiers_ : engine_tiers_;
  tiers |= static_cast<uint8_t>(1u << static_cast<int>(event.tier));
}

StoreResult StreamApplier::StoreBlocks(std::optional<EngineHash> parent,
                                       absl::Span<const EngineHash> hashes,
                                       const BlockContents& contents, Tier tier) {
  NamespaceSeed seed = contents.seed;
  bool salted = contents.salted;
  if (!salted && parent.has_value() && !salted_.empty()) {
    if (const auto inherited = salted_.find(*parent); inherited != salted_.end()) {
      seed = inherited->second;
      salted = true;
    }
  }
  HashContents(contents, seed, &locals_);
  keyed_tokens_.Add(contents, salted);
  MakeSureOfRoom(hashes.size(), parent);
  const StoreResult result = index_->Store(status_->id, {parent, hashes, locals_, tier});
  if (result.status == StoreStatus::kUnknownParent) return result;
  CountCutBack(result.cut_back, result.no_room);
  tally_.Count(BlockOutcome::kAdded, result.added - result.rebound);
  tally_.Count(BlockOutcome::kDuplicate, result.duplicate);
  tally_.Count(BlockOutcome::kRebound, result.rebound);
  if (result.rebound > 0) {
    Fault(TrustReason::kHashConflict);
    // in whichever tiers that was held
    if (ledger_.active()) ledger_.Lose(0, index_->Holdings(status_->id));
  }
  if (salted || !salted_.empty()) {
    KeepSalts(hashes.first(hashes.size() - result.no_room),
              salted ? std::optional<NamespaceSeed>(seed) : std::nullopt);
  }
  return result;
}

EventOutcome StreamApplier::ApplyCopies(const Event& event) {
  hashes_.clear();
  for (const EngineHash hash : event.block_hashes) chunks_.ExpandCopy(hash, event.tier, &hashes_);
  uint64_t pending = 0;
  if (!pending_.empty()) {
    const auto waits = [&](EngineHash hash) {
      return !Holds(hash) && pending_.AddCopy(hash, event.tier);
    };
    const auto gone = std::remove_if(hashes_.begin(), hashes_.end(), waits);
    pending = static_cast<uint64_t>(hashes_.end() - gone);
    hashes_.erase(gone, hashes_.end());
  }
  const auto result =
      ledger_.active() ? AddCopiesInDoubt(hashes_, event.tier) : AddCopies(hashes_, event.tier, 1);
  if (result.no_room > 0) return EventOutcome::kMemoryLimit;
  tally_.Count(BlockOutcome::kAdded, result.added);
  tally_.Count(BlockOutcome::kDuplicate, result.duplicate);
  if (result.unknown > 0) SayUnplaceable(event);
  if (result.added + result.duplicate > 0) return EventOutcome::kApplied;
  return pending > 0 ? EventOutcome::kPending : EventOutcome::kUnplaceable;
}

AddCopiesResult StreamApplier::AddCopies(absl::Span<const EngineHash> hashes, Tier tier,
                                         uint32_t copies) {
  MakeSureOfRoom(hashes.size(), std::nullopt);
  const AddCopiesResult result = index_->AddCopies(status_->id, hashes, tier, copies);
  CountCutBack(result.cut_back, result.no_room);
  return result;
}

RemoveResult StreamApplier::Remove(absl::Span<const EngineHash> hashes, Tier tier) {
  const RemoveResult result = index_->Remove(status_->id, hashes, tier);
  CountCutBack(result.cut_back, 0);
  return result;
}

EventOutcome StreamApplier::ApplyRemoved(const Event& event) {
  absl::Span<const EngineHash> hashes = event.block_hashes;
  if (!chunks_.empty()) {
    pieces_.clear();
    for (const EngineHash hash : event.block_hashes) chunks_.Expand(hash, event.tier, &pieces_);
    hashes = pieces_;
  }
  if (!pending_.empty()) {
    hashes_.clear();
    for (const EngineHash hash : hashes) {
      const bool was_pending = pending_.Remove(hash, event.tier);
      if (was_pending) {
        tally_.Count(BlockOutcome::kRemoved, 1);
        ++removals_;
      }
      if (!was_pending || (mode_ == CopyMode::kSet && Holds(hash))) hashes_.push_back(hash);
    }
    hashes = hashes_;
  }
  const RemoveResult result = Remove(hashes, event.tier);
  removals_ += result.removed;
  tally_.Count(BlockOutcome::kRemoved, result.removed);
  tally_.Count(BlockOutcome::kCopiesLeft, result.copies_left);
  tally_.Count(BlockOutcome::kUnknown, result.unknown);
  ForgetSalts(hashes);
  if (ledger_.active()) {
    for (const EngineHash hash : hashes) ledger_.Removed(hash, event.tier);
  }
  ForgetChunks(event.block_hashes);
  return EventOutcome::kApplied;
}

void StreamApplier::Flush() {
  const EngineKind engine = status_->config.engine;
  const size_t events = IngestCounters::EventCounter(engine, EventType{}, EventOutcome{});
  ForEachBit(std::exchange(tally_.touched_events, 0), [&](size_t index) {
    counters_->events.Add(events + index, std::exchange(tally_.events[index], 0));
  });
  const size_t blocks = IngestCounters::BlockCounter(engine, BlockOutcome{});
  ForEachBit(std::exchange(tally_.touched_blocks, 0), [&](size_t index) {
    counters_->blocks.Add(blocks + index, std::exchange(tally_.blocks[index], 0));
  });
}

}  // namespace kvroute
