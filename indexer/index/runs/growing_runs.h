#ifndef KVROUTE_INDEXER_INDEX_RUNS_GROWING_RUNS_H_
#define KVROUTE_INDEXER_INDEX_RUNS_GROWING_RUNS_H_

#include <algorithm>
#include <array>
#include <cstdint>

#include "indexer/base/check.h"
#include "indexer/index/memory/arena.h"

namespace kvroute {

// The runs of one shard that have grown lately, the one that did so longest ago first, each with
// the granules it has to grow into. Many chains grow at once, a few blocks at a time; a run without
// such room would end where another chain's blocks happened to be put.
//
// Thread safety: under the shard's mutex.
class GrowingRuns {
 public:
  static constexpr uint32_t kMost = 16;

  bool full() const { return count_ == kMost; }
  bool empty() const { return count_ == 0; }
  Granule oldest() const { return runs_[0].run; }
  uint32_t spare_granules() const { return spare_granules_; }

  // Has grown just now and has so much room left. It is in here already, or this is not full.
  void Note(Granule run, uint32_t spare) {
    if (count_ > 0 && runs_[count_ - 1].run == run) {
      spare_granules_ += spare - runs_[count_ - 1].spare;
      runs_[count_ - 1].spare = spare;
      return;
    }
    Drop(run);
    KVROUTE_CHECK(count_ < kMost);
    runs_[count_++] = {run, spare};
    spare_granules_ += spare;
  }
  // If it is here.
  void Drop(Granule run) {
    const auto end = runs_.begin() + count_;
    const auto found = std::find_if(runs_.begin(), end, [&](Entry e) { return e.run == run; });
    if (found == end) return;
    spare_granules_ -= found->spare;
    std::move(found + 1, end, found);
    --count_;
  }

 private:
  struct Entry {
    Granule run = 0;
    uint32_t spare = 0;
  };
  std::array<Entry, kMost> runs_;
  uint32_t count_ = 0;
  uint32_t spare_granules_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_GROWING_RUNS_H_
