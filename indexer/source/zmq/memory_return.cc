#include "indexer/source/zmq/memory_return.h"

#include <malloc.h>

namespace kvroute {

void MemoryReturn::OnIdle() {
  const uint64_t bytes = counters_->payload_bytes.load(std::memory_order_relaxed);
  const Nanos now = clock_->Monotonic();
  if (bytes - bytes_ < kAfterBytes || now < next_) return;
  bytes_ = bytes;
  next_ = now + kBetween;
  malloc_trim(0);
}

}  // namespace kvroute
