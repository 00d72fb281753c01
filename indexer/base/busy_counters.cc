#include "indexer/base/busy_counters.h"

#include <bit>

#include "indexer/base/mutex.h"

namespace kvroute {
namespace {

// Its mutex also orders what one thread added before what the next owner of its cell does.
struct FreeCells {
  Mutex mutex;
  uint32_t bits ABSL_GUARDED_BY(mutex) = (uint32_t{1} << kOwnedCells) - 1;
};

// Never destroyed: threads may end after static objects have.
FreeCells& AllFreeCells() {
  static FreeCells* const cells = new FreeCells;
  return *cells;
}

struct GivesCellBack {
  ~GivesCellBack() {
    const size_t cell = cell_of_this_thread;
    cell_of_this_thread = kSharedCell;  // for what this thread's other objects still count
    if (cell >= kOwnedCells) return;
    FreeCells& cells = AllFreeCells();
    MutexLock lock(&cells.mutex);
    cells.bits |= uint32_t{1} << cell;
  }
};

}  // namespace

thread_local constinit size_t cell_of_this_thread = kNoCell;

size_t TakeCell() {
  static thread_local const GivesCellBack gives_back;
  FreeCells& cells = AllFreeCells();
  MutexLock lock(&cells.mutex);
  if (cells.bits == 0) return cell_of_this_thread = kSharedCell;
  cell_of_this_thread = static_cast<size_t>(std::countr_zero(cells.bits));
  cells.bits &= cells.bits - 1;
  return cell_of_this_thread;
}

}  // namespace kvroute
