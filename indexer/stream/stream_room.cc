// The part of StreamApplier for what it remembers of blocks beside the index, and for an index that
// has no room.
#include "indexer/base/scratch.h"
#include "indexer/stream/stream_applier.h"

namespace kvroute {
namespace {

constexpr size_t kLeastPurged = 1'024;

}  // namespace

// Said first: a query that finds something gone finds it said, too. Nothing is given up for blocks
// whose parent is not held: they are not stored.
void StreamApplier::MakeSureOfRoom(size_t blocks, std::optional<EngineHash> parent) {
  if (!room_is_limited_ || index_->HasRoom(status_->id, blocks)) return;
  if (!parent.has_value() || Holds(*parent)) on_cut_back_();
}

void StreamApplier::CountCutBack(uint64_t cut_back, uint64_t no_room) {
  if (cut_back + no_room == 0) return;
  was_cut_back_ = true;
  ledger_.GivenUp(cut_back);
  tally_.Count(BlockOutcome::kCutBack, cut_back);
  tally_.Count(BlockOutcome::kNoRoom, no_room);
  Fault(TrustReason::kMemoryLimit);
}

// What one large batch needed would stay with every stream that ever sent one.
void StreamApplier::GiveBackScratch() {
  if (!AnyMayBeLarge(hashes_, pieces_, in_doubt_, adopted_, locals_) &&
      !contents_reader_.MayHaveMuchScratch()) {
    return;
  }
  for (std::vector<EngineHash>* scratch : {&hashes_, &pieces_, &in_doubt_, &adopted_}) {
    GiveBackIfLarge(scratch);
  }
  GiveBackIfLarge(&locals_);
  contents_reader_.GiveBackScratch();
}

// Of blocks that the index has given up nobody says that they went: what is remembered of them is
// looked for now and then, when it has become twice as much.
void StreamApplier::PurgeKept() {
  if (was_cut_back_ && KeptEntries() > purge_kept_at_) {
    const auto held = [this](EngineHash hash) { return Holds(hash); };
    absl::erase_if(salted_, [&](const auto& salt) { return !held(salt.first); });
    chunks_.ForgetAll([this](EngineHash hash) { return HoldsOrWaits(hash); });
    ledger_.KeepOnly(held);
    purge_kept_at_ = 2 * KeptEntries() + kLeastPurged;
  }
  ChargeKept();
}

size_t StreamApplier::KeptEntries() const {
  return salted_.size() + chunks_.size() + ledger_.entries();
}

void StreamApplier::ChargeKept() {
  const uint64_t bytes = salted_.capacity() * (sizeof(EngineHash) + sizeof(NamespaceSeed) + 1) +
                         chunks_.HeapBytes() + ledger_.HeapBytes();
  if (bytes == kept_bytes_) return;
  index_->memory()->Charge(static_cast<int64_t>(bytes - kept_bytes_));
  kept_bytes_ = bytes;
}

}  // namespace kvroute
