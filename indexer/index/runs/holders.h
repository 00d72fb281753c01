#ifndef KVROUTE_INDEXER_INDEX_RUNS_HOLDERS_H_
#define KVROUTE_INDEXER_INDEX_RUNS_HOLDERS_H_

#include <cstdint>
#include <optional>

#include "indexer/index/memory/arena.h"
#include "indexer/index/memory/reclaimer.h"
#include "indexer/index/runs/run.h"

namespace kvroute {

// The holders of runs, as their writer changes them: up to two entries in the run's header, and if
// there are more all of them in a DenseHolders beside it. A holder that covers the whole run is
// always stored as `all`.
//
// Thread safety: Find, IsSole and ForEach under the run's lock; the others inside a RunEdit under
// that lock.
class Holders {
 public:
  Holders(Arena* arena, Reclaimer* reclaimer) : arena_(arena), reclaimer_(reclaimer) {}

  std::optional<HolderEntry> Find(const Run& run, Slot slot) const;
  bool IsSole(const Run& run, Slot slot) const;
  bool Empty(const Run& run) const;
  // Inserts or replaces.
  void Put(Run* run, HolderEntry entry) const;
  void Erase(Run* run, Slot slot) const;
  // After the run has become shorter: whoever covers all that is left becomes `all`.
  void PromoteAll(Run* run) const;
  // Gives the holders to the run that another one becomes; readers may still look at the old one.
  void Move(Run* from, Run* to) const;
  // When the run dies.
  void Release(Run* run) const;

  // body(HolderEntry); must not change the set.
  template <typename Body>
  void ForEach(const Run& run, Body body) const {
    const uint8_t count = run.holder_count.load(std::memory_order_relaxed);
    if (count != Run::kDense) {
      for (uint32_t i = 0; i < count; ++i) body(HolderEntry(Load(run.holders[i])));
      return;
    }
    const DenseHolders& dense = *DenseOf(run);
    const uint32_t words = dense.words.load(std::memory_order_relaxed);
    for (uint32_t w = 0; w < words; ++w) {
      for (uint64_t bits = dense.word(w).load(std::memory_order_relaxed); bits != 0;
           bits &= bits - 1) {
        body(HolderEntry(static_cast<Slot>(w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits))),
                         HolderEntry::kAll, false));
      }
    }
    for (uint32_t i = 0; i < dense.entries.load(std::memory_order_relaxed); ++i) {
      body(HolderEntry(Load(dense.entry(i, words))));
    }
  }
  // Whether any holder covers the whole run.
  bool AnyAll(const Run& run) const;

 private:
  static uint32_t Load(const std::atomic<uint32_t>& word) {
    return word.load(std::memory_order_relaxed);
  }
  DenseHolders* DenseOf(const Run& run) const {
    return arena_->At<DenseHolders>(run.dense.load(std::memory_order_relaxed));
  }
  DenseHolders* NewDense(uint32_t words, uint32_t entry_capacity) const;
  void GrowDense(Run* run, Slot slot) const;
  void RetireDense(Run* run) const;

  Arena* const arena_;
  Reclaimer* const reclaimer_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_HOLDERS_H_
