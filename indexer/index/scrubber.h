#ifndef KVROUTE_INDEXER_INDEX_SCRUBBER_H_
#define KVROUTE_INDEXER_INDEX_SCRUBBER_H_

#include <memory>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "indexer/base/thread_pulse.h"
#include "indexer/index/runs/run_store.h"
#include "indexer/index/slot_table.h"
#include "indexer/index/stream_writer.h"

namespace kvroute {

// The thread that takes the slots of streams that were cleared or closed out of all runs, and frees
// what these streams kept of their own. Readers do not see any of it from the moment at which the
// slot was retired; it is only a matter of memory.
//
// Thread safety: all methods from any thread, Stop once.
class Scrubber {
 public:
  // Both outlive it.
  Scrubber(RunStore* store, SlotTable* slots);
  ~Scrubber() { Stop(); }
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

  // Scrubs what has been retired, and frees these. A writer goes only when nobody who found it
  // before it was closed can still look at it.
  void Want(StreamWriter::Leavings leavings, std::unique_ptr<StreamWriter> closed = nullptr);
  // Returns when all that was wanted before is done.
  void Wait() const;
  const ThreadPulse& pulse() const { return pulse_; }
  // What is still wanted is left.
  void Stop();

 private:
  void RunUntilStopped();

  ThreadPulse pulse_;
  RunStore* const store_;
  SlotTable* const slots_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::vector<StreamWriter::Leavings> leavings_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<StreamWriter>> closed_ ABSL_GUARDED_BY(mutex_);
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool at_work_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;  // last: it uses all of the above
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_SCRUBBER_H_
