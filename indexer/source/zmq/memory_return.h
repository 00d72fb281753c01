#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_MEMORY_RETURN_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_MEMORY_RETURN_H_

#include <chrono>
#include <cstdint>

#include "indexer/base/clock.h"
#include "indexer/stream/ingest_counters.h"

namespace kvroute {

// Gives back to the system what received batches took while they were queued. They are allocated on
// libzmq's threads and freed, in another order, on the lanes, so that little of it lies at the end
// of a heap, where the C library would give it back by itself.
//
// Thread safety: one thread. Ownership: everything passed in outlives it.
class MemoryReturn {
 public:
  static constexpr uint64_t kAfterBytes = uint64_t{16} << 20;  // received since it was last done
  static constexpr std::chrono::seconds kBetween{5};

  MemoryReturn(const IngestCounters* counters, const Clock* clock)
      : counters_(counters), clock_(clock) {}

  // Nothing is to be done just now. Takes some 10 ms for each 100 MiB that it gives back.
  void OnIdle();

 private:
  const IngestCounters* const counters_;
  const Clock* const clock_;
  uint64_t bytes_ = 0;  // received, when it was last done
  Nanos next_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_MEMORY_RETURN_H_
