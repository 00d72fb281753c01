#ifndef KVROUTE_INDEXER_BASE_BUSY_COUNTERS_H_
#define KVROUTE_INDEXER_BASE_BUSY_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace kvroute {

// Which cell of all BusyCounters the calling thread alone adds to. kSharedCell: there are more
// threads than cells. A cell is somebody else's when its thread has ended.
inline constexpr size_t kOwnedCells = 15;
inline constexpr size_t kSharedCell = kOwnedCells;
inline constexpr size_t kNoCell = kOwnedCells + 1;
extern thread_local constinit size_t cell_of_this_thread;
size_t TakeCell();
inline size_t CellOfThisThread() {
  return cell_of_this_thread != kNoCell ? cell_of_this_thread : TakeCell();
}

// Counters that a few threads increase for every batch, and that are read seldom. Each thread adds
// to a cell of its own with a load and a store; an atomic addition takes 20 cycles, as long as all
// else that is counted of a small batch.
//
// Thread safety: any thread. What a thread has added before it told another one is in what that one
// reads.
template <size_t kCount>
class BusyCounters {
 public:
  void Add(size_t counter, uint64_t by) {
    const size_t cell = CellOfThisThread();
    std::atomic<uint64_t>& count = cells_[cell].counts[counter];
    if (cell == kSharedCell) {
      count.fetch_add(by, std::memory_order_relaxed);
    } else {
      count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
  }
  uint64_t Of(size_t counter) const {
    uint64_t sum = 0;
    for (const Cell& cell : cells_) sum += cell.counts[counter].load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(64) Cell {
    std::array<std::atomic<uint64_t>, kCount> counts{};
  };
  std::array<Cell, kOwnedCells + 1> cells_{};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_BUSY_COUNTERS_H_
