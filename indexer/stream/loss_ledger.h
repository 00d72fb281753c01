#ifndef KVROUTE_INDEXER_STREAM_LOSS_LEDGER_H_
#define KVROUTE_INDEXER_STREAM_LOSS_LEDGER_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "indexer/base/limits.h"
#include "indexer/event/event.h"

namespace kvroute {

// How far what a stream holds may be believed after batches were lost for good.
//
// Removals of anything held then may be among what was lost, so all of it is in doubt. What a later
// batch stores is certain again, until it is removed or more is lost: it is confirmed. So no more
// holdings can be wrong than are not confirmed. How many probably are is reckoned from how much the
// last batches of this stream removed; a block that is stored again while it was in doubt takes one
// of them away.
//
// Costs a multiplication a batch until something is lost. Thread safety: one thread at a time.
// Memory: one hash for each confirmed holding, at most `max_confirmed` of them in all; those beyond
// stay in doubt. It is the owner's to charge (HeapBytes).
class LossLedger {
 public:
  explicit LossLedger(size_t max_confirmed = limits::kMaxConfirmedHoldings)
      : max_confirmed_(max_confirmed) {}

  // A batch was applied that removes so many blocks.
  void CountBatch(uint64_t removed) {
    const double more = static_cast<double>(removed) - removed_;
    if (batches_ == kRecentBatches) {
      removed_ += more * (1.0 / kRecentBatches);
    } else {
      removed_ += more / ++batches_;
    }
  }

  // So many batches are lost, while the stream holds so much. Nothing held, nothing to doubt.
  void Lose(uint64_t batches, uint64_t holdings);
  // Whether anything is in doubt.
  bool active() const { return active_; }

  // So many holdings were given up without a word of which: as many confirmed ones may be none.
  void GivenUp(uint64_t holdings) { given_up_ += active_ ? holdings : 0; }
  // Forgets the confirmed ones of which `held` says that the stream does not hold them.
  template <typename Held>
  void KeepOnly(Held held) {
    for (Hashes& hashes : confirmed_) {
      absl::erase_if(hashes, [&](EngineHash hash) { return !held(hash); });
    }
    given_up_ = 0;
  }

  void Confirm(EngineHash hash, Tier tier);
  void Removed(EngineHash hash, Tier tier);
  bool IsConfirmed(EngineHash hash, Tier tier) const { return Of(tier).contains(hash); }
  // A block in doubt was stored again, with others: its removal was lost.
  void Renewed() { doubtful_ = doubtful_ > 1 ? doubtful_ - 1 : 0; }

  uint64_t Unconfirmed(uint64_t holdings) const;
  // Of those, how many are probably wrong.
  uint64_t Doubtful(uint64_t holdings) const;
  // Whether it would be more than limits::kMaxDoubtfulPercent of them.
  bool MostlyWrong(uint64_t holdings) const;

  size_t entries() const;
  uint64_t HeapBytes() const { return active_ ? HeapBytesOfConfirmed() : 0; }

  // Nothing is held in that tier, or in any: nothing is in doubt.
  void Clear(Tier tier);
  void Clear();
  // Another life of the engine: how much it removes is not known either.
  void StartOver();

 private:
  static constexpr int kRecentBatches = 64;
  using Hashes = absl::flat_hash_set<EngineHash>;
  const Hashes& Of(Tier tier) const { return confirmed_[static_cast<size_t>(tier)]; }
  Hashes& Of(Tier tier) { return confirmed_[static_cast<size_t>(tier)]; }
  uint64_t Confirmed() const;  // at least
  uint64_t HeapBytesOfConfirmed() const;

  const size_t max_confirmed_;
  bool active_ = false;  // false: confirmed_ takes no memory
  int batches_ = 0;      // up to kRecentBatches
  double removed_ = 0;   // by a batch, on average of about so many
  double doubtful_ = 0;
  uint64_t given_up_ = 0;
  std::array<Hashes, kTierCount> confirmed_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_LOSS_LEDGER_H_
