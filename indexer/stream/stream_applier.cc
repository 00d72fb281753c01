#include "indexer/stream/stream_applier.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "indexer/base/limits.h"
#include "indexer/base/log.h"

namespace kvroute {
namespace {

// Calls `visit` with the number of each bit that is set.
template <typename Visit>
void ForEachBit(uint32_t bits, Visit visit) {
  for (; bits != 0; bits &= bits - 1) visit(static_cast<size_t>(std::countr_zero(bits)));
}

}  // namespace

StreamApplier::StreamApplier(StreamStatus* status, size_t max_pending_memory_bytes,
                             PrefixIndex* index, IngestCounters* counters)
    : status_(status),
      index_(index),
      counters_(counters),
      mode_(CopyModeOf(status->config)),
      pending_(mode_, max_pending_memory_bytes),
      block_size_(status->config.block_size_tokens) {
  status->block_size_tokens.store(block_size_.size(), std::memory_order_relaxed);
}

AppliedBatch StreamApplier::Apply(const DecodedBatch& batch) {
  applied_ = {};
  size_t skipped = 0;
  const auto fault_skipped_before = [&](uint64_t position) {
    for (; skipped < batch.skipped.size() && batch.skipped[skipped].position < position;
         ++skipped) {
      // An event type we do not know is skipped by design: it says nothing against those we know.
      if (batch.skipped[skipped].reason != DecodeReason::kUnknownTag) {
        Fault(TrustReason::kDecodeErrors);
      }
    }
  };
  for (const Event& event : batch.events) {
    fault_skipped_before(event.position);
    tally_.Count(event.type, ApplyEvent(event));
  }
  fault_skipped_before(~uint64_t{0});
  Flush();
  status_->pending_events.store(pending_.size(), std::memory_order_relaxed);
  return applied_;
}

void StreamApplier::Clear() {
  index_->Clear(status_->id);
  pending_.Clear();
  salted_.clear();
  status_->pending_events.store(0, std::memory_order_relaxed);
}

void StreamApplier::StartOver() {
  Clear();
  full_attention_groups_.clear();
  keyed_ = false;
  block_size_ = BlockSizeWatch(status_->config.block_size_tokens);
  said_mismatch_ = false;
  status_->block_size_tokens.store(block_size_.size(), std::memory_order_relaxed);
}

EventOutcome StreamApplier::ApplyEvent(const Event& event) {
  if (event.type == EventType::kCleared) {
    tally_.Count(BlockOutcome::kCleared, index_->Clear(status_->id));
    pending_.Clear();
    salted_.clear();
    applied_ = {.cleared = true, .fault = TrustReason::kNone};
    return EventOutcome::kApplied;
  }
  if (IsOtherGroup(event)) return EventOutcome::kOtherGroup;
  if (event.tier == Tier::kUnknown) return EventOutcome::kUnknownTier;
  return event.type == EventType::kStored ? ApplyStored(event) : ApplyRemoved(event);
}

// A group index means the kind it was last stored with: a removal names no kind.
bool StreamApplier::IsOtherGroup(const Event& event) {
  if (!event.group_idx.has_value()) return !IsFullAttention(event);
  const auto known = full_attention_groups_.find(*event.group_idx);
  if (event.spec_kind.empty()) {
    return known == full_attention_groups_.end() ? !IsFullAttention(event) : !known->second;
  }
  if (known != full_attention_groups_.end()) {
    known->second = IsFullAttention(event);
  } else if (full_attention_groups_.size() < limits::kMaxGroupsPerStream) {
    full_attention_groups_.emplace(*event.group_idx, IsFullAttention(event));
  }
  return !IsFullAttention(event);
}

// Never sliced from the head: which of the tokens a shorter list of hashes belongs to cannot be
// known.
EventOutcome StreamApplier::ApplyStored(const Event& event) {
  if (event.block_hashes.empty()) return EventOutcome::kApplied;
  if (event.tokens_per_hash == 0) return ApplyCopies(event);
  if (event.extra_keys_misfit) {
    keyed_ = true;
    Fault(TrustReason::kDecodeErrors);
    ApplyCopies(event);
    return EventOutcome::kExtraKeys;
  }
  return ApplyTokens(event, event.tokens_per_hash);
}

EventOutcome StreamApplier::ApplyTokens(const Event& event, uint32_t block_size) {
  const auto verdict = block_size_.Judge(block_size, event.parent, event.block_hashes);
  if (verdict == BlockSizeWatch::Verdict::kTail) return EventOutcome::kBlockSize;
  if (verdict == BlockSizeWatch::Verdict::kMismatch || event.bigram != status_->config.bigram) {
    SayMismatch(event);
    Fault(TrustReason::kBlockSizeMismatch);
    return EventOutcome::kBlockSize;
  }
  status_->block_size_tokens.store(block_size, std::memory_order_relaxed);
  const BlockContents contents = contents_reader_.Read(event, block_size);
  keyed_ |= contents.salted || !contents.mix.empty();
  if (IsCopyWithoutKeys(event)) return ApplyCopies(event);
  if (StoreBlocks(event.parent, event.block_hashes, contents, event.tier) == StoreStatus::kStored) {
    ResolvePending(event.block_hashes);
    return EventOutcome::kApplied;
  }
  if (pending_.Add(*event.parent, event.block_hashes, contents, event.tier)) {
    return EventOutcome::kPending;
  }
  Fault(TrustReason::kPendingOverflow);
  return EventOutcome::kPendingDropped;
}

// The tokens of such an event do not say which of the blocks that share them is meant; its engine
// hashes do, where they are held.
bool StreamApplier::IsCopyWithoutKeys(const Event& event) const {
  if (event.tier == Tier::kGpu || !event.extra_keys_raw.empty() || !event.cache_salt.empty()) {
    return false;
  }
  return keyed_ ||
         std::all_of(event.block_hashes.begin(), event.block_hashes.end(),
                     [this](EngineHash hash) { return index_->Holds(status_->id, hash); });
}

// Once in a life of the engine: the trust and the counters go on saying it.
void StreamApplier::SayMismatch(const Event& event) {
  if (std::exchange(said_mismatch_, true)) return;
  const StreamConfig& config = status_->config;
  if (event.bigram != config.bigram) {
    LogError("stream {}/{}: bigram: the engine publishes tokens {}, it is configured {}; left out",
             config.worker_id, config.rank, event.bigram ? "in pairs" : "one by one",
             config.bigram);
    return;
  }
  LogError(
      "stream {}/{}: block_size_tokens: the engine's blocks have {} tokens, {} {}: left out; make "
      "it "
      "the engine's, or 0 to learn it",
      config.worker_id, config.rank, event.tokens_per_hash, block_size_.size(),
      config.block_size_tokens != 0 ? "is configured" : "was learned");
}

StoreStatus StreamApplier::StoreBlocks(std::optional<EngineHash> parent,
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
  const StoreResult result = index_->Store(status_->id, {parent, hashes, locals_, tier});
  if (result.status != StoreStatus::kStored) return result.status;
  tally_.Count(BlockOutcome::kAdded, result.added - result.rebound);
  tally_.Count(BlockOutcome::kDuplicate, result.duplicate);
  tally_.Count(BlockOutcome::kRebound, result.rebound);
  if (result.rebound > 0) Fault(TrustReason::kHashConflict);
  if (salted) {
    for (const EngineHash hash : hashes) salted_.insert_or_assign(hash, seed);
  } else if (!salted_.empty()) {
    for (const EngineHash hash : hashes) salted_.erase(hash);
  }
  return result.status;
}

// All that waited is stored before any of it is removed again: a removed block may still be the
// parent of another.
void StreamApplier::ResolvePending(absl::Span<const EngineHash> stored) {
  if (pending_.empty()) return;
  std::vector<EngineHash> ready(stored.begin(), stored.end());
  std::vector<PendingEvents::Entry> resolved;
  while (!ready.empty()) {
    const EngineHash parent = ready.back();
    ready.pop_back();
    for (PendingEvents::Entry& entry : pending_.Take(parent)) {
      if (StoreBlocks(parent, entry.hashes, entry.contents, entry.stored_tier) !=
          StoreStatus::kStored) {  // a conflict of hashes dropped the parent meanwhile
        tally_.Count(EventType::kStored, EventOutcome::kPendingDropped);
        Fault(TrustReason::kHashConflict);
        continue;
      }
      ready.insert(ready.end(), entry.hashes.begin(), entry.hashes.end());
      resolved.push_back(std::move(entry));
    }
  }
  ReplayCopies(resolved);
}

// What happened to the blocks while they waited. Those events were counted when they came.
void StreamApplier::ReplayCopies(absl::Span<const PendingEvents::Entry> resolved) {
  using Copy = std::pair<EngineHash, Tier>;
  absl::flat_hash_set<Copy> alive;
  std::vector<Copy> gone;
  for (const PendingEvents::Entry& entry : resolved) {
    for (size_t i = 0; i < entry.hashes.size(); ++i) {
      for (size_t t = 0; t < kTierCount; ++t) {
        const Copy copy(entry.hashes[i], static_cast<Tier>(t));
        const bool stored = copy.second == entry.stored_tier;
        int more = entry.copies[i][t] - (stored ? 1 : 0);
        if (more < 0) gone.push_back(copy);
        if (more >= 0 && (stored || more > 0) && mode_ == CopyMode::kSet) alive.insert(copy);
        for (; more > 0; --more) index_->AddCopies(status_->id, {&copy.first, 1}, copy.second);
      }
    }
  }
  for (const Copy& copy : gone) {
    if (alive.contains(copy)) continue;  // of a set, another event stored it again
    index_->Remove(status_->id, {&copy.first, 1}, copy.second);
    ForgetSalts({&copy.first, 1});
  }
}

EventOutcome StreamApplier::ApplyCopies(const Event& event) {
  hashes_.clear();
  uint64_t pending = 0;
  for (const EngineHash hash : event.block_hashes) {
    if (!pending_.empty() && !index_->Holds(status_->id, hash) &&
        pending_.AddCopy(hash, event.tier)) {
      ++pending;
    } else {
      hashes_.push_back(hash);
    }
  }
  const auto result = index_->AddCopies(status_->id, hashes_, event.tier);
  tally_.Count(BlockOutcome::kAdded, result.added);
  tally_.Count(BlockOutcome::kDuplicate, result.duplicate);
  if (result.added + result.duplicate > 0) return EventOutcome::kApplied;
  return pending > 0 ? EventOutcome::kPending : EventOutcome::kUnplaceable;
}

EventOutcome StreamApplier::ApplyRemoved(const Event& event) {
  hashes_.clear();
  for (const EngineHash hash : event.block_hashes) {
    const bool was_pending = !pending_.empty() && pending_.Remove(hash, event.tier);
    if (was_pending) tally_.Count(BlockOutcome::kRemoved, 1);
    if (!was_pending || (mode_ == CopyMode::kSet && index_->Holds(status_->id, hash))) {
      hashes_.push_back(hash);
    }
  }
  const RemoveResult result = index_->Remove(status_->id, hashes_, event.tier);
  tally_.Count(BlockOutcome::kRemoved, result.removed);
  tally_.Count(BlockOutcome::kCopiesLeft, result.copies_left);
  tally_.Count(BlockOutcome::kUnknown, result.unknown);
  ForgetSalts(hashes_);
  return EventOutcome::kApplied;
}

void StreamApplier::ForgetSalts(absl::Span<const EngineHash> hashes) {
  if (salted_.empty()) return;
  for (const EngineHash hash : hashes) {
    const auto it = salted_.find(hash);
    if (it != salted_.end() && !index_->Holds(status_->id, hash)) salted_.erase(it);
  }
}

void StreamApplier::Flush() {
  const size_t engine = static_cast<size_t>(status_->config.engine);
  ForEachBit(std::exchange(tally_.touched_events, 0), [&](size_t index) {
    const size_t type = index / kEventOutcomeCount;
    const size_t outcome = index % kEventOutcomeCount;
    Increment(&counters_->events[engine][type][outcome], std::exchange(tally_.events[index], 0));
  });
  ForEachBit(std::exchange(tally_.touched_blocks, 0), [&](size_t outcome) {
    Increment(&counters_->blocks[engine][outcome], std::exchange(tally_.blocks[outcome], 0));
  });
}

}  // namespace kvroute
