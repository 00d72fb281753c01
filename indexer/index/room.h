#ifndef KVROUTE_INDEXER_INDEX_ROOM_H_
#define KVROUTE_INDEXER_INDEX_ROOM_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "indexer/base/memory_budget.h"
#include "indexer/index/runs/run_store.h"
#include "indexer/index/stream_writer.h"

namespace kvroute {

// How much of its memory an index has left, and for whom.
//
// A stream that holds more than the others on average fills none of the last part; those that hold
// less may. When they have, the others find no room at their next store and are cut back, so that
// who has little need not give up his own because somebody else has filled the index.
//
// Thread safety: any thread. What is average is a hint: it is counted now and then, while room is
// short. Ownership: store and budget outlive it.
class Room {
 public:
  Room(const RunStore* store, MemoryBudget* budget) : store_(store), budget_(budget) {}

  bool limited() const { return budget_->limit() != MemoryBudget::kUnlimited; }
  uint64_t UsedBytes() const { return store_->UsedBytes() + budget_->used(); }
  // Whether so many further blocks of the stream fit; and what it would have to give up, about.
  bool Has(const StreamWriter& writer, size_t blocks) const {
    return !limited() || Missing(writer, blocks) == 0;
  }
  uint64_t Missing(const StreamWriter& writer, size_t blocks) const;
  // Whether a stream that was cut back may try again.
  bool HasAgain() const { return !limited() || UsedBytes() <= Limit() - Limit() / kRoomAgainPart; }

  // Behind a write. `for_each_holdings(visit)` calls visit with how much each stream holds: it is
  // called once in kWritesOfShare writes while room is short.
  template <typename ForEachHoldings>
  void CountShares(ForEachHoldings for_each_holdings) {
    if (!limited() || HasAgain()) return;
    if (writes_when_short_.fetch_add(1, std::memory_order_relaxed) % kWritesOfShare != 0) return;
    uint64_t all = 0;
    uint64_t streams = 0;  // also those that hold nothing: they may come to
    for_each_holdings([&](uint64_t holdings) {
      all += holdings;
      ++streams;
    });
    average_holdings_.store(all / streams, std::memory_order_relaxed);
  }

 private:
  // One part of so many of the limit is left for tables that grow, whose old array waits for
  // readers.
  static constexpr uint64_t kGrowthPart = 16;
  static constexpr uint64_t kSharePart = 32;  // for streams that hold less than average
  static constexpr uint64_t kRoomAgainPart = 8;
  static constexpr uint32_t kWritesOfShare = 256;

  // Never more than half of what is reserved, so that gaps between what is used fit as well.
  uint64_t Limit() const {
    return limited() ? std::min(budget_->limit(), store_->CapacityBytes() / 2) : budget_->limit();
  }

  const RunStore* const store_;
  MemoryBudget* const budget_;
  std::atomic<uint64_t> average_holdings_{std::numeric_limits<uint64_t>::max()};
  std::atomic<uint32_t> writes_when_short_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_ROOM_H_
