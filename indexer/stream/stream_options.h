#ifndef KVROUTE_INDEXER_STREAM_STREAM_OPTIONS_H_
#define KVROUTE_INDEXER_STREAM_STREAM_OPTIONS_H_

#include <chrono>
#include <cstddef>

#include "indexer/base/limits.h"

namespace kvroute {

// How a stream gets from doubt to certainty, and what may be kept for it meanwhile, whatever its
// batches come by.
struct StreamOptions {
  std::chrono::milliseconds replay_timeout{5'000};  // without any reply
  int replay_attempts = 3;                          // requests for the same hole
  std::chrono::milliseconds replay_limit{120'000};  // one replay in all
  // After this much silence the engine is asked once whether there is more: a lost last batch shows
  // in nothing else.
  std::chrono::milliseconds probe_after_idle{1'000};
  // After a loss that may have been passing, how long until the engine is asked for everything
  // again; doubles up to 64 times.
  std::chrono::milliseconds fresh_start_after{10'000};
  size_t max_held_batches = limits::kMaxHeldBatches;
  size_t max_held_memory_bytes = limits::kMaxHeldMemoryBytes;
  size_t max_pending_memory_bytes = limits::kMaxPendingMemoryBytes;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_OPTIONS_H_
