// The part of StreamApplier for streams that lost batches for good: what is kept is in doubt until
// it is heard of again.
#include "indexer/stream/stream_applier.h"

namespace kvroute {

LossOutcome StreamApplier::Lose(uint64_t batches, bool may_keep) {
  const uint64_t holdings = index_->Holdings(status_->id);
  const uint64_t believed = holdings + pending_.size();  // which may have been removed, too
  ledger_.Lose(batches, believed);
  const bool keeps = may_keep && !ledger_.MostlyWrong(believed);
  if (!keeps) {
    Clear();
    may_adopt_ = false;
  }
  PublishHoldings();
  if (holdings == 0) return LossOutcome::kEmpty;
  return keeps ? LossOutcome::kKept : LossOutcome::kForgotten;
}

// A block in doubt that an engine stores again was removed meanwhile, most likely: its copies are
// those counted from here on. Where it was not, a copy too few is believed in, which errs on the
// side that costs less.
void StreamApplier::DropInDoubt(absl::Span<const EngineHash> hashes, Tier tier) {
  if (!ledger_.active()) return;
  in_doubt_.clear();
  for (const EngineHash hash : hashes) {
    if (ledger_.IsConfirmed(hash, tier) || !Holds(hash)) continue;
    in_doubt_.push_back(hash);
    // one alone may be a further copy just as well
    if (hashes.size() > 1) ledger_.Renewed();
  }
  if (mode_ == CopyMode::kSet) return;
  // As often as there are copies; each of them was announced, so that this is paid for.
  for (bool left = !in_doubt_.empty(); left;) {
    left = Remove(in_doubt_, tier).copies_left > 0;
  }
}

// The same where no tokens say how to store it again: it keeps the copies that it had.
AddCopiesResult StreamApplier::AddCopiesInDoubt(absl::Span<const EngineHash> hashes, Tier tier) {
  AddCopiesResult all;
  for (const EngineHash& hash : hashes) {
    const AddCopiesResult result = AddCopies({&hash, 1}, tier, 1);
    all.no_room += result.no_room;
    all.added += result.added;
    all.duplicate += result.duplicate;
    all.unknown += result.unknown;
    if (result.unknown > 0) continue;
    if (result.duplicate > 0 && !ledger_.IsConfirmed(hash, tier)) {
      if (mode_ == CopyMode::kCounted) Remove({&hash, 1}, tier);
    }
    ledger_.Confirm(hash, tier);
  }
  return all;
}

// A stored block proves that its engine holds all blocks before it. They are in doubt all the same:
// under which engine hashes they will be removed is only supposed.
bool StreamApplier::AdoptParent(const Event& event) {
  if (!incomplete_ || !may_adopt_ || content_hashes_ || event.tier != Tier::kGpu) return false;
  adopted_.clear();
  tally_.Count(BlockOutcome::kAdopted, index_->Adopt(status_->id, *event.parent, &adopted_));
  if (adopted_.empty()) return false;
  if (!ledger_.active()) ledger_.Lose(0, index_->Holdings(status_->id));
  if (pending_.awaits_any()) ResolvePending(adopted_);
  return Holds(*event.parent);
}

void StreamApplier::Confirm(absl::Span<const EngineHash> hashes, Tier tier) {
  if (!ledger_.active()) return;
  for (const EngineHash hash : hashes) ledger_.Confirm(hash, tier);
}

void StreamApplier::PublishHoldings() {
  const uint64_t holdings = index_->Holdings(status_->id);
  status_->holdings.store(holdings, std::memory_order_relaxed);
  const bool doubt = ledger_.active();
  status_->unconfirmed_holdings.store(doubt ? ledger_.Unconfirmed(holdings) : 0,
                                      std::memory_order_relaxed);
  status_->doubtful_holdings.store(doubt ? ledger_.Doubtful(holdings) : 0,
                                   std::memory_order_relaxed);
}

}  // namespace kvroute
